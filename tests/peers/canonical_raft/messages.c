#include "messages.h"

#include "server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Messages are JSON twice: `fields` by the names of the paper, for who looks on, and `payload` with
 * all that is in the library's structures, by its own names. */

#define NUMBER(value) ((json_int_t)(value))

const char *command_of(const struct raft_entry *entry)
{
    return entry->type == RAFT_COMMAND ? entry->buf.base : "";
}

json_t *encode_entry(const struct raft_entry *entry)
{
    return json_pack("{s:I, s:s}", "term", NUMBER(entry->term), "command", command_of(entry));
}

/* --- entries in a payload: [term, type, data in hexadecimal] --------------------------------- */

static json_t *payload_of_entry(const struct raft_entry *entry)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *data = entry->buf.base;
    size_t length = 2 * entry->buf.len;
    char *hex = malloc(length + 1);
    for (size_t i = 0; i < entry->buf.len; i++) {
        hex[2 * i] = digits[data[i] >> 4];
        hex[2 * i + 1] = digits[data[i] & 15];
    }
    json_t *payload = json_pack("[I, i, s#]", NUMBER(entry->term), entry->type, hex, (int)length);
    free(hex);
    return payload;
}

static json_t *payload_of_entries(const struct raft_entry *entries, size_t n)
{
    json_t *payload = json_array();
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(payload, payload_of_entry(&entries[i]));
    }
    return payload;
}

/* Decode an entry and write its data to `data`, where there is room enough. */
static bool decode_entry(json_t *payload, struct raft_entry *entry, char *data)
{
    json_int_t term;
    int type;
    const char *hex;
    if (json_unpack(payload, "[I, i, s!]", &term, &type, &hex) != 0) {
        return false;
    }
    entry->term = (raft_term)term;
    entry->type = (unsigned short)type;
    entry->buf = (struct raft_buffer){.base = data, .len = strlen(hex) / 2};
    for (size_t i = 0; i < entry->buf.len; i++) {
        unsigned byte;
        if (sscanf(hex + 2 * i, "%2x", &byte) != 1) {
            return false;
        }
        data[i] = (char)byte;
    }
    return true;
}

static bool decode_entries(json_t *payload, struct raft_append_entries *args)
{
    size_t size = 0;
    for (size_t i = 0; i < json_array_size(payload); i++) {
        size += json_string_length(json_array_get(json_array_get(payload, i), 2)) / 2;
    }
    args->n_entries = (unsigned)json_array_size(payload);
    args->entries = allocate_entries(args->n_entries, size);
    char *data = args->n_entries == 0 ? NULL : args->entries[0].batch;
    for (unsigned i = 0; i < args->n_entries; i++) {
        struct raft_entry *entry = &args->entries[i];
        if (!decode_entry(json_array_get(payload, i), entry, data)) {
            raft_free(args->entries[0].batch);
            raft_free(args->entries);
            return false;
        }
        data += entry->buf.len;
    }
    return true;
}

/* --- one kind after the other --------------------------------------------------------------- */

/* As an element of `messages`; `fields` and `payload` are taken over. */
static json_t *encode(raft_id from, raft_id to, const char *kind, json_t *fields, json_t *payload)
{
    char *text = json_dumps(payload, JSON_COMPACT);
    json_t *encoded = json_pack("{s:I, s:I, s:s, s:o, s:s}", "from", NUMBER(from), "to", NUMBER(to),
                                "kind", kind, "fields", fields, "payload", text);
    free(text);
    json_decref(payload);
    return encoded;
}

static json_t *encode_request_vote(raft_id from, const struct raft_message *message)
{
    const struct raft_request_vote *args = &message->request_vote;
    json_t *fields = json_pack("{s:I, s:I, s:I}", "term", NUMBER(args->term), "last_log_index",
                               NUMBER(args->last_log_index), "last_log_term",
                               NUMBER(args->last_log_term));
    json_t *payload =
        json_pack("{s:i, s:I, s:I, s:I, s:I, s:b, s:b}", "type", message->type, "term",
                  NUMBER(args->term), "candidate_id", NUMBER(args->candidate_id), "last_log_index",
                  NUMBER(args->last_log_index), "last_log_term", NUMBER(args->last_log_term),
                  "disrupt_leader", args->disrupt_leader, "pre_vote", args->pre_vote);
    /* A pre-vote asks for a term that nobody is in yet: it is no RequestVote of the paper. */
    return encode(from, message->server_id, args->pre_vote ? "RequestPreVote" : "RequestVote",
                  fields, payload);
}

static bool decode_request_vote(json_t *payload, struct raft_message *message)
{
    struct raft_request_vote *args = &message->request_vote;
    json_int_t term, candidate_id, last_log_index, last_log_term;
    int disrupt_leader, pre_vote;
    if (json_unpack(payload, "{s:I, s:I, s:I, s:I, s:b, s:b}", "term", &term, "candidate_id",
                    &candidate_id, "last_log_index", &last_log_index, "last_log_term",
                    &last_log_term, "disrupt_leader", &disrupt_leader, "pre_vote",
                    &pre_vote) != 0) {
        return false;
    }
    args->term = (raft_term)term;
    args->candidate_id = (raft_id)candidate_id;
    args->last_log_index = (raft_index)last_log_index;
    args->last_log_term = (raft_term)last_log_term;
    args->disrupt_leader = disrupt_leader;
    args->pre_vote = pre_vote;
    return true;
}

static json_t *encode_request_vote_result(raft_id from, const struct raft_message *message)
{
    const struct raft_request_vote_result *args = &message->request_vote_result;
    json_t *fields = json_pack("{s:I, s:b}", "term", NUMBER(args->term), "vote_granted",
                               args->vote_granted);
    json_t *payload =
        json_pack("{s:i, s:I, s:b, s:i}", "type", message->type, "term", NUMBER(args->term),
                  "vote_granted", args->vote_granted, "pre_vote", args->pre_vote);
    bool pre_vote = args->pre_vote == raft_tribool_true;
    return encode(from, message->server_id, pre_vote ? "RequestPreVoteReply" : "RequestVoteReply",
                  fields, payload);
}

static bool decode_request_vote_result(json_t *payload, struct raft_message *message)
{
    struct raft_request_vote_result *args = &message->request_vote_result;
    json_int_t term;
    int vote_granted, pre_vote;
    if (json_unpack(payload, "{s:I, s:b, s:i}", "term", &term, "vote_granted", &vote_granted,
                    "pre_vote", &pre_vote) != 0) {
        return false;
    }
    args->term = (raft_term)term;
    args->vote_granted = vote_granted;
    args->pre_vote = (raft_tribool)pre_vote;
    return true;
}

static json_t *encode_append_entries(raft_id from, const struct raft_message *message)
{
    const struct raft_append_entries *args = &message->append_entries;
    json_t *entries = json_array();
    for (unsigned i = 0; i < args->n_entries; i++) {
        json_array_append_new(entries, encode_entry(&args->entries[i]));
    }
    const char *format = "{s:I, s:I, s:I, s:o, s:I}";
    json_t *fields = json_pack(format, "term", NUMBER(args->term), "prev_log_index",
                               NUMBER(args->prev_log_index), "prev_log_term",
                               NUMBER(args->prev_log_term), "entries", entries, "leader_commit",
                               NUMBER(args->leader_commit));
    json_t *payload = json_pack(
        "{s:i, s:I, s:I, s:I, s:I, s:o}", "type", message->type, "term", NUMBER(args->term),
        "prev_log_index", NUMBER(args->prev_log_index), "prev_log_term",
        NUMBER(args->prev_log_term), "leader_commit", NUMBER(args->leader_commit), "entries",
        payload_of_entries(args->entries, args->n_entries));
    return encode(from, message->server_id, "AppendEntries", fields, payload);
}

static bool decode_append_entries(json_t *payload, struct raft_message *message)
{
    struct raft_append_entries *args = &message->append_entries;
    json_int_t term, prev_log_index, prev_log_term, leader_commit;
    json_t *entries;
    if (json_unpack(payload, "{s:I, s:I, s:I, s:I, s:o}", "term", &term, "prev_log_index",
                    &prev_log_index, "prev_log_term", &prev_log_term, "leader_commit",
                    &leader_commit, "entries", &entries) != 0) {
        return false;
    }
    args->term = (raft_term)term;
    args->prev_log_index = (raft_index)prev_log_index;
    args->prev_log_term = (raft_term)prev_log_term;
    args->leader_commit = (raft_index)leader_commit;
    return decode_entries(entries, args);
}

static json_t *encode_append_entries_result(raft_id from, const struct raft_message *message)
{
    const struct raft_append_entries_result *args = &message->append_entries_result;
    bool success = args->rejected == 0;
    /* On success, the leader takes `last_log_index` for what matches. */
    json_t *fields =
        json_pack("{s:I, s:b, s:I}", "term", NUMBER(args->term), "success", success, "match_index",
                  success ? NUMBER(args->last_log_index) : 0);
    json_t *payload = json_pack("{s:i, s:I, s:I, s:I}", "type", message->type, "term",
                                NUMBER(args->term), "rejected", NUMBER(args->rejected),
                                "last_log_index", NUMBER(args->last_log_index));
    return encode(from, message->server_id, "AppendEntriesReply", fields, payload);
}

static bool decode_append_entries_result(json_t *payload, struct raft_message *message)
{
    struct raft_append_entries_result *args = &message->append_entries_result;
    json_int_t term, rejected, last_log_index;
    if (json_unpack(payload, "{s:I, s:I, s:I}", "term", &term, "rejected", &rejected,
                    "last_log_index", &last_log_index) != 0) {
        return false;
    }
    args->term = (raft_term)term;
    args->rejected = (raft_index)rejected;
    args->last_log_index = (raft_index)last_log_index;
    return true;
}

/* --- all kinds ------------------------------------------------------------------------------ */

/* Snapshots and the transfer of leadership are missing: nothing ever causes them. */
static const struct {
    json_t *(*encode)(raft_id from, const struct raft_message *message);
    bool (*decode)(json_t *payload, struct raft_message *message);
} kinds[] = {
    [RAFT_IO_APPEND_ENTRIES] = {encode_append_entries, decode_append_entries},
    [RAFT_IO_APPEND_ENTRIES_RESULT] = {encode_append_entries_result, decode_append_entries_result},
    [RAFT_IO_REQUEST_VOTE] = {encode_request_vote, decode_request_vote},
    [RAFT_IO_REQUEST_VOTE_RESULT] = {encode_request_vote_result, decode_request_vote_result},
};

static bool is_known(unsigned type)
{
    return RAFT_IO_APPEND_ENTRIES <= type && type <= RAFT_IO_REQUEST_VOTE_RESULT;
}

json_t *encode_message(raft_id from, const struct raft_message *message)
{
    if (!is_known(message->type)) {
        fprintf(stderr, "the library sends a message of the unexpected type %d\n", message->type);
        abort();
    }
    return kinds[message->type].encode(from, message);
}

bool decode_message(const char *payload, struct raft_message *message)
{
    json_t *decoded = json_loads(payload, 0, NULL);
    int type = 0;
    bool good = json_unpack(decoded, "{s:i}", "type", &type) == 0 && is_known((unsigned)type);
    if (good) {
        message->type = (unsigned short)type;
        good = kinds[type].decode(decoded, message);
    }
    json_decref(decoded);
    return good;
}
