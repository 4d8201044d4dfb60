/* An adapter for canonical's raft (libraft 0.15), driven step by step.
 *
 * The protocol is that of spec/adapter_protocol.md. */
#include "messages.h"
#include "observe.h"
#include "server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NOT_SUPPORTED = 10, MALFORMED_REQUEST = 12, CRASH = 13 };

struct cluster {
    struct cluster_options options;
    raft_id *ids;
    struct server *servers;
    size_t n_servers;
};

static json_t *error_reply(json_int_t msg_id, int code, const char *text)
{
    return json_pack("{s:s, s:I, s:i, s:s}", "type", "error", "in_reply_to", msg_id, "code", code,
                     "text", text);
}

/* --- init ----------------------------------------------------------------------------------- */

/* Read the options, pre_vote being the only one; NULL, or what is wrong with them. */
static const char *read_options(struct cluster *cluster, json_t *options)
{
    const char *name;
    json_t *value;
    json_object_foreach(options, name, value) {
        if (strcmp(name, "pre_vote") != 0) {
            return "there is no such option; there is pre_vote";
        }
        const char *text = json_string_value(value);
        if (text == NULL || (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)) {
            return "pre_vote is true or false";
        }
        cluster->options.pre_vote = strcmp(text, "true") == 0;
    }
    return NULL;
}

static void create_servers(struct cluster *cluster, json_t *nodes)
{
    size_t n = json_array_size(nodes);
    cluster->n_servers = n;
    cluster->servers = calloc(n, sizeof *cluster->servers);
    cluster->ids = calloc(n, sizeof *cluster->ids);
    cluster->options.ids = cluster->ids;
    cluster->options.n_ids = n;
    for (size_t i = 0; i < n; i++) {
        raft_id id = (raft_id)json_integer_value(json_array_get(nodes, i));
        cluster->ids[i] = id;
        cluster->servers[i].id = id;
        cluster->servers[i].options = &cluster->options;
        cluster->servers[i].sent = json_array();
    }
}

static json_t *init(struct cluster *cluster, json_t *request, json_int_t msg_id)
{
    int version = 0;
    json_t *nodes = json_object_get(request, "nodes");
    json_unpack(request, "{s:i}", "protocol_version", &version);
    if (version != 1) {
        return error_reply(msg_id, NOT_SUPPORTED, "only version 1 of the protocol is known");
    }
    const char *complaint = read_options(cluster, json_object_get(request, "options"));
    if (complaint != NULL) {
        return error_reply(msg_id, NOT_SUPPORTED, complaint);
    }
    if (json_array_size(nodes) == 0 || cluster->n_servers > 0) {
        return error_reply(msg_id, MALFORMED_REQUEST, "init must name servers, and come but once");
    }
    create_servers(cluster, nodes);
    json_t *states = json_array();
    for (size_t i = 0; i < cluster->n_servers; i++) {
        struct server *server = &cluster->servers[i];
        int error = server_reset(server);
        if (error != 0) {
            json_decref(states);
            return error_reply(msg_id, CRASH, raft_strerror(error));
        }
        json_array_append_new(states, json_pack("{s:I, s:o, s:o}", "node", (json_int_t)server->id,
                                                "state", observe(server), "fingerprint",
                                                fingerprint(server)));
    }
    return json_pack("{s:s, s:I, s:s, s:[], s:[], s:o}", "type", "init_ok", "in_reply_to", msg_id,
                     "name", "canonical raft 0.15", "unobservable", "unsupported", "states",
                     states);
}

/* --- events --------------------------------------------------------------------------------- */

/* How an event went: done, or an error of the protocol. */
struct result {
    int code; /* 0 if it was done */
    const char *text;
};

static const struct result done = {0, NULL};

static struct result crash_unless_zero(int error)
{
    return error == 0 ? done : (struct result){CRASH, raft_strerror(error)};
}

static struct result reset(struct server *server, json_t *request)
{
    (void)request;
    return crash_unless_zero(server_reset(server));
}

static struct result restart(struct server *server, json_t *request)
{
    (void)request;
    return crash_unless_zero(server_restart(server));
}

static struct result crash(struct server *server, json_t *request)
{
    (void)request;
    server_crash(server);
    return done;
}

static struct result election_timeout(struct server *server, json_t *request)
{
    (void)request;
    server_election_timeout(server);
    return done;
}

static struct result heartbeat_timeout(struct server *server, json_t *request)
{
    (void)request;
    server_heartbeat_timeout(server);
    return done;
}

static struct result propose(struct server *server, json_t *request)
{
    const char *command;
    if (json_unpack(request, "{s:s}", "command", &command) != 0) {
        return (struct result){MALFORMED_REQUEST, "propose must have a command"};
    }
    return crash_unless_zero(server_propose(server, command));
}

static struct result deliver(struct server *server, json_t *request)
{
    json_int_t from;
    const char *payload;
    struct raft_message message;
    if (json_unpack(request, "{s:I, s:s}", "from", &from, "payload", &payload) != 0 ||
        !decode_message(payload, &message)) {
        return (struct result){MALFORMED_REQUEST, "no message that was sent"};
    }
    char address[ADDRESS_SIZE];
    message.server_id = (raft_id)from;
    message.server_address = address_of(message.server_id, address);
    server_deliver(server, &message);
    return done;
}

static const struct event {
    const char *type;
    struct result (*happen)(struct server *server, json_t *request);
    bool while_up; /* whether it makes sense while the server is up, and while it is down */
    bool while_down;
} events[] = {
    {"deliver", deliver, true, false},
    {"reset", reset, true, true},
    {"election_timeout", election_timeout, true, false},
    {"heartbeat_timeout", heartbeat_timeout, true, false},
    {"propose", propose, true, false},
    {"crash", crash, true, false},
    {"restart", restart, false, true},
};

static const struct event *find_event(const char *type)
{
    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        if (strcmp(events[i].type, type) == 0) {
            return &events[i];
        }
    }
    return NULL;
}

static struct server *find_server(struct cluster *cluster, json_t *request)
{
    raft_id id = (raft_id)json_integer_value(json_object_get(request, "node"));
    for (size_t i = 0; i < cluster->n_servers; i++) {
        if (cluster->servers[i].id == id) {
            return &cluster->servers[i];
        }
    }
    return NULL;
}

static json_t *event_reply(struct server *server, const char *type, json_int_t msg_id)
{
    char type_ok[32];
    snprintf(type_ok, sizeof type_ok, "%s_ok", type);
    if (!server->is_up) {
        return json_pack("{s:s, s:I}", "type", type_ok, "in_reply_to", msg_id);
    }
    if (server->raft.state == RAFT_UNAVAILABLE) {
        return error_reply(msg_id, CRASH, "the server shut itself down (RAFT_UNAVAILABLE)");
    }
    return json_pack("{s:s, s:I, s:O, s:o, s:o}", "type", type_ok, "in_reply_to", msg_id,
                     "messages", server->sent, "state", observe(server), "fingerprint",
                     fingerprint(server));
}

static json_t *answer_event(struct cluster *cluster, json_t *request, const char *type,
                            json_int_t msg_id)
{
    const struct event *event = find_event(type);
    if (event == NULL) {
        return error_reply(msg_id, NOT_SUPPORTED, "there is no such request");
    }
    struct server *server = find_server(cluster, request);
    if (server == NULL) {
        return error_reply(msg_id, MALFORMED_REQUEST, "there is no such server");
    }
    if (!(server->is_up ? event->while_up : event->while_down)) {
        return error_reply(msg_id, MALFORMED_REQUEST,
                           server->is_up ? "the server is up" : "the server is down");
    }
    struct result result = event->happen(server, request);
    json_t *reply = result.code == 0 ? event_reply(server, type, msg_id)
                                     : error_reply(msg_id, result.code, result.text);
    json_decref(server->sent);
    server->sent = json_array();
    return reply;
}

/* --- lines ---------------------------------------------------------------------------------- */

static json_t *answer(struct cluster *cluster, json_t *request)
{
    json_int_t msg_id = json_integer_value(json_object_get(request, "msg_id"));
    const char *type = json_string_value(json_object_get(request, "type"));
    if (type == NULL) {
        return error_reply(msg_id, MALFORMED_REQUEST, "not a JSON object with a type");
    }
    if (strcmp(type, "init") == 0) {
        return init(cluster, request, msg_id);
    }
    return answer_event(cluster, request, type, msg_id);
}

int main(void)
{
    struct cluster cluster = {0};
    char *line = NULL;
    size_t size = 0;
    ssize_t length;
    while ((length = getline(&line, &size, stdin)) > 0) {
        json_t *request = json_loadb(line, (size_t)length, 0, NULL);
        json_t *reply = answer(&cluster, request);
        char *text = json_dumps(reply, JSON_COMPACT);
        puts(text);
        fflush(stdout);
        free(text);
        json_decref(reply);
        json_decref(request);
    }
    free(line);
    return 0;
}
