#include "server.h"

#include "messages.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The time, always, in milliseconds.
 *
 * Between events no time passes; for a timer to fire, its start is set back instead. That is all
 * the same to the library, which looks at nothing but the difference between now and such a start,
 * and sets the start to now when it has dealt with the timer: so after every event each start is
 * now (or 0, never), and a state can come back however long a run is. The timers that do not fire
 * are as if they had been started anew meanwhile, which in an asynchronous system they may. */
#define NOW ((raft_time)1000 * 1000)

/* Without memory, nothing useful can be done. */
static void *checked(void *pointer)
{
    if (pointer == NULL) {
        fprintf(stderr, "out of memory\n");
        abort();
    }
    return pointer;
}

const char *address_of(raft_id id, char address[ADDRESS_SIZE])
{
    snprintf(address, ADDRESS_SIZE, "%llu", id);
    return address;
}

/* --- entries ------------------------------------------------------------------------------- */

struct raft_entry *allocate_entries(size_t n, size_t size)
{
    if (n == 0) {
        return NULL;
    }
    struct raft_entry *entries = checked(raft_calloc(n, sizeof *entries));
    void *batch = checked(raft_malloc(size));
    for (size_t i = 0; i < n; i++) {
        entries[i].batch = batch;
    }
    return entries;
}

static struct raft_entry *copy_entries(const struct raft_entry *entries, size_t n)
{
    size_t size = 0;
    for (size_t i = 0; i < n; i++) {
        size += entries[i].buf.len;
    }
    struct raft_entry *copies = allocate_entries(n, size);
    char *data = n == 0 ? NULL : copies[0].batch;
    for (size_t i = 0; i < n; i++) {
        copies[i].term = entries[i].term;
        copies[i].type = entries[i].type;
        copies[i].buf = (struct raft_buffer){.base = data, .len = entries[i].buf.len};
        memcpy(data, entries[i].buf.base, entries[i].buf.len);
        data += entries[i].buf.len;
    }
    return copies;
}

/* --- the disk ------------------------------------------------------------------------------ */

/* Drop the entry `index`, and all that follow it. */
static void disk_truncate(struct disk *disk, raft_index index)
{
    while (disk->n_entries >= index) {
        raft_free(disk->entries[--disk->n_entries].buf.base);
    }
}

/* `data` comes from raft_malloc(), and is taken over. */
static void disk_append(struct disk *disk, raft_term term, int type, struct raft_buffer data)
{
    size_t size = (disk->n_entries + 1) * sizeof *disk->entries;
    disk->entries = checked(realloc(disk->entries, size));
    disk->entries[disk->n_entries++] =
        (struct raft_entry){.term = term, .type = (unsigned short)type, .buf = data};
}

/* --- the I/O backend ----------------------------------------------------------------------- */

static struct server *server_of(struct raft_io *io)
{
    return io->impl;
}

static int io_init(struct raft_io *io, raft_id id, const char *address)
{
    (void)io, (void)id, (void)address;
    return 0;
}

static void io_close(struct raft_io *io, raft_io_close_cb cb)
{
    cb(io);
}

static int io_load(struct raft_io *io,
                   raft_term *term,
                   raft_id *voted_for,
                   struct raft_snapshot **snapshot,
                   raft_index *start_index,
                   struct raft_entry *entries[],
                   size_t *n_entries)
{
    const struct disk *disk = &server_of(io)->disk;
    *term = disk->term;
    *voted_for = disk->voted_for;
    *snapshot = NULL;
    *start_index = 1;
    *entries = copy_entries(disk->entries, disk->n_entries);
    *n_entries = disk->n_entries;
    return 0;
}

static int io_start(struct raft_io *io, unsigned msecs, raft_io_tick_cb tick, raft_io_recv_cb recv)
{
    (void)msecs;
    server_of(io)->tick = tick;
    server_of(io)->receive = recv;
    return 0;
}

static int io_bootstrap(struct raft_io *io, const struct raft_configuration *configuration)
{
    struct disk *disk = &server_of(io)->disk;
    struct raft_buffer data;
    int error = raft_configuration_encode(configuration, &data);
    if (error == 0) {
        disk->term = 1;
        disk_append(disk, 1, RAFT_CHANGE, data);
    }
    return error;
}

static int io_set_term(struct raft_io *io, raft_term term)
{
    server_of(io)->disk.term = term;
    server_of(io)->disk.voted_for = 0;
    return 0;
}

static int io_set_vote(struct raft_io *io, raft_id id)
{
    server_of(io)->disk.voted_for = id;
    return 0;
}

/* The library wants to hear of the end of a request later, not before its own call returns. */
static void wait_for(struct server *server, struct request request)
{
    size_t size = (server->n_requests + 1) * sizeof *server->requests;
    server->requests = checked(realloc(server->requests, size));
    server->requests[server->n_requests++] = request;
}

static int io_append(struct raft_io *io,
                     struct raft_io_append *req,
                     const struct raft_entry entries[],
                     unsigned n,
                     raft_io_append_cb cb)
{
    struct server *server = server_of(io);
    for (unsigned i = 0; i < n; i++) {
        struct raft_buffer data = {checked(raft_malloc(entries[i].buf.len)), entries[i].buf.len};
        memcpy(data.base, entries[i].buf.base, data.len);
        disk_append(&server->disk, entries[i].term, entries[i].type, data);
    }
    req->cb = cb;
    wait_for(server, (struct request){.append = req});
    return 0;
}

static int io_truncate(struct raft_io *io, raft_index index)
{
    disk_truncate(&server_of(io)->disk, index);
    return 0;
}

static int io_send(struct raft_io *io,
                   struct raft_io_send *req,
                   const struct raft_message *message,
                   raft_io_send_cb cb)
{
    struct server *server = server_of(io);
    json_array_append_new(server->sent, encode_message(server->id, message));
    req->cb = cb;
    wait_for(server, (struct request){.send = req});
    return 0;
}

static raft_time io_time(struct raft_io *io)
{
    (void)io;
    return NOW;
}

static int io_random(struct raft_io *io, int min, int max)
{
    (void)io, (void)max;
    return min;
}

/* Neither snapshots are taken nor the configuration forced, so these are not called. */

static int io_recover(struct raft_io *io, const struct raft_configuration *configuration)
{
    (void)io, (void)configuration;
    return RAFT_INVALID;
}

static int io_snapshot_put(struct raft_io *io,
                           unsigned trailing,
                           struct raft_io_snapshot_put *req,
                           const struct raft_snapshot *snapshot,
                           raft_io_snapshot_put_cb cb)
{
    (void)io, (void)trailing, (void)req, (void)snapshot, (void)cb;
    return RAFT_INVALID;
}

static int io_snapshot_get(struct raft_io *io,
                           struct raft_io_snapshot_get *req,
                           raft_io_snapshot_get_cb cb)
{
    (void)io, (void)req, (void)cb;
    return RAFT_INVALID;
}

static struct raft_io io_of(struct server *server)
{
    return (struct raft_io){
        .version = 1,
        .impl = server,
        .init = io_init,
        .close = io_close,
        .load = io_load,
        .start = io_start,
        .bootstrap = io_bootstrap,
        .recover = io_recover,
        .set_term = io_set_term,
        .set_vote = io_set_vote,
        .send = io_send,
        .append = io_append,
        .truncate = io_truncate,
        .snapshot_put = io_snapshot_put,
        .snapshot_get = io_snapshot_get,
        .time = io_time,
        .random = io_random,
    };
}

/* --- the state machine, of which nothing is wanted ------------------------------------------ */

static int fsm_apply(struct raft_fsm *fsm, const struct raft_buffer *data, void **result)
{
    (void)fsm, (void)data;
    *result = NULL;
    return 0;
}

static int fsm_snapshot(struct raft_fsm *fsm, struct raft_buffer *bufs[], unsigned *n_bufs)
{
    (void)fsm, (void)bufs, (void)n_bufs;
    return RAFT_INVALID;
}

static int fsm_restore(struct raft_fsm *fsm, struct raft_buffer *data)
{
    (void)fsm, (void)data;
    return RAFT_INVALID;
}

/* --- coming and going ---------------------------------------------------------------------- */

/* Tell the library that its writes and messages are done, and what it asks for when told so, until
 * it waits for nothing. */
static void run_to_end(struct server *server)
{
    for (size_t i = 0; i < server->n_requests; i++) {
        struct request done = server->requests[i];
        if (done.append != NULL) {
            done.append->cb(done.append, 0);
        } else {
            done.send->cb(done.send, 0);
        }
    }
    server->n_requests = 0;
}

static int initialise(struct server *server)
{
    char address[ADDRESS_SIZE];
    server->io = io_of(server);
    server->fsm = (struct raft_fsm){
        .version = 1,
        .apply = fsm_apply,
        .snapshot = fsm_snapshot,
        .restore = fsm_restore,
    };
    int error = raft_init(&server->raft, &server->io, &server->fsm, server->id,
                          address_of(server->id, address));
    if (error == 0) {
        server->is_up = true;
        raft_set_pre_vote(&server->raft, server->options->pre_vote);
        raft_set_snapshot_threshold(&server->raft, UINT_MAX);
    }
    return error;
}

/* Write the configuration, in which all servers vote, to an empty disk. */
static int bootstrap(struct server *server)
{
    struct raft_configuration configuration;
    char address[ADDRESS_SIZE];
    int error = 0;
    raft_configuration_init(&configuration);
    for (size_t i = 0; i < server->options->n_ids && error == 0; i++) {
        raft_id id = server->options->ids[i];
        error = raft_configuration_add(&configuration, id, address_of(id, address), RAFT_VOTER);
    }
    if (error == 0) {
        error = raft_bootstrap(&server->raft, &configuration);
    }
    raft_configuration_close(&configuration);
    return error;
}

static int start(struct server *server)
{
    int error = raft_start(&server->raft);
    run_to_end(server);
    return error;
}

void server_crash(struct server *server)
{
    if (server->is_up) {
        raft_close(&server->raft, NULL);
        server->is_up = false;
    }
}

int server_restart(struct server *server)
{
    int error = initialise(server);
    return error == 0 ? start(server) : error;
}

int server_reset(struct server *server)
{
    server_crash(server);
    disk_truncate(&server->disk, 1);
    server->disk.term = 0;
    server->disk.voted_for = 0;
    int error = initialise(server);
    if (error == 0) {
        error = bootstrap(server);
    }
    return error == 0 ? start(server) : error;
}

/* --- events -------------------------------------------------------------------------------- */

/* A leader has an election timer, too: when it fires, the leader steps down unless it has heard of
 * a majority since it fired last. */
void server_election_timeout(struct server *server)
{
    /* A randomised timeout is at most twice as long as this one. */
    server->raft.election_timer_start = NOW - 2 * server->raft.election_timeout;
    server->tick(&server->io);
    run_to_end(server);
}

void server_heartbeat_timeout(struct server *server)
{
    struct raft *raft = &server->raft;
    if (raft->state == RAFT_LEADER) {
        for (unsigned i = 0; i < raft->configuration.n; i++) {
            raft->leader_state.progress[i].last_send = NOW - raft->heartbeat_timeout;
        }
        server->tick(&server->io);
        run_to_end(server);
    }
}

bool server_is_heartbeat_due(const struct server *server, raft_time last_send)
{
    return NOW - last_send >= server->raft.heartbeat_timeout;
}

static void free_proposal(struct raft_apply *req, int status, void *result)
{
    (void)status, (void)result;
    free(req);
}

/* The entry's data is the command with its end, so that it can be read as a string. */
int server_propose(struct server *server, const char *command)
{
    struct raft_apply *req = checked(calloc(1, sizeof *req));
    struct raft_buffer data = {.len = strlen(command) + 1};
    data.base = checked(raft_malloc(data.len));
    memcpy(data.base, command, data.len);
    int error = raft_apply(&server->raft, req, &data, 1, free_proposal);
    if (error != 0) {
        raft_free(data.base);
        free(req);
        return error == RAFT_NOTLEADER ? 0 : error;
    }
    run_to_end(server);
    return 0;
}

void server_deliver(struct server *server, struct raft_message *message)
{
    server->receive(&server->io, message);
    run_to_end(server);
}
