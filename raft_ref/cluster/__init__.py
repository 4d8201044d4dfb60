"""A cluster that runs: the pure core with a clock, a network, a disk and clients around it.

Everything that decides is free of effects and can be simulated; everything that has effects
decides nothing. From the inside out:

================  =================================================================================
`server`          one server: what happened goes in, what is to be done comes out
`requests`        which client waits for what, and when nobody knows any more what became of it
`timers`          the randomised election timeout, and the heartbeat interval (§5.2)
`pacing`          which AppendEntries need not leave, since a later one says more
`machine`         the key-value store that entries are applied to, with sessions (dissertation §6.3)
`driver`          does what the server says, in the one order that is right
`simulation`      the same server and driver under a simulated clock, network and disk
================  =================================================================================

Nothing in `raft_ref` outside this package knows of it, or of clocks, sockets and disks.
The dissertation is D. Ongaro, "Consensus: Bridging Theory and Practice", 2014.
"""
