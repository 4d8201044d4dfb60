"""Judging what was recorded of servers that ran: a trace.

A trace is read into *happenings*, the steps of its servers as far as they were seen (`own`,
`etcd`). Of each server there are *beliefs*, what it may be like by now: one if all was seen,
several if not. Each step is held against the rules of `spec.rules`; what the servers did
together, against its properties (`ledger`). `judge` does that, in time linear in the length of the
trace.
"""
