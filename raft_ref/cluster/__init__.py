"""A cluster that runs: the pure core with a clock, a network, a disk and clients around it.

What decides has no effects, and can be simulated; what has effects decides nothing. What decides:

================  =================================================================================
`server`          one server: what has happened goes in, what is to be done comes out
`requests`        which client waits for what, and when nobody can know what became of it
`inbox`           what is taken up first: messages of Raft, before what clients ask for
`outbox`          what is sent first, likewise, and what is dropped when too much waits
`timers`          the randomised election timeout, and the heartbeat interval (§5.2)
`replication`     how many entries travel at once, and are under way
`coalescing`      which AppendEntries become one message, and which wait for an answer
`machine`         the key-value store that entries are applied to, with sessions (dissertation §6.3)
`driver`          does what a server says, in the one order that is right
`tracing`         what it does, as lines for ``raft-ref trace``
`history`         what clients asked for, and were told; `workload`: what they ask for
`simulation`      servers and drivers under a simulated clock, network and disk
================  =================================================================================

What has effects:

================  =================================================================================
`node`            a server and its driver on the event loop of asyncio
`sqlite`, `wal`   the persistent state in a file, and whether that was damaged
`journal`         the trace in a file, such that it goes with what is durable
`transport`       connections between servers; `wire`: frames as bytes, and what is none
`handshake`       whom to listen to: a shared `secret`; `tls`: certificates
`clients`         connections of clients; `resp`, `parser`: the Redis protocol that they speak;
                  `limits`: how much a server lets them have
`service`         a node as a process; `settings`, `logs`, `measures`
`processes`       several of them on this machine; `client`: a client of theirs
`torture`         what can go wrong with them, done to them
================  =================================================================================

A server that is asked for a command appends it to its log, or passes it on to the leader. The
client is answered when the command has been applied, which is when it is committed; reads go the
same way, so they are linearizable. If the leader is lost meanwhile, the client is told that nobody
knows whether its command was or will be applied; one that asks in a session may ask again.

What this is not: the log is never compacted, and read as a whole when a server starts; the servers
of a cluster are the same for ever; clients are not authenticated.

Nothing in `raft_ref` outside this package knows of it, or of clocks, sockets and disks.
The dissertation is D. Ongaro, "Consensus: Bridging Theory and Practice", 2014.
"""
