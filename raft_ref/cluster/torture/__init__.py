"""A real cluster, and all that can go wrong with one on a single machine.

======================  ==========================================================================
`plan`                  what goes wrong and when: drawn from a seed before anything begins
`network`               proxies between the servers, which lose, repeat, delay, reorder and reset
`clients`               ask any server for anything, and write down what they were told
`nemesis`               does what the plan says to processes and proxies, and mends all of it
`run`                   a run from its beginning to its end
======================  ==========================================================================

The plan is the same for the same seed. The run is not: processes, disks and sockets are real.
Nothing is judged here.
"""
