/* Messages and entries of canonical raft as JSON. */
#ifndef MESSAGES_H
#define MESSAGES_H

#include <jansson.h>
#include <raft.h>

/* The message as an element of `messages`; `message->server_id` is whom it goes to. */
json_t *encode_message(raft_id from, const struct raft_message *message);

/* Make `message` what `payload` says, without sender; false if it says nothing that makes sense. */
bool decode_message(const char *payload, struct raft_message *message);

/* The command of an entry; "" for a configuration. */
const char *command_of(const struct raft_entry *entry);

/* The entry as an element of `log`. */
json_t *encode_entry(const struct raft_entry *entry);

#endif
