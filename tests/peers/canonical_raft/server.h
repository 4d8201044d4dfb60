/* One server: canonical raft on an I/O backend in memory, driven one event at a time. */
#ifndef SERVER_H
#define SERVER_H

#include <jansson.h>
#include <raft.h>

/* The size of a buffer for any server's address, which is its number. */
#define ADDRESS_SIZE 24

/* What is the same for all servers. */
struct cluster_options {
    const raft_id *ids;
    size_t n_ids;
    bool pre_vote;
};

/* What survives a crash. Entry 1 comes first. */
struct disk {
    raft_term term;
    raft_id voted_for;
    struct raft_entry *entries;
    size_t n_entries;
};

/* A write or a message that the library has handed over and waits for; one of both is set. */
struct request {
    struct raft_io_append *append;
    struct raft_io_send *send;
};

struct server {
    raft_id id;
    const struct cluster_options *options;
    bool is_up;
    struct disk disk;

    /* As long as it is up: */
    struct raft raft;
    struct raft_fsm fsm;
    struct raft_io io;
    raft_io_tick_cb tick;
    raft_io_recv_cb receive;

    /* What it has handed over during an event, in that order. */
    struct request *requests;
    size_t n_requests;

    /* The messages it has sent during an event: an array, as the protocol wants it. */
    json_t *sent;
};

/* What returns an int returns 0, or an error code of raft.h. After an error, or when the library has
 * put itself out of service (RAFT_UNAVAILABLE), nothing but a reset makes sense. */

/* Put it back to the beginning: up, on a disk that holds the configuration alone. A server that was
 * never reset must be all zero, but for `id` and `options`. */
int server_reset(struct server *server);

/* Lose everything but the disk, and stay down. */
void server_crash(struct server *server);

int server_restart(struct server *server);

/* What happens to a server that is up. Messages sent are added to `sent`. */

void server_election_timeout(struct server *server);
void server_heartbeat_timeout(struct server *server);
int server_propose(struct server *server, const char *command);

/* Takes over the entries of `message`; its `server_id` is the sender. */
void server_deliver(struct server *server, struct raft_message *message);

/* Whether the last message was sent, at `last_send`, so long ago that a heartbeat is due. */
bool server_is_heartbeat_due(const struct server *server, raft_time last_send);

/* The address of the server `id`, in `address`. */
const char *address_of(raft_id id, char address[ADDRESS_SIZE]);

/* Room for `n` entries with `size` bytes of data in all, as the library wants it of entries that
 * it is given: one array, and one batch of data. NULL if `n` is 0. */
struct raft_entry *allocate_entries(size_t n, size_t size);

#endif
