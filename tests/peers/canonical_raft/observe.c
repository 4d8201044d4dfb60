#include "observe.h"

#include "messages.h"

#include <stdio.h>
#include <stdlib.h>

/* The log is a circular buffer. */
static const struct raft_entry *entry_at(const struct raft_log *log, size_t i)
{
    return &log->entries[(log->front + i) % log->size];
}

static size_t count_entries(const struct raft_log *log)
{
    return log->front <= log->back ? log->back - log->front : log->size - log->front + log->back;
}

static const char *role_of(const struct raft *raft)
{
    switch (raft->state) {
        case RAFT_LEADER:
            return "leader";
        case RAFT_CANDIDATE:
            return raft->candidate_state.in_pre_vote ? "follower" : "candidate";
        default:
            return "follower";
    }
}

json_t *observe(const struct server *server)
{
    const struct raft *raft = &server->raft;
    json_t *log = json_array();
    for (size_t i = 0; i < count_entries(&raft->log); i++) {
        json_array_append_new(log, encode_entry(entry_at(&raft->log, i)));
    }
    json_t *voted_for =
        raft->voted_for == 0 ? json_null() : json_integer((json_int_t)raft->voted_for);
    return json_pack("{s:I, s:o, s:s, s:o, s:I}", "current_term", (json_int_t)raft->current_term,
                     "voted_for", voted_for, "role", role_of(raft), "log", log, "commit_index",
                     (json_int_t)raft->commit_index);
}

/* --- the fingerprint ------------------------------------------------------------------------ */

/* An entry in full. There is only one configuration, so that it need not be spelt out. */
static void write_entry(FILE *out, const struct raft_entry *entry)
{
    fprintf(out, " %llu:%d:\"%s\"", entry->term, entry->type, command_of(entry));
}

static void write_log(FILE *out, const struct raft_log *log)
{
    fprintf(out, "log={%llu %llu %llu", log->offset, log->snapshot.last_index,
            log->snapshot.last_term);
    for (size_t i = 0; i < count_entries(log); i++) {
        write_entry(out, entry_at(log, i));
    }
    fprintf(out, "} ");
}

static void write_disk(FILE *out, const struct disk *disk)
{
    fprintf(out, "disk={%llu %llu", disk->term, disk->voted_for);
    for (size_t i = 0; i < disk->n_entries; i++) {
        write_entry(out, &disk->entries[i]);
    }
    fprintf(out, "}");
}

static void write_candidate(FILE *out, const struct raft *raft)
{
    fprintf(out, "disrupt_leader=%d in_pre_vote=%d votes=", raft->candidate_state.disrupt_leader,
            raft->candidate_state.in_pre_vote);
    for (unsigned i = 0; i < raft->configuration.n; i++) { /* all of them vote */
        fprintf(out, "%d", raft->candidate_state.votes[i]);
    }
    fprintf(out, " ");
}

/* The library leaves its own server's progress alone, but for the match index. */
static void write_leader(FILE *out, const struct server *server)
{
    for (unsigned i = 0; i < server->raft.configuration.n; i++) {
        const struct raft_progress *progress = &server->raft.leader_state.progress[i];
        fprintf(out, "progress={state=%d next=%llu match=%llu snapshot=%llu due=%d received=%d} ",
                progress->state, progress->next_index, progress->match_index,
                progress->snapshot_index, server_is_heartbeat_due(server, progress->last_send),
                progress->recent_recv);
    }
}

/* Missing are: what is fixed when a server starts (its number, the timeouts, options); the start of
 * the election timer, which is always now (see server.c); the clients' requests that a leader waits
 * to answer, which nothing but the answer depends on; and what belongs to changes of the
 * configuration, transfers of leadership and snapshots, which never begin. */
json_t *fingerprint(const struct server *server)
{
    const struct raft *raft = &server->raft;
    char *text;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    fprintf(out, "state=%d term=%llu vote=%llu commit=%llu applied=%llu stored=%llu ", raft->state,
            raft->current_term, raft->voted_for, raft->commit_index, raft->last_applied,
            raft->last_stored);
    fprintf(out, "configuration=%llu,%llu ", raft->configuration_index,
            raft->configuration_uncommitted_index);
    write_log(out, &raft->log);
    if (raft->state == RAFT_FOLLOWER) {
        fprintf(out, "leader=%llu ", raft->follower_state.current_leader.id);
    } else if (raft->state == RAFT_CANDIDATE) {
        write_candidate(out, raft);
    } else if (raft->state == RAFT_LEADER) {
        write_leader(out, server);
    }
    write_disk(out, &server->disk);
    fclose(out);
    json_t *string = json_stringn(text, length);
    free(text);
    return string;
}
