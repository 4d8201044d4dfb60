"""A run found on what was learnt, done again by all servers of a fresh process together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing

from model_check.conformance.difference import difference
from model_check.conformance.learner import Adapter, Cluster, StepFailed
from model_check.conformance.observed import (
    Arrival,
    ForeignEvent,
    ForeignMessage,
    ForeignOutput,
    ObservedState,
)
from model_check.conformance.process import AdapterFailed
from model_check.conformance.protocol import ProtocolError
from model_check.conformance.table import LearntStep, Table, kind_of_failure, learnt_from
from model_check.counterexample import Moment, Replay
from model_check.render import describe_event
from model_check.system import Deliver, Occur
from raft_ref import NodeId


def confirm(
    adapter: Adapter,
    table: Table,
    run: Replay[ObservedState, ForeignEvent, ForeignOutput, ForeignMessage],
    look: Callable[[], None] = lambda: None,
) -> None:
    """Do ``run`` again; ``look`` is called before each action, and may raise something.

    Raises:
        AdapterFailed: if a server does something else than was learnt. Then the adapter hides
            state: two histories led to the same fingerprint, and parted later.
    """
    done: dict[NodeId, list[ForeignEvent]] = {node: [] for node in range(1, adapter.servers + 1)}
    with closing(adapter.start()) as cluster:
        for moment in run.moments:
            look()
            match moment.action:
                case Occur(node, event):
                    pass
                case Deliver(message):
                    node, event = message.destination, Arrival(message)
                case _:  # nothing happens to a server
                    continue
            again = _again(cluster, table, node, event)
            if not _is_same(again, _learnt(moment)):
                raise AdapterFailed(_parted(table, node, done[node], event, moment, again))
            done[node].append(event)


def _again(cluster: Cluster, table: Table, node: NodeId, event: ForeignEvent) -> LearntStep | str:
    """What ``event`` does now; how the server fails, if it does."""
    try:
        (reply,) = cluster.perform(node, [event], from_start=False)
    except StepFailed as failed:
        return failed.description
    try:
        return table.read(node, reply)
    except ProtocolError as error:
        raise cluster.failed(str(error), reply) from None


def _is_same(one: LearntStep | str, other: LearntStep | str) -> bool:
    """Whether two outcomes are the same; of failures, whether they are of one kind."""
    if isinstance(one, str) and isinstance(other, str):
        return kind_of_failure(one) == kind_of_failure(other)
    return one == other


def _learnt(
    moment: Moment[ObservedState, ForeignEvent, ForeignOutput, ForeignMessage],
) -> LearntStep | str:
    outcome = moment.outcome
    assert outcome is not None
    if outcome.failure is not None:
        return outcome.failure
    return learnt_from(outcome)


def _parted(
    table: Table,
    node: NodeId,
    done: Sequence[ForeignEvent],
    event: ForeignEvent,
    moment: Moment[ObservedState, ForeignEvent, ForeignOutput, ForeignMessage],
    again: LearntStep | str,
) -> str:
    """Which two histories looked alike, and where they parted."""
    assert moment.before is not None
    learnt = [past for past, _ in table.history(node, moment.before)]
    what = again if isinstance(again, str) else _difference(_learnt(moment), again)
    return (
        f"the adapter hides state: two histories of server {node} led to the same fingerprint, and "
        f"then '{describe_event(node, event)}' did not do the same ({what}). "
        f"One: {_listed(node, learnt)}. The other: {_listed(node, done)}."
    )


def _difference(learnt: LearntStep | str, again: LearntStep) -> str:
    if isinstance(learnt, str):
        return f"it failed after one: {learnt}"
    return difference(learnt, again)


def _listed(node: NodeId, events: Sequence[ForeignEvent]) -> str:
    return "; ".join(describe_event(node, event) for event in events) or "nothing at all"
