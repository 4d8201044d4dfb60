"""The compiled explorer: a system's local steps as tables, its global states by compiled kernels.

What a node does is a function of its own state and of what arrives, so among millions of global
states there are few distinct local steps. Each is computed once, by the node itself (`steps`), and
entered in a table (`tables`); a global state is then a row of a few numbers, and what follows it is
read from the tables by compiled loops (`kernels`), which look for it among the rows known already
(`storage`) and leave out what is the same under other names (`symmetry`). `explorer` drives them.

The idea is that of collapse compression (G. J. Holzmann, "State Compression in SPIN", 1997) and of
transition caching (S. Blom, J. van de Pol and M. Weber, "LTSmin: Distributed and Symbolic
Reachability", 2010), taken to its end: here the tables are the whole program.

Nothing is approximate. Rows are compared in full, and a hash only tells where to look.
"""
