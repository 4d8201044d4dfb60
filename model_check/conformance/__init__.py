"""Judging implementations of Raft that are not ours, behind adapters.

Data flows one way: `protocol` says what goes over the pipe, `process` exchanges it with an adapter,
`learner` finds out what a server does in each state and keeps it in a `table`, `node` makes that a
node to explore, and `explore` runs one exploration from beginning to end.
"""
