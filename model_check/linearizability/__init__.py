"""Judging what clients saw of any service: is it linearizable?

A *history* says which operations were asked of the service when, and how they were answered
(`history`). It is linearizable if each operation can be thought to have taken effect at one moment
between its invocation and its response, so that every answer is that of a *sequential
specification* (`models`): Herlihy and Wing, "Linearizability: a correctness condition for
concurrent objects", 1990. `search` looks for such an order of the operations on one key, `witness`
does an order that was found again, and `check` judges a whole history. Not a word of Raft: what is
judged is what it is good for.
"""
