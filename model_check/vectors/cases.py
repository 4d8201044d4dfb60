"""Runs of the core as trace cases, and the steps that they take as step cases."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from model_check.cover import LocalStep, step_names
from model_check.interned import Memo
from model_check.raft import Bounds, RaftAction, RaftNode
from model_check.vectors.bugs import BUGS, Suspects, WrongAnswer
from model_check.vectors.exercised import exercised
from model_check.vectors.format import (
    ActionPart,
    ForbiddenPart,
    PlacePart,
    SentPart,
    StepCase,
    TraceCase,
    part_of,
    step_id,
    trace_id,
)
from model_check.vectors.taken import Taken, steps_taken
from model_check.vectors.values import ConfigPart, EventPart, NodeStatePart, OutputPart
from raft_ref import Config, NodeId, Output
from raft_ref.codec import encode
from spec.rule import Rule
from spec.rules import RULES


def cluster_of(bounds: Bounds) -> Bounds:
    """Of ``bounds``, those that say what a cluster is, not what is done to it."""
    return Bounds(
        servers=bounds.servers,
        values=bounds.values,
        max_entries=bounds.max_entries,
        conflict_hints=bounds.conflict_hints,
        window=bounds.window,
    )


class CaseMaker:
    """Makes cases of runs of clusters of one kind."""

    def __init__(self, cluster: Bounds) -> None:
        self._node = RaftNode(cluster)
        self._configs = _configs(cluster)
        self._names = step_names(self._node)
        self._suspects = Suspects(cluster)
        self._exercised: Memo[LocalStep, tuple[Rule, ...]] = Memo(self._find_exercised)

    def _find_exercised(self, step: LocalStep) -> tuple[Rule, ...]:
        return exercised(lambda: self._node.step(*step))

    def taken(self, run: Iterable[RaftAction]) -> tuple[Taken, ...]:
        """The steps of ``run``, as far as the core takes them."""
        return tuple(steps_taken(self._node, run))

    def name(self, taken: Taken) -> tuple[Config, str]:
        """What a step is called, the same as all that differ from it in names alone."""
        return self._configs[1], self._names[taken.local]

    def step(self, taken: Taken, place: PlacePart) -> StepCase:
        """The case of a step, which is taken in that ``place``."""
        config = part_of(encode(self._configs[taken.before.id]), ConfigPart)
        pre, event = part_of(encode(taken.before.state), NodeStatePart), _event(taken)
        wrong = self._suspects.wrong_answers(taken)
        return StepCase(
            id=step_id(config, pre, event),
            config=config,
            pre=pre,
            event=event,
            post=part_of(encode(taken.answer.state), NodeStatePart),
            outputs=_outputs(taken.answer.outputs),
            rules=[rule.id for rule in self._exercised[taken.local]],
            flags=list(self._suspects.answers(taken.local)),
            forbidden=list(map(_forbidden, wrong)),
            taken_in=place,
        )

    def trace(self, taken: Sequence[Taken]) -> TraceCase:
        """The case of a run."""
        configs = [part_of(encode(config), ConfigPart) for config in self._configs.values()]
        initial = [
            part_of(encode(self._node.initial(node)), NodeStatePart) for node in self._configs
        ]
        actions = list(map(_action, taken))
        rules = {rule for each in taken for rule in self._exercised[each.local]}
        flags = self._suspects.seen_in(taken)
        return TraceCase(
            id=trace_id(configs, initial, [(each.node, each.event) for each in actions]),
            configs=configs,
            initial=initial,
            actions=actions,
            rules=[rule.id for rule in RULES if rule in rules],
            flags=[name for name in BUGS if name in flags],
        )


def _configs(bounds: Bounds) -> dict[NodeId, Config]:
    """By server: what it knows from the start."""
    return {server: bounds.config(server) for server in range(1, bounds.servers + 1)}


# --- parts of cases --------------------------------------------------------------------------


def _event(taken: Taken) -> EventPart:
    event: EventPart = msgspec.convert(encode(taken.event), EventPart)
    return event


def _outputs(outputs: Iterable[Output]) -> list[OutputPart]:
    return part_of([encode(output) for output in outputs], list[OutputPart])


def _forbidden(wrong: WrongAnswer) -> ForbiddenPart:
    return ForbiddenPart(
        post=part_of(encode(wrong.answer.state), NodeStatePart),
        outputs=_outputs(wrong.answer.outputs),
        flags=list(wrong.bugs),
        breaks=[rule.id for rule in wrong.breaks],
    )


def _action(taken: Taken) -> ActionPart:
    sent = taken.sent_in
    return ActionPart(
        node=taken.before.id,
        event=_event(taken),
        sent_in=None if sent is None else SentPart(action=sent[0], output=sent[1]),
        post=part_of(encode(taken.answer.state), NodeStatePart),
        outputs=_outputs(taken.answer.outputs),
    )
