"""A system as tables of numbers, each entry computed when a kernel first asks for it.

What a node can do depends on its own state alone, and what may arrive from another node depends on
what that one sent. So the unit of everything here is a node's *component*: its local state together
with what it has in flight. Every value gets a number: local states, messages, boxes (what one node
has in flight), inboxes (what of a box may be delivered to one receiver), components, facts and
memories of the properties, and views. The tables say, for instance, that component 17 with inbox 4
of some sender becomes component 23 or 29. Behind each such entry stands a call of the node's own
`step`, made once.

Lists leave out what leads nowhere new, and repetitions; they say how many transitions they stand
for, and which milestones these reach.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Generic, NamedTuple, TypeAlias, cast

import numpy as np

from model_check.engine import kernels
from model_check.engine.arrays import Column, Lookup
from model_check.engine.kernels import NO_VIOLATION, RESTART, Int64s, KernelTables
from model_check.engine.symmetry import AsymmetryError, Group
from model_check.interned import Memo, Numbering
from model_check.system import Addressed, LocalStep, M, Network, Q, State, System, Violation
from spec.forms import E, H, NodeNumber, O, S

Number: TypeAlias = int


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
    reached: frozenset[str]


class Box(NamedTuple):
    """What a node has in flight, as far as the others may receive it."""

    inboxes: tuple[Number, ...]
    """By receiver."""
    left: tuple[tuple[Number, ...], ...]
    """By receiver, and by message of the inbox: the box that its delivery leaves."""
    after_loss: tuple[Number, ...]
    """The box that each loss leaves."""


class Tables(Generic[S, E, O, M, Q, H]):
    """The tables of ``system``, closed under the renamings of ``group``.

    Raises:
        AsymmetryError: here or later, if something is not the same under other names.
    """

    def __init__(self, system: System[S, E, O, M, Q, H], group: Group) -> None:
        self.system = system
        self.group = group
        self.core_calls = 0
        """Steps computed: how often the node's own step function was called."""
        self._is_symmetric = len(group) > 1
        # A network never looks into a message, so it carries numbers just as well.
        self._network = cast("Network[int, Hashable]", system.network)
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
        self._components: Numbering[tuple[Number, Number]] = Numbering()
        self.reached_sets: Numbering[frozenset[str]] = Numbering()

        self._own_effects = Memo(self._compute_own_effects)
        self._effects = Memo(self._compute_effect)
        self._box_facts = Memo(self._compute_box)
        self._boxes_sent = Memo(self._compute_box_sent)
        self._boxes_restarted = Memo(self._compute_box_restarted)
        self._remembered = Memo(self._compute_remembered)
        self._compared = Memo(self._compute_compared)
        self._local_views = Memo(self._compute_view)

        self._local_images = group.images(self._rename_local)
        self._message_images = group.images(self._rename_message)
        self._box_images = group.images(self._rename_box)
        self._memory_images = group.images(self._rename_memory)
        self._fact_images = group.images(_unknown_fact)
        self._view_images = group.images(self._rename_view)
        self._seen: set[Number] = set()
        """Local states whose views are known to be the same under other names."""

        nodes = system.node.count
        self._inbox, self._internal, self._view = Column(nodes), Column(), Column()
        self._left, self._left_targets, self._cut = Column(nodes), Column(), Column(nodes)
        self._lists, self._entries = Column(4), Column(4)
        self._received, self._memory, self._pairs = Lookup(), Lookup(), Lookup()
        self._memory_rank, self._memory_image_rows = Column(), Column(len(group))
        self._image_rows, self._leads, self._lead_renamings = (
            Column(len(group)),
            Column(3),
            Column(),
        )

        self._sent.number(())
        self._facts.number(None)
        self._inboxes.number(())
        self._empty = self._boxes.number(self._network.empty())

    # --- states and rows ---------------------------------------------------------------------

    def row(self, state: State[S, Q, H]) -> list[Number]:
        """The row of a state of the system itself, under its own names."""
        components = [
            self._component(self._local(node, local), self._box(own))
            for node, (local, own) in enumerate(
                zip(state.nodes, state.in_flight, strict=True), start=1
            )
        ]
        return [*components, self._memory_number(state.memory)]

    def canonical(self, row: list[Number]) -> tuple[tuple[Number, ...], int]:
        """The row that stands for ``row`` and all its renamings, the least of them; and how many of
        the renamings give it."""
        images = [self._component_images(component) for component in row[:-1]]
        memories = self._memory_images[row[-1]].tolist() if self._is_symmetric else [row[-1]]
        renamed = [
            (*(images[origin][number] for origin in origins), memories[number])
            for number, origins in enumerate(self.group.origins.tolist())
        ]
        least = min(renamed)
        return least, renamed.count(least)

    def states_of(self, row: Iterable[int]) -> tuple[S, ...]:
        """The local states of a row."""
        *components, _ = row
        return tuple(self._locals[self._components[component][0]][1] for component in components)

    # --- what kernels ask for ----------------------------------------------------------------

    def kernel_tables(self) -> KernelTables:
        """Everything known so far, for the kernels to read."""
        count = len(self._components)
        for column in (self._internal, self._left, self._cut, self._image_rows, self._leads):
            column.pad(count)
        self._memory_image_rows.pad(len(self._memories))
        received_keys, received_values = self._received.arrays()
        memory_keys, memory_values = self._memory.arrays()
        pair_keys, pair_values = self._pairs.arrays()
        return KernelTables(
            inbox=self._inbox.array,
            internal=self._internal.array,
            views=self._view.array,
            left=self._left.array,
            left_targets=self._left_targets.array,
            cut=self._cut.array,
            lists=self._lists.array,
            entries=self._entries.array,
            received_keys=received_keys,
            received_values=received_values,
            memory_keys=memory_keys,
            memory_values=memory_values,
            memory_rank=self._memory_rank.array,
            pair_keys=pair_keys,
            pair_values=pair_values,
            images=self._image_rows.array,
            leads=self._leads.array,
            lead_renamings=self._lead_renamings.array,
            memory_images=self._memory_image_rows.array,
            origins=self.group.origins,
        )

    def fill(self, missing: Int64s) -> None:
        """Compute what the kernels noted as missing: kind, and key."""
        for kind, high, low in np.unique(missing, axis=0).tolist():
            match kind:
                case kernels.MISSING_INTERNAL:
                    self._fill_internal(high)
                case kernels.MISSING_RECEIVED:
                    self._fill_received(high, low)
                case kernels.MISSING_MEMORY:
                    self._memory.enter(high, low, self._remembered[high, low])
                case kernels.MISSING_PAIR:
                    self._pairs.enter(high, low, self._compared[high, low])
                case kernels.MISSING_LEFT:
                    self._fill_left(high, low)
                case kernels.MISSING_CUT:
                    self._fill_cut(high, low)
                case kernels.MISSING_IMAGES:
                    self._fill_images(high)
                case kernels.MISSING_MEMORY_IMAGES:
                    self._fill_memory_images(high)

    def _fill_internal(self, component: Number) -> None:
        """List what may happen to a component by itself: events at the node, and losses."""
        local, box = self._components[component]
        node, _ = self._locals[local]
        breaks = self._network.breaks_on_restart
        entries: dict[tuple[int, int, int, int], None] = {}
        effects = self._own_effects[local].values()
        for effect in effects:
            cuts = effect.is_restart and breaks
            kept = self._boxes_restarted[box, node, node] if cuts else box
            target = self._component(effect.after, self._boxes_sent[kept, effect.sent])
            entry = (target, effect.fact, effect.rank, RESTART if cuts else 0)
            if entry != (component, 0, NO_VIOLATION, 0):
                entries[entry] = None
        losses = self._box_facts[box].after_loss
        for left in losses:
            entries[self._component(local, left), 0, NO_VIOLATION, 0] = None
        reached = frozenset[str]().union(*(effect.reached for effect in effects))
        self._internal.pad(component + 1)
        self._internal.array[component] = self._list(entries, len(effects) + len(losses), reached)

    def _fill_received(self, component: Number, inbox: Number) -> None:
        """List what the deliveries of an inbox do to a component."""
        local, box = self._components[component]
        keeps = self._network.keeps_delivered
        messages = self._inboxes[inbox]
        effects = [self._effects[local, message] for message in messages]
        entries: dict[tuple[int, int, int, int], None] = {}
        for position, effect in enumerate(effects):
            target = self._component(effect.after, self._boxes_sent[box, effect.sent])
            entry = (target, effect.fact, effect.rank, 0 if keeps else position)
            if not keeps or entry != (component, 0, NO_VIOLATION, 0):
                entries[entry] = None
        reached = frozenset[str]().union(*(effect.reached for effect in effects))
        self._received.enter(component, inbox, self._list(entries, len(messages), reached))

    def _fill_left(self, component: Number, receiver: int) -> None:
        """What each delivery to a receiver leaves of the sender's component."""
        local, box = self._components[component]
        offset = len(self._left_targets)
        for left in self._box_facts[box].left[receiver]:
            self._left_targets.append(self._component(local, left))
        self._left.pad(component + 1)
        self._left.array[component, receiver] = offset

    def _fill_cut(self, component: Number, restarted: int) -> None:
        """What a component becomes when another node restarts."""
        local, box = self._components[component]
        node, _ = self._locals[local]
        kept = self._boxes_restarted[box, node, restarted + 1]
        self._cut.pad(component + 1)
        self._cut.array[component, restarted] = self._component(local, kept)

    def _fill_images(self, component: Number) -> None:
        """A component under all other names; and the least of them as node 1, how it comes about."""
        images = self._component_images(component)
        node, _ = self._locals[self._components[component][0]]
        to_first = np.flatnonzero(self.group.origins[:, 0] == node - 1).tolist()
        least = min(images[renaming] for renaming in to_first)
        leading = [renaming for renaming in to_first if images[renaming] == least]
        offset = len(self._lead_renamings)
        for renaming in leading:
            self._lead_renamings.append(renaming)
        self._image_rows.pad(len(self._components))
        self._leads.pad(len(self._components))
        self._image_rows.array[component] = images
        self._leads.array[component] = (least, offset, len(leading))

    def _fill_memory_images(self, memory: Number) -> None:
        """A memory under all other names."""
        images = self._memory_images[memory]
        self._memory_image_rows.pad(len(self._memories))
        self._memory_image_rows.array[memory] = images

    def _list(
        self,
        entries: Iterable[tuple[int, int, int, int]],
        transitions: int,
        reached: frozenset[str],
    ) -> Number:
        number, offset = len(self._lists), len(self._entries)
        for entry in entries:
            self._entries.append(entry)
        length = len(self._entries) - offset
        self._lists.append((offset, length, transitions, self.reached_sets.number(reached)))
        return number

    # --- numbers for values ------------------------------------------------------------------

    def _local(self, node: NodeNumber, state: S) -> Number:
        return self._locals.number((node, state))

    def _box(self, own: Q) -> Number:
        """The number of what a node has in flight, whose messages become numbers, too."""
        network = cast("Network[Hashable, Hashable]", self._network)
        number = cast("Callable[[Hashable], int]", self._messages.number)
        return self._boxes.number(network.rename(own, number, lambda node: node))

    def _component(self, local: Number, box: Number) -> Number:
        known = len(self._components)
        number = self._components.number((local, box))
        if number == known:
            self._inbox.append(self._box_facts[box].inboxes)
            self._view.append(self._local_views[local])
        return number

    def _memory_number(self, memory: H) -> Number:
        known = len(self._memories)
        number = self._memories.number(memory)
        if number == known:
            self._memory_rank.append(self._rank(self.system.watch.judge(memory)))
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
            frozenset(local.reached),
        )

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

    # --- boxes -------------------------------------------------------------------------------

    def _compute_box(self, box: Number) -> Box:
        contents = self._boxes[box]
        nodes = range(self.system.node.count)
        inboxes: list[list[int]] = [[] for _ in nodes]
        left: list[list[Number]] = [[] for _ in nodes]
        for deliver, remaining in self._network.deliveries(contents):
            receiver, _ = self.system.node.arrival(self._messages[deliver.message])
            inboxes[receiver - 1].append(deliver.message)
            left[receiver - 1].append(self._boxes.number(remaining))
        after_loss = (self._boxes.number(rest) for _, rest in self._network.losses(contents))
        return Box(
            tuple(self._inboxes.number(tuple(messages)) for messages in inboxes),
            tuple(map(tuple, left)),
            tuple(after_loss),
        )

    def _compute_box_sent(self, key: tuple[Number, Number]) -> Number:
        box, sent = key
        return self._boxes.number(self._network.send(self._boxes[box], self._sent[sent]))

    def _compute_box_restarted(self, key: tuple[Number, NodeNumber, NodeNumber]) -> Number:
        box, sender, node = key
        return self._boxes.number(self._network.restart(self._boxes[box], sender, node))

    # --- properties --------------------------------------------------------------------------

    def _compute_remembered(self, key: tuple[Number, Number]) -> Number:
        """The memory that a memory and a fact make."""
        after = self._remembered[key] = self._remember(*key)
        if self._is_symmetric:
            memories, facts = self._memory_images[key[0]], self._fact_images[key[1]]
            images = zip(memories.tolist(), facts.tolist(), strict=True)
            expected = self._memory_images[after].tolist()
            if [self._remember(*image) for image in images] != expected:
                raise AsymmetryError(
                    f"the properties remember {self._facts[key[1]]} otherwise under other names"
                )
        return after

    def _remember(self, memory: Number, fact: Number) -> Number:
        remembered = self.system.watch.remember(self._memories[memory], self._facts[fact])
        return self._memory_number(remembered)

    def _compute_compared(self, key: tuple[Number, Number]) -> int:
        """The rank of what two views break together."""
        rank = self._compare(*key)
        if self._is_symmetric:
            views, others = (self._view_images[view].tolist() for view in key)
            if {self._compare(*pair) for pair in zip(views, others, strict=True)} != {rank}:
                raise AsymmetryError(
                    f"the properties compare {[self._views[view] for view in key]} otherwise "
                    "under other names"
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

    def _component_images(self, component: Number) -> list[Number]:
        local, box = self._components[component]
        if not self._is_symmetric:
            return [component]
        locals_, boxes = self._local_images[local].tolist(), self._box_images[box].tolist()
        if local not in self._seen:
            self._view_images.enter([self._local_views[image] for image in locals_])
            self._seen.update(locals_)
        return [self._component(*pair) for pair in zip(locals_, boxes, strict=True)]


def _unknown_fact(fact: Number, renaming: int) -> Number:
    raise AssertionError(f"fact {fact} is of no step, under renaming {renaming}")


def _by_receiver(addressed: Iterable[Addressed[int]]) -> tuple[Addressed[int], ...]:
    """Messages by receiver: only the order of those to the same receiver means anything."""
    return tuple(sorted(addressed, key=lambda item: item[0]))
