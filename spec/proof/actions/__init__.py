"""What a server may do, as conjunctions of guards.

A step of a server may do several things at once. It is then a run of these *actions*, each a step
of its own that changes one thing and obeys every rule, in the order in which they stand here; that
it is, is proved, too (`spec.proof.splitting`). So an invariant that each action keeps is kept by
every step that obeys the rules, whatever it does.

Each action is all guards, on what it changes (`spec.proof.action.Action.guards`), along with what
is no rule: where messages come from, and what ghosts remember of it.
"""

from __future__ import annotations

from spec.proof.action import Action
from spec.proof.actions import elections, logs, outputs

ACTIONS: tuple[Action, ...] = (
    elections.enter(),
    elections.vote(),
    elections.change_role(),
    logs.append(),
    logs.propose(),
    logs.note(),
    elections.elect(),
    outputs.commit(),
    outputs.send(),
    outputs.apply(),
)
"""All of them, in the order in which a step takes them."""
