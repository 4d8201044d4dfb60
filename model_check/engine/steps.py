"""The steps of a system's nodes, in numbers: each one a call of the node's own `step`, made once.

What is claimed of them is seen to be so: that a step is the same under other names, and that what
is said to be outdated does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Generic, NamedTuple, TypeAlias

from model_check.contracts import ASKED_AGAIN, not_the_same, spread
from model_check.engine.layout import NO_VIOLATION
from model_check.engine.values import Alike, Number, Values
from model_check.explore import AsymmetryError, MistakenClaim
from model_check.interned import Memo
from model_check.system import LocalStep, M, Q
from spec.forms import E, H, NodeNumber, O, S

SOME_FACT = -1
"""Stands in an effect for a fact, whichever it is."""


class Effect(NamedTuple):
    """A step of a node, in numbers."""

    after: Number
    """The local state it leads to."""
    sent: Number
    fact: Number
    """Of `Values.marked_facts`; `Values.no_fact` for none."""
    rank: int
    """Of what it breaks by itself."""
    breaks: bool
    """Whether it is a restart, on a network that breaks then."""
    reached: int
    """A bit for each milestone."""
    is_limited: bool
    is_eager: bool
    """Whether it leads to what `Node.simulates` the state before, and leaves nothing to remember;
    see `layout.EAGER`."""


Effects: TypeAlias = tuple[Effect, ...]
"""One for each choice of the node, equal ones included, since each is a transition of its own; in
ascending order, since names must not decide on it."""


class Steps(Generic[S, E, O, M, Q, H]):
    """What steps do to the numbered ``values``.

    Raises:
        AsymmetryError: when one is looked up, if a step is not the same under other names.
    """

    def __init__(self, values: Values[S, E, O, M, Q, H]) -> None:
        self._values = values
        self._node = values.system.node
        self.delivered = Memo(self._compute_delivered)
        """By local state and message: the effects of its delivery."""
        self.own = Memo(self._compute_own)
        """By local state: the effects of what the environment can do to it."""
        self.outdated = Memo(self._compute_outdated)
        """By local state and message: whether it can never again do anything."""
        self.calls = 0
        """How often the node's own step function was called."""

    def _steps(self, node: NodeNumber, state: S, event: E) -> Effects:
        self.calls += 1
        local_steps = self._values.system.local_steps(node, state, event)
        effects = [self._effect(node, state, step) for step in local_steps]
        facts = [self._values.facts.number(step.fact) for step in local_steps]
        alike: dict[Effect, list[Number]] = {}
        for effect, fact in zip(effects, facts, strict=True):
            alike.setdefault(effect, []).append(fact)
        return tuple(
            sorted(
                self._marked(effect, fact, alike[effect])
                for effect, fact in zip(effects, facts, strict=True)
            )
        )

    def _marked(self, effect: Effect, fact: Number, alike: list[Number]) -> Effect:
        """``effect`` with its fact, which is one of those that it may have."""
        values = self._values
        if effect.fact == values.no_fact:
            return effect
        company = tuple(sorted(alike)) if values.is_symmetric else ()
        return effect._replace(fact=values.marked_fact(fact, company))

    def _effect(self, node: NodeNumber, before: S, local: LocalStep[S, M]) -> Effect:
        """The effect of a step, whose fact is as yet `SOME_FACT`, if there is one."""
        values = self._values
        breaks = local.is_restart and values.network.breaks_on_restart
        is_eager = (
            local.fact is None
            and local.violation is None
            and not breaks
            and self._adds(local.state, before)
        )
        return Effect(
            values.local(node, local.state),
            values.messages_sent(local.messages),
            values.no_fact if local.fact is None else SOME_FACT,
            values.rank(local.violation),
            breaks,
            values.milestones_reached(local.reached),
            local.fact is not None and values.system.watch.is_limited(local.fact),
            is_eager,
        )

    def _adds(self, after: S, before: S) -> bool:
        """Whether ``after`` may do more than ``before``, or is the same.

        Not if each simulates the other: a node that went back and forth between the two would never
        get to anything else.
        """
        simulates = self._node.simulates
        return after == before or (simulates(after, before) and not simulates(before, after))

    def _deliver(self, local: Number, message: Number) -> Effects:
        node, state = self._values.locals[local]
        _, event = self._node.arrival(self._values.messages[message])
        return self._steps(node, state, event)

    def _occur(self, local: Number) -> dict[E, Effects]:
        node, state = self._values.locals[local]
        events = self._node.events(node, state)
        return {event: self._steps(node, state, event) for event in events}

    def _compute_delivered(self, key: tuple[Number, Number]) -> Effects:
        effects = self.delivered[key] = self._deliver(*key)
        if self._values.is_symmetric:
            others = []
            for image in self._images(key):
                if image not in self.delivered:
                    self.delivered[image] = self._deliver(*image)
                others.append(self.delivered[image])
            self._require_same(key[0], self._values.messages[key[1]], others)
        return effects

    def _compute_own(self, local: Number) -> dict[E, Effects]:
        effects = self.own[local] = self._occur(local)
        if self._values.is_symmetric:
            images = self._values.local_images[local].tolist()
            for image in images:
                if image not in self.own:
                    self.own[image] = self._occur(image)
            names = {event: self._values.event_images(event) for event in effects}
            for renaming, image in enumerate(images):
                # As sets: two events that are renamed to one would hide another.
                if {name[renaming] for name in names.values()} != self.own[image].keys():
                    _, state = self._values.locals[local]
                    raise AsymmetryError(f"under other names, other events can happen to {state}")
            for event, renamed in names.items():
                others = [
                    self.own[image][name] for image, name in zip(images, renamed, strict=True)
                ]
                self._require_same(local, event, others)
        return effects

    def _images(self, key: tuple[Number, Number]) -> list[tuple[Number, Number]]:
        """A local state and a message, under every name."""
        local, message = key
        locals_ = self._values.local_images[local].tolist()
        messages = self._values.message_images[message].tolist()
        return list(zip(locals_, messages, strict=True))

    def _require_same(self, local: Number, what: object, others: Sequence[Effects]) -> None:
        """Refuse a step whose effects, in ``others`` by renaming, are not the same by any names."""
        values = self._values
        own, *_ = kinds = [self._by_kind(effects) for effects in others]
        images: dict[Effect, list[Number]] = {kind: [] for kind in own}
        for number, renamed in enumerate(kinds):
            is_same = len(renamed) == len(own)
            for kind, company in own.items():
                after = int(values.local_images[kind.after][number])
                sent = values.sent_image(kind.sent, number)
                image = renamed.get(kind._replace(after=after, sent=sent), ())
                is_same &= len(image) == len(company)
                images[kind].append(values.alike.number(image))
            if not is_same:
                node, state = values.locals[local]
                raise AsymmetryError(
                    f"node {node} in {state} does not do the same on {what} if the nodes are "
                    f"called {values.group[number].nodes}"
                )
        for kind, facts in images.items():
            if kind.fact != values.no_fact:
                values.alike_images.enter(facts)

    def _by_kind(self, effects: Effects) -> dict[Effect, Alike]:
        """Effects that differ in nothing but their facts: which facts these are."""
        kinds: dict[Effect, list[Number]] = {}
        for effect in effects:
            fact, _ = self._values.marked_facts[effect.fact]
            is_some = effect.fact != self._values.no_fact
            kind = effect._replace(fact=SOME_FACT) if is_some else effect
            kinds.setdefault(kind, []).append(fact)
        return {kind: tuple(sorted(facts)) for kind, facts in kinds.items()}

    # --- what is believed for now ------------------------------------------------------------

    def check_pure(self, look_at_the_clock: Callable[[], None]) -> None:
        """See, for some steps, that the same happens when it is asked again.

        Raises:
            ContractError: if it does not.
        """
        calls = self.calls
        for local in spread(tuple(self.own), ASKED_AGAIN):
            look_at_the_clock()
            known, again = self.own[local], self._occur(local)
            if known != again:
                node, state = self._values.locals[local]
                raise not_the_same(node, state, _differing(known, again))
        for local, message in spread(tuple(self.delivered), ASKED_AGAIN):
            look_at_the_clock()
            if self._deliver(local, message) != self.delivered[local, message]:
                raise not_the_same(*self._values.locals[local], self._values.messages[message])
        self.calls = calls

    def check_simulations(self) -> None:
        """See that no node comes round to a state by steps that each lead to one that may do more.

        Raises:
            MistakenClaim: if one does.
        """
        above: dict[Number, set[Number]] = {}
        for local, effects in self._all_effects():
            higher = {effect.after for effect in effects if effect.is_eager}
            above.setdefault(local, set()).update(higher - {local})
        try:
            TopologicalSorter(above).prepare()
        except CycleError as error:
            states = [str(self._values.locals[number][1]) for number in error.args[1]]
            raise MistakenClaim(
                f"of {', '.join(states)}, each is said to simulate the one before or after it, but "
                "not the others: what simulates must be transitive"
            ) from None

    def _all_effects(self) -> Iterator[tuple[Number, Effects]]:
        """All effects known, with the local state they are of."""
        for (local, _), effects in self.delivered.items():
            yield local, effects
        for local, own in self.own.items():
            for effects in own.values():
                yield local, effects

    # --- what is outdated --------------------------------------------------------------------

    def _compute_outdated(self, key: tuple[Number, Number]) -> bool:
        claimed = self._claims(*key)
        does = {effect._replace(reached=0) for effect in self.delivered[key]} if claimed else set()
        # Not to happen at all is to do nothing, too.
        if claimed and not does <= {self._nothing(key[0])}:
            raise MistakenClaim(
                f"{self._described(*key)} is said to be outdated, and does something all the same"
            )
        if self._values.is_symmetric and any(
            self._claims(*image) != claimed for image in self._images(key)
        ):
            raise AsymmetryError(f"{self._described(*key)} is outdated under some names only")
        return claimed

    def check_outdated(self) -> None:
        """See that what was forgotten did nothing to anything that its receiver became.

        Raises:
            MistakenClaim: if it would have.
        """
        becomes: dict[Number, set[Number]] = {}
        for local, effects in self._all_effects():
            becomes.setdefault(local, set()).update(effect.after for effect in effects)
        unseen = [key for key, outdated in self.outdated.items() if outdated]
        seen = set(unseen)
        while unseen:
            local, message = unseen.pop()
            for after in becomes.get(local, ()):
                key = after, message
                if not self.outdated[key]:
                    raise MistakenClaim(
                        f"{self._described(local, message)} is said to be outdated, but not to "
                        f"{self._values.locals[after][1]}, which that becomes"
                    )
                if key not in seen:
                    seen.add(key)
                    unseen.append(key)

    def _nothing(self, local: Number) -> Effect:
        """The effect of what does nothing."""
        sent, fact = self._values.nothing_sent, self._values.no_fact
        return Effect(
            local,
            sent,
            fact,
            NO_VIOLATION,
            breaks=False,
            reached=0,
            is_limited=False,
            is_eager=True,
        )

    def _claims(self, local: Number, message: Number) -> bool:
        return self._node.is_outdated(self._values.locals[local][1], self._values.messages[message])

    def _described(self, local: Number, message: Number) -> str:
        node, state = self._values.locals[local]
        return f"{self._values.messages[message]}, to node {node} in {state},"


def _differing(known: dict[E, Effects], again: dict[E, Effects]) -> object:
    """An event that is of the one and not of the other, or has other effects there."""
    return next(event for event in (*known, *again) if known.get(event) != again.get(event))
