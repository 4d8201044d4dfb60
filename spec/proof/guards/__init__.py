"""The rules as formulas: by id, a guard says that a step does not break the rule of that id.

They follow `spec.rules` line by line, so that they can be read beside it. That they say the same is
found by comparison (`tests/test_proof_guards.py`), on every step within bounds of a server with a
vote. That a server without one neither stands for election nor leads is left out of the formulas,
since the proof does not need it.

Rules without a guard are not assumed: `WITHOUT_GUARD` says why none of the proof rests on them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from spec.proof.guards import commits, elections, logs, messages
from spec.proof.step import StepTerms
from spec.proof.terms import Term

Guard: TypeAlias = Callable[[StepTerms], Term]

GUARDS: dict[str, Guard] = {
    "TERM-MONOTONIC": elections.term_monotonic,
    "TERM-ADOPT": elections.term_adopt,
    "TERM-STEP-DOWN": elections.term_step_down,
    "VOTE-ONCE": elections.vote_once,
    "VOTE-SELF": elections.vote_self,
    "VOTE-REQUESTED": elections.vote_requested,
    "VOTE-UP-TO-DATE": elections.vote_up_to_date,
    "VOTE-TRUTHFUL": elections.vote_truthful,
    "VOTE-GRANT-TERM": elections.vote_grant_term,
    "VOTE-REQUEST-TRUTHFUL": elections.vote_request_truthful,
    "ELECT-QUORUM": elections.elect_quorum,
    "ELECT-CANDIDATE": elections.elect_candidate,
    "LEADER-APPEND-ONLY": logs.leader_append_only,
    "LEADER-ENTRY-TERM": logs.leader_entry_term,
    "LOG-SOURCE": logs.log_source,
    "FOLLOWER-CURRENT-TERM": logs.follower_current_term,
    "FOLLOWER-PREV-MATCH": logs.follower_prev_match,
    "FOLLOWER-SPLICE-SOURCE": logs.follower_splice_source,
    "FOLLOWER-SPLICE-CONFLICT": logs.follower_splice_conflict,
    "APPEND-LEADER": messages.append_leader,
    "APPEND-TRUTHFUL": messages.append_truthful,
    "APPEND-COMMIT": messages.append_commit,
    "ACK-TERM": messages.ack_term,
    "ACK-CONFIRMED": messages.ack_confirmed,
    "COMMIT-MONOTONIC": commits.commit_monotonic,
    "COMMIT-QUORUM": commits.commit_quorum,
    "COMMIT-CURRENT-TERM": commits.commit_current_term,
    "COMMIT-CONFIRMED": commits.commit_confirmed,
    "COMMIT-CLAIMED": commits.commit_claimed,
    "COMMIT-STABLE": commits.commit_stable,
    "APPLY-COMMITTED": commits.apply_committed,
    "RESTART-TERM": elections.restart_term,
    "RESTART-VOTE": elections.restart_vote,
    "RESTART-LOG": elections.restart_log,
    "MESSAGE-WELL-FORMED": messages.message_well_formed,
}
"""By rule, in the order of `spec.rules`."""

WITHOUT_GUARD = {
    "APPLY-ORDER": "the proof has no state machines. It keeps which entries were applied at which "
    "index, not in which order: StateMachineSafety is proved of servers that apply committed "
    "entries in any order, and any number of times. StateMachineOrder, which is about the order "
    "alone, is not proved",
    "REDIRECT-LEADER": "the proof has no clients. An answer to a client changes no server, and no "
    "server receives it, so no property of Figure 3 depends on what it says. ClientRedirection, "
    "which is about such answers alone, is not proved",
}
"""The rules that no proof rests on, each with the reason."""
