/* What can be seen of a server, and everything that can influence it. */
#ifndef OBSERVE_H
#define OBSERVE_H

#include "server.h"

/* Its `state`. */
json_t *observe(const struct server *server);

/* Its `fingerprint`. */
json_t *fingerprint(const struct server *server);

#endif
