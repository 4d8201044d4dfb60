"""The rules as formulas, and a proof without bounds that they are enough.

For any number of servers, terms and log length: *invariants* (`spec.proof.invariants`) hold at the
beginning, and every *action* (`spec.proof.actions`) of a server that obeys the rules keeps them;
they imply the properties of Figure 3. Each of these is an *obligation* (`spec.proof.obligations`),
which a solver of satisfiability modulo theories is asked to prove. The rules stand in
`spec.proof.guards` once more, each under its id, as formulas over one step; that these say the same
as the predicates of `spec.rules` is found by comparing them on steps within bounds, and at random.

Nothing here knows of a solver: formulas are values (`spec.proof.terms`), written out in the
standard language of all of them (`spec.proof.smtlib`), or as Python (`spec.proof.evaluation`).
"""
