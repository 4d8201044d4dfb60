"""Judging what was recorded of servers that ran: a trace.

A trace is read into *happenings*, the steps of its servers as far as they were seen (`own`,
`etcd`). For each server there is an *account* of what it may be like by now: one possibility if all
was seen, several if not. Each step is held against the rules of `spec.rules`; what the servers did
together, against its properties (`ledger`). `judge` does that, in time linear in the length of the
trace.
"""
