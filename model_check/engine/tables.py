"""What a system's local states, messages and boxes do to each other, in numbers.

Every value gets a number: local states, messages, boxes (what one node has in flight), inboxes
(what of a box may be delivered to one receiver), facts and memories of the properties, and views.
`BaseTables` says in these numbers what the system says of the values, each entry computed when it
is first asked for. Behind each effect stands a call of the node's own `step`, made once. What
components do is derived from that (`model_check.engine.derived`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Generic, NamedTuple, TypeAlias, cast

import numpy as np

from model_check.engine import derived, kernels
from model_check.engine.arrays import Column, Lookup, numbers
from model_check.engine.compiled import (
    UNKNOWN,
    Int32s,
    Int64s,
)
from model_check.engine.derived import BaseTables, derive, empty_tables, way_of, with_room
from model_check.engine.kernels import (
    NO_VIOLATION,
    KernelTables,
)
from model_check.engine.symmetry import Group
from model_check.explore import AsymmetryError, MistakenClaim
from model_check.interned import Memo, Numbering
from model_check.system import Addressed, LocalStep, M, Network, Q, State, System, Violation
from spec.forms import E, H, NodeNumber, O, S

Number: TypeAlias = int

MOST_MILESTONES = 62
"""What was reached is kept as the bits of one number."""


class Effect(NamedTuple):
    """A step of a node, in numbers."""

    after: Number
    """The local state it leads to."""
    sent: Number
    fact: Number
    """0 for none."""
    rank: int
    """Of what it breaks by itself."""
    is_restart: bool
    reached: int
    """A bit for each milestone."""
    is_limited: bool


class Tables(Generic[S, E, O, M, Q, H]):
    """The tables of ``system``, closed under the renamings of ``group``.

    Raises:
        AsymmetryError: here or later, if something is not the same under other names.
        ValueError: if there are more than `MOST_MILESTONES` milestones.
    """

    def __init__(
        self, system: System[S, E, O, M, Q, H], group: Group, *, forgets: bool = False
    ) -> None:
        self.system = system
        self.group = group
        self._forgets = forgets
        self.core_calls = 0
        """Steps computed: how often the node's own step function was called."""
        self._is_symmetric = len(group) > 1
        # A network never looks into a message, so it carries numbers just as well.
        self._network = cast("Network[int, Hashable]", system.network)
        self._number_values()
        self._make_columns()
        self._memory_image_rows = numbers(len(group))
        self._memory_rank = numbers()
        self._remembered, self._compared = Lookup(), Lookup()
        self._derived = empty_tables(system.node.count, len(group))

    def _number_values(self) -> None:
        self._locals: Numbering[tuple[NodeNumber, S]] = Numbering()
        self._messages: Numbering[M] = Numbering()
        self._sent: Numbering[tuple[Addressed[int], ...]] = Numbering()
        self._facts: Numbering[Hashable] = Numbering()
        self._memories: Numbering[H] = Numbering()
        self._views: Numbering[tuple[NodeNumber, Hashable]] = Numbering()
        self._view_of: list[Number] = []
        """By view: a local state that looks like it."""
        self._boxes: Numbering[Hashable] = Numbering()
        self._inboxes: Numbering[tuple[int, ...]] = Numbering()
        self._milestones: Numbering[str] = Numbering()
        self._sent.number(())
        self._facts.number(None)

        self._receivers = Memo(self._receiver)
        self._effects = Memo(self._compute_effect)
        self._own_effects = Memo(self._compute_own_effects)
        self._local_views = Memo(self._compute_view)
        self._outdated = Memo(self._compute_outdated)
        self._kept = Memo(self._compute_kept)
        group = self.group
        self._local_images = group.images(self._rename_local)
        self._message_images = group.images(self._rename_message)
        self._box_images = group.images(self._rename_box)
        self._memory_images = group.images(self._rename_memory)
        self._fact_images = group.images(_unknown_fact)
        self._view_images = group.images(self._rename_view)

    def _make_columns(self) -> None:
        """The columns of `BaseTables`, by their names there."""
        nodes, renamings = self.system.node.count, len(self.group)
        self._local_node, self._local_view = numbers(), numbers()
        self._own, self._own_numbers = numbers(2), numbers()
        self._effect_rows = Column(7, np.int64)
        self._effect_lookup = Lookup()
        self._effect_numbers: dict[Effect, Number] = {}
        self._inbox_ranges, self._inbox_messages = numbers(2), numbers()
        self._box_inboxes, self._box_left, self._left_boxes = (
            numbers(nodes),
            numbers(nodes),
            numbers(),
        )
        self._box_losses, self._loss_boxes = numbers(2), numbers()
        self._sent_lookup, self._restarted_lookup = Lookup(), Lookup()
        self._forgotten_lookup = Lookup()
        self._local_image_rows, self._box_image_rows = numbers(renamings), numbers(renamings)
        self._most_own = self._longest_inbox = 0
        self._inbox(())

    # --- states and rows ---------------------------------------------------------------------

    def row(self, state: State[S, Q, H]) -> Int32s:
        """The row of a state of the system itself, under its own names."""
        row = []
        locals_ = [self._local(node, local) for node, local in enumerate(state.nodes, start=1)]
        for local, own in zip(locals_, state.in_flight, strict=True):
            box = self._box_of(own)
            if self._forgets:
                for other in locals_:
                    box = self._kept[box, other]
            self._analyse_box(box)
            row.append(derived.component_of(self._base(), self._derived, local, box))
        self._make_room()
        return np.array([*row, self._memory_number(state.memory)], np.int32)

    def canonical(self, row: Int32s) -> tuple[Int32s, int]:
        """The row that stands for ``row`` and all its renamings, and how many of these give it."""
        if not self._is_symmetric:
            return row, 1
        least = np.empty_like(row)
        while True:
            count, kind, key = kernels.canonical(self.kernel_tables(), row, least)
            if count > 0:
                return least, count
            self.fill(np.array([[kind, key, 0]], np.int64))

    def states_of(self, row: Int32s) -> tuple[S, ...]:
        """The local states of a row."""
        return tuple(self._locals[int(self._derived.local[component])][1] for component in row[:-1])

    def milestones(self, reached: int) -> list[str]:
        """The milestones whose bits are set."""
        return [self._milestones[bit] for bit in range(len(self._milestones)) if reached >> bit & 1]

    # --- what kernels ask for ----------------------------------------------------------------

    def kernel_tables(self) -> KernelTables:
        """Everything known so far, for the search to read."""
        self._memory_image_rows.pad(len(self._memories))
        memory_keys, memory_values = self._remembered.arrays()
        pair_keys, pair_values = self._compared.arrays()
        known = self._derived
        return KernelTables(
            local=known.local,
            box=known.box,
            inbox=known.inbox,
            internal=known.internal,
            views=known.views,
            left=known.left,
            left_targets=known.left_targets,
            cut=known.cut,
            entries=known.entries,
            entry_reached=known.entry_reached,
            received=known.received,
            forgotten_keys=known.forgotten_keys,
            forgotten_values=known.forgotten_values,
            memory_keys=memory_keys,
            memory_values=memory_values,
            memory_rank=self._memory_rank.array,
            pair_keys=pair_keys,
            pair_values=pair_values,
            images=known.images,
            leads=known.leads,
            lead_renamings=known.lead_renamings,
            memory_images=self._memory_image_rows.array,
            origins=self.group.origins,
        )

    def fill(self, missing: Int64s) -> None:
        """Find out what the search noted as missing: kind, and key."""
        requests = _distinct(missing)
        of_properties = np.isin(requests[:, 0], _OF_PROPERTIES)
        for kind, high, low in requests[of_properties].tolist():
            match kind:
                case kernels.MISSING_MEMORY:
                    self._remembered.enter(high, low, self._compute_remembered(high, low))
                case kernels.MISSING_PAIR:
                    self._compared.enter(high, low, self._compute_compared(high, low))
                case kernels.MISSING_MEMORY_IMAGES:
                    self._memory_image_rows.pad(len(self._memories))
                    self._memory_image_rows.array[high] = self._memory_images[high]
        self._derive(requests[~of_properties])

    def _derive(self, requests: Int64s) -> None:
        """Derive what is asked for, and ask the system for what that needs."""
        network = self.system.network
        while len(requests):
            self._make_room(len(requests))
            # Each time, since what was found out meanwhile may need more room.
            needs = np.empty((4 * max(len(requests), self._slack), 3), np.int64)
            unmet = np.empty_like(requests)
            position, noted, put_off = derive(
                self._base(),
                self._derived,
                requests,
                0,
                self._slack,
                network.keeps_delivered,
                network.breaks_on_restart,
                needs,
                unmet,
            )
            notes = _distinct(needs[:noted]).tolist()
            self.system.node.foresee(self._steps_noted(notes))
            for note in notes:
                self._meet(*note)
            requests = np.concatenate((unmet[:put_off], requests[position:]))

    def _steps_noted(self, notes: list[list[int]]) -> Iterator[tuple[NodeNumber, S, E]]:
        """The steps that a derivation noted it lacks; those under other names come on top."""
        for kind, high, low in notes:
            match kind:
                case derived.NEED_EFFECT:
                    yield *self._locals[high], self.system.node.arrival(self._messages[low])[1]
                case derived.NEED_OWN:
                    node, state = self._locals[high]
                    for event in self.system.node.events(node, state):
                        yield node, state, event

    @property
    def _slack(self) -> int:
        """Rows that one request may add to a table, at most; notes that it may make."""
        return len(self.group) + self._longest_inbox + self._most_own + 2

    def _meet(self, kind: int, high: int, low: int) -> None:
        """Find out what a derivation noted that the base lacks."""
        match kind:
            case derived.NEED_EFFECT:
                effect = self._effect_number(self._effects[high, low])
                self._effect_lookup.enter(high, low, effect)
            case derived.NEED_OWN:
                self._list_own_effects(high)
            case derived.NEED_SENT:
                sent = self._network.send(self._boxes[high], self._sent[low])
                self._sent_lookup.enter(high, low, self._boxes.number(sent))
            case derived.NEED_RESTARTED:
                sender, restarted = divmod(low, way_of(1, 0))
                left = self._network.restart(self._boxes[high], sender + 1, restarted + 1)
                self._restarted_lookup.enter(high, low, self._boxes.number(left))
            case derived.NEED_FORGOTTEN:
                self._forgotten_lookup.enter(high, low, self._kept[high, low])
            case derived.NEED_BOX:
                self._analyse_box(high)
            case derived.NEED_LOCAL_IMAGES:
                images = self._local_images[high]
                self._view_images.enter([self._local_views[image] for image in images.tolist()])
                self._local_image_rows.pad(len(self._locals))
                self._local_image_rows.array[high] = images
            case derived.NEED_BOX_IMAGES:
                images = self._box_images[high]
                self._box_image_rows.pad(len(self._boxes))
                self._box_image_rows.array[high] = images

    def _base(self) -> BaseTables:
        """Everything the system was asked so far."""
        locals_, boxes = len(self._locals), len(self._boxes)
        self._own.pad(locals_)
        self._local_image_rows.pad(locals_)
        for column in (self._box_inboxes, self._box_left, self._box_losses, self._box_image_rows):
            column.pad(boxes)
        effect_keys, effect_values = self._effect_lookup.arrays()
        sent_keys, sent_values = self._sent_lookup.arrays()
        restarted_keys, restarted_values = self._restarted_lookup.arrays()
        forgotten_keys, forgotten_values = self._forgotten_lookup.arrays()
        return BaseTables(
            local_node=self._local_node.array,
            local_view=self._local_view.array,
            own=self._own.array,
            own_effects=self._own_numbers.array,
            effects=self._effect_rows.array,
            effect_keys=effect_keys,
            effect_values=effect_values,
            inboxes=self._inbox_ranges.array,
            inbox_messages=self._inbox_messages.array,
            box_inboxes=self._box_inboxes.array,
            box_left=self._box_left.array,
            left_boxes=self._left_boxes.array,
            box_losses=self._box_losses.array,
            loss_boxes=self._loss_boxes.array,
            sent_keys=sent_keys,
            sent_values=sent_values,
            restarted_keys=restarted_keys,
            restarted_values=restarted_values,
            forgotten_keys=forgotten_keys,
            forgotten_values=forgotten_values,
            local_images=self._local_image_rows.array,
            box_images=self._box_image_rows.array,
            origins=self.group.origins,
        )

    # --- numbers for values ------------------------------------------------------------------

    def _local(self, node: NodeNumber, state: S) -> Number:
        known = len(self._locals)
        number = self._locals.number((node, state))
        if number == known:
            self._local_node.append(node - 1)
            self._local_view.append(self._local_views[number])
        return number

    def _box_of(self, own: Q) -> Number:
        """The number of what a node has in flight, whose messages become numbers, too."""
        network = cast("Network[Hashable, Hashable]", self._network)
        number = cast("Callable[[Hashable], int]", self._messages.number)
        return self._boxes.number(network.rename(own, number, lambda node: node))

    def _receiver(self, message: Number) -> NodeNumber:
        return self.system.node.arrival(self._messages[message])[0]

    def _inbox(self, messages: tuple[int, ...]) -> Number:
        known = len(self._inboxes)
        number = self._inboxes.number(messages)
        if number == known:
            self._longest_inbox = max(self._longest_inbox, len(messages))
            self._inbox_ranges.append((len(self._inbox_messages), len(messages)))
            for message in messages:
                self._inbox_messages.append(message)
        return number

    def _memory_number(self, memory: H) -> Number:
        known = len(self._memories)
        number = self._memories.number(memory)
        if number == known:
            is_beyond = self.system.watch.is_beyond(memory)
            rank = kernels.BEYOND if is_beyond else self._rank(self.system.watch.judge(memory))
            self._memory_rank.append(rank)
        return number

    def _rank(self, violation: Violation | None) -> int:
        return NO_VIOLATION if violation is None else self.system.watch.rank(violation)

    def _compute_view(self, local: Number) -> Number:
        node, state = self._locals[local]
        known = len(self._views)
        number = self._views.number((node, self.system.watch.view(state)))
        if number == known:
            self._view_of.append(local)
        return number

    def _analyse_box(self, box: Number) -> None:
        """What may be delivered from a box to whom, and what that, or a loss, leaves of it."""
        self._box_inboxes.pad(len(self._boxes))
        if self._box_inboxes.array[box, 0] != UNKNOWN:
            return
        contents = self._boxes[box]
        nodes = range(self.system.node.count)
        messages: list[list[int]] = [[] for _ in nodes]
        left: list[list[Number]] = [[] for _ in nodes]
        for deliver, remaining in self._network.deliveries(contents):
            receiver = self._receivers[deliver.message]
            messages[receiver - 1].append(deliver.message)
            left[receiver - 1].append(self._boxes.number(remaining))
        starts = []
        for each in left:
            starts.append(len(self._left_boxes))
            for remaining_box in each:
                self._left_boxes.append(remaining_box)
        first = len(self._loss_boxes)
        for _, rest in self._network.losses(contents):
            self._loss_boxes.append(self._boxes.number(rest))
        for column in (self._box_inboxes, self._box_left, self._box_losses):
            column.pad(len(self._boxes))
        self._box_inboxes.array[box] = [self._inbox(tuple(each)) for each in messages]
        self._box_left.array[box] = starts
        self._box_losses.array[box] = (first, len(self._loss_boxes) - first)

    # --- steps -------------------------------------------------------------------------------

    def _step(self, node: NodeNumber, state: S, event: E) -> Effect:
        self.core_calls += 1
        local: LocalStep[S, M] = self.system.local_step(node, state, event)
        addressed = ((receiver, self._messages.number(m)) for receiver, m in local.messages)
        return Effect(
            self._local(node, local.state),
            self._sent.number(_by_receiver(addressed)),
            0 if local.fact is None else self._facts.number(local.fact),
            self._rank(local.violation),
            local.is_restart,
            sum({1 << self._milestone(name) for name in local.reached}),
            local.fact is not None and self.system.watch.is_limited(local.fact),
        )

    def _milestone(self, name: str) -> Number:
        number = self._milestones.number(name)
        if number >= MOST_MILESTONES:
            raise ValueError(f"more than {MOST_MILESTONES} milestones: choose fewer")
        return number

    def _effect_number(self, effect: Effect) -> Number:
        known = len(self._effect_numbers)
        number = self._effect_numbers.setdefault(effect, known)
        if number == known:
            self._effect_rows.append(effect)
        return number

    def _list_own_effects(self, local: Number) -> None:
        effects = self._own_effects[local].values()
        first = len(self._own_numbers)
        for effect in effects:
            self._own_numbers.append(self._effect_number(effect))
        self._own.pad(len(self._locals))
        self._own.array[local] = (first, len(effects))
        self._most_own = max(self._most_own, len(effects))

    def _compute_effect(self, key: tuple[Number, Number]) -> Effect:
        """What the delivery of a message does to a local state."""
        local, message = key
        effect = self._effects[key] = self._deliver(local, message)
        if self._is_symmetric:
            images = zip(
                self._local_images[local].tolist(),
                self._message_images[message].tolist(),
                strict=True,
            )
            effects = []
            for image in images:
                if image not in self._effects:
                    self._effects[image] = self._deliver(*image)
                effects.append(self._effects[image])
            self._require_same(local, self._messages[message], effects)
        return effect

    def _deliver(self, local: Number, message: Number) -> Effect:
        node, state = self._locals[local]
        _, event = self.system.node.arrival(self._messages[message])
        return self._step(node, state, event)

    def _compute_own_effects(self, local: Number) -> dict[E, Effect]:
        """What the environment can do to a local state."""
        effects = self._own_effects[local] = self._occur(local)
        if self._is_symmetric:
            images = self._local_images[local].tolist()
            for image in images:
                if image not in self._own_effects:
                    self._own_effects[image] = self._occur(image)
            if any(len(self._own_effects[image]) != len(effects) for image in images):
                _, state = self._locals[local]
                raise AsymmetryError(f"under other names, other events can happen to {state}")
            for event in effects:
                renamed = (self.system.node.rename(event, names) for names in self.group.renamings)
                others = [
                    self._own_effects[image].get(name)
                    for image, name in zip(images, renamed, strict=True)
                ]
                self._require_same(local, event, others)
        return effects

    def _occur(self, local: Number) -> dict[E, Effect]:
        node, state = self._locals[local]
        events = self.system.node.events(node, state)
        return {event: self._step(node, state, event) for event in events}

    def _require_same(self, local: Number, what: object, effects: Sequence[Effect | None]) -> None:
        """Refuse a step whose ``effects``, by renaming, are not the same under other names."""
        (effect, *_) = effects
        assert effect is not None
        facts = [0 if other is None else other.fact for other in effects]
        self._fact_images.enter(facts)
        afters = self._local_images[effect.after].tolist()
        for number, other in enumerate(effects):
            image = effect._replace(
                after=afters[number], sent=self._sent_image(effect.sent, number), fact=facts[number]
            )
            if image != other:
                node, state = self._locals[local]
                raise AsymmetryError(
                    f"node {node} in {state} does not do the same on {what} if the nodes are "
                    f"called {self.group[number].nodes}"
                )

    def _sent_image(self, sent: Number, renaming: int) -> Number:
        node = self.group[renaming].node
        return self._sent.number(
            _by_receiver(
                (node(receiver), int(self._message_images[message][renaming]))
                for receiver, message in self._sent[sent]
            )
        )

    # --- what is outdated --------------------------------------------------------------------

    def _compute_kept(self, key: tuple[Number, Number]) -> Number:
        """A box without what is outdated to a receiver in some local state."""
        box, local = key
        node, _ = self._locals[local]
        contents = self._boxes[box]
        outdated = [
            message
            for message in self._network.messages(contents)
            if self._receivers[message] == node and self._outdated[local, message]
        ]
        return self._boxes.number(self._network.without(contents, outdated))

    def _compute_outdated(self, key: tuple[Number, Number]) -> bool:
        """Whether a message is outdated to a local state; if so, that it does nothing is seen."""
        claimed = self._claims(*key)
        if claimed and self._effects[key]._replace(reached=0) != _nothing(key[0]):
            raise MistakenClaim(
                f"{self._described(*key)} is said to be outdated, and does something all the same"
            )
        if self._is_symmetric:
            images = zip(
                self._local_images[key[0]].tolist(),
                self._message_images[key[1]].tolist(),
                strict=True,
            )
            if any(self._claims(*image) != claimed for image in images):
                raise AsymmetryError(f"{self._described(*key)} is outdated under some names only")
        return claimed

    def _claims(self, local: Number, message: Number) -> bool:
        return self.system.node.is_outdated(self._locals[local][1], self._messages[message])

    def _described(self, local: Number, message: Number) -> str:
        node, state = self._locals[local]
        return f"{self._messages[message]}, to node {node} in {state},"

    def check_outdated(self) -> None:
        """See that what was forgotten did nothing to anything that its receiver became.

        Raises:
            MistakenClaim: if it would have.
        """
        becomes: dict[Number, set[Number]] = {}
        for (local, _), effect in self._effects.items():
            becomes.setdefault(local, set()).add(effect.after)
        for local, effects in self._own_effects.items():
            becomes.setdefault(local, set()).update(effect.after for effect in effects.values())
        unseen = [key for key, outdated in self._outdated.items() if outdated]
        seen = set(unseen)
        while unseen:
            local, message = unseen.pop()
            for after in becomes.get(local, ()):
                key = after, message
                if not self._outdated[key]:
                    raise MistakenClaim(
                        f"{self._described(local, message)} is said to be outdated, but not to "
                        f"{self._locals[after][1]}, which that becomes"
                    )
                if key not in seen:
                    seen.add(key)
                    unseen.append(key)

    # --- properties --------------------------------------------------------------------------

    def _compute_remembered(self, memory: Number, fact: Number) -> Number:
        """The memory that a memory and a fact make."""
        after = self._remember(memory, fact)
        if self._is_symmetric:
            images = zip(
                self._memory_images[memory].tolist(), self._fact_images[fact].tolist(), strict=True
            )
            expected = self._memory_images[after].tolist()
            if [self._remember(*image) for image in images] != expected:
                raise AsymmetryError(
                    f"the properties remember {self._facts[fact]} otherwise under other names"
                )
        return after

    def _remember(self, memory: Number, fact: Number) -> Number:
        remembered = self.system.watch.remember(self._memories[memory], self._facts[fact])
        return self._memory_number(remembered)

    def _compute_compared(self, view: Number, other: Number) -> int:
        """The rank of what two views break together."""
        rank = self._compare(view, other)
        if self._is_symmetric:
            images = zip(
                self._view_images[view].tolist(), self._view_images[other].tolist(), strict=True
            )
            if {self._compare(*pair) for pair in images} != {rank}:
                raise AsymmetryError(
                    f"the properties compare {self._views[view]} and {self._views[other]} "
                    "otherwise under other names"
                )
        return rank

    def _compare(self, view: Number, other: Number) -> int:
        (node, seen), (other_node, other_seen) = self._views[view], self._views[other]
        return self._rank(self.system.watch.compare(node, seen, other_node, other_seen))

    # --- other names -------------------------------------------------------------------------

    def _rename_local(self, local: Number, renaming: int) -> Number:
        node, state = self._locals[local]
        names = self.group[renaming]
        return self._local(names.node(node), self.system.node.rename(state, names))

    def _rename_view(self, view: Number, renaming: int) -> Number:
        """A view under other names: that of a local state that looks like it."""
        return self._local_views[int(self._local_images[self._view_of[view]][renaming])]

    def _rename_message(self, message: Number, renaming: int) -> Number:
        renamed = self.system.node.rename(self._messages[message], self.group[renaming])
        return self._messages.number(renamed)

    def _rename_box(self, box: Number, renaming: int) -> Number:
        return self._boxes.number(
            self._network.rename(
                self._boxes[box],
                lambda message: int(self._message_images[message][renaming]),
                self.group[renaming].node,
            )
        )

    def _rename_memory(self, memory: Number, renaming: int) -> Number:
        names = self.group[renaming]
        renamed = self._memory_number(self.system.watch.rename(self._memories[memory], names))
        if self._memory_rank.array[renamed] != self._memory_rank.array[memory]:
            raise AsymmetryError("the properties judge what they remember otherwise under others")
        return renamed

    def _make_room(self, requests: int = 1) -> None:
        self._derived = with_room(self._derived, self._slack * 4 + requests)


_OF_PROPERTIES = (
    kernels.MISSING_MEMORY,
    kernels.MISSING_PAIR,
    kernels.MISSING_MEMORY_IMAGES,
)
"""What is missing that has nothing to do with components."""


def _distinct(notes: Int64s) -> Int64s:
    """Notes in ascending order, each once. No number in them needs more than 29 bits."""
    packed = np.unique(notes[:, 0] << 58 | notes[:, 1] << 29 | notes[:, 2])
    mask = (1 << 29) - 1
    return np.stack((packed >> 58, packed >> 29 & mask, packed & mask), axis=1)


def _nothing(local: Number) -> Effect:
    """The effect of what does nothing."""
    return Effect(local, 0, 0, NO_VIOLATION, is_restart=False, reached=0, is_limited=False)


def _unknown_fact(fact: Number, renaming: int) -> Number:
    raise AssertionError(f"fact {fact} is of no step, under renaming {renaming}")


def _by_receiver(addressed: Iterable[Addressed[int]]) -> tuple[Addressed[int], ...]:
    """Messages by receiver: only the order of those to the same receiver means anything."""
    return tuple(sorted(addressed, key=lambda item: item[0]))
