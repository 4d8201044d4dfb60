"""What a system's local states, messages and boxes do to each other, as tables for kernels.

`BaseTables` says in numbers what the system says of its values, each entry entered when it is first
asked for. What components do is derived from that (`model_check.engine.derived`), and what the
search needs is `KernelTables`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import Generic, cast

import numpy as np

from model_check.contracts import ContractError
from model_check.engine import derived, kernels, layout
from model_check.engine.arrays import Column, Lookup, numbers
from model_check.engine.compiled import UNKNOWN, Int32s, Int64s
from model_check.engine.derived import derive, way_of
from model_check.engine.growing import empty_tables, with_room
from model_check.engine.judgements import Judgements
from model_check.engine.layout import BaseTables, KernelTables
from model_check.engine.steps import Effect, Effects, Steps
from model_check.engine.symmetry import Group
from model_check.engine.values import Number, Values
from model_check.interned import Memo, Numbering
from model_check.system import Addressed, M, Network, Q, State, System
from spec.forms import E, H, NodeNumber, O, S


class Tables(Generic[S, E, O, M, Q, H]):
    """The tables of ``system``, closed under the renamings of ``group``.

    Raises:
        AsymmetryError: here or later, if something is not the same under other names.
        ValueError: if there are more milestones than `MOST_MILESTONES`.
    """

    def __init__(
        self,
        system: System[S, E, O, M, Q, H],
        group: Group,
        *,
        forgets: bool = False,
        look_at_the_clock: Callable[[], None] = lambda: None,
    ) -> None:
        """``look_at_the_clock`` is called now and then, and may raise to end what is going on."""
        self._values = Values(system, group)
        self._steps = Steps(self._values)
        self._judgements = Judgements(self._values)
        self._network = self._values.network
        self._node = system.node
        self._group = group
        self._forgets = forgets
        self._look_at_the_clock = look_at_the_clock
        self._kept = Memo(self._without_outdated)
        self._make_columns()
        self._remembered, self._compared = Lookup(), Lookup()
        self._memory_images = numbers(len(group))
        self._derived = empty_tables(system.node.count, len(group))

    def _make_columns(self) -> None:
        """The columns of `BaseTables`, by their names there."""
        nodes, renamings = self._node.count, len(self._group)
        self._own, self._own_effects = numbers(2), numbers()
        self._effects = Column(8, np.int64)
        self._choices = numbers(2)
        self._choice_effects = numbers()
        self._choice_numbers: Numbering[Effects] = Numbering()
        self._effect_numbers: Numbering[Effect] = Numbering()
        self._delivered = Lookup()
        self._inboxes, self._inbox_messages = numbers(2), numbers()
        self._inbox_numbers: Numbering[tuple[int, ...]] = Numbering()
        self._box_inboxes, self._box_left = numbers(nodes), numbers(nodes)
        self._left_boxes = numbers()
        self._box_losses, self._loss_boxes = numbers(2), numbers()
        self._sent, self._restarted, self._forgotten = Lookup(), Lookup(), Lookup()
        self._local_images, self._box_images = numbers(renamings), numbers(renamings)
        self._most_own = self._longest_inbox = self._most_losses = 0
        self._most_choices = 1
        self._inbox(())

    @property
    def core_calls(self) -> int:
        """Steps computed: how often the node's own step function was called."""
        return self._steps.calls

    def check_pure(self) -> None:
        """See `Steps.check_pure`."""
        self._steps.check_pure(self._look_at_the_clock)

    def check_simulations(self) -> None:
        """See `Steps.check_simulations`."""
        self._steps.check_simulations()

    def check_outdated(self) -> None:
        """See `Steps.check_outdated`."""
        self._steps.check_outdated()

    def milestones(self, reached: int) -> list[str]:
        """The milestones whose bits are set."""
        return self._values.milestones(reached)

    # --- states and rows ---------------------------------------------------------------------

    def row(self, state: State[S, Q, H]) -> Int32s:
        """The row of a state of the system itself, under its own names."""
        row = []
        locals_ = [
            self._values.local(node, local) for node, local in enumerate(state.nodes, start=1)
        ]
        for local, own in zip(locals_, state.in_flight, strict=True):
            box = self._values.box(own)
            if self._forgets:
                for other in locals_:
                    box = self._kept[box, other]
            self._analyse_box(box)
            row.append(derived.component_of(self._base(), self._derived, local, box))
        self._make_room()
        return np.array([*row, self._values.memory(state.memory)], np.int32)

    def canonical(self, row: Int32s) -> tuple[Int32s, int]:
        """The row that stands for ``row`` and all its renamings, and how many of these give it."""
        if not self._values.is_symmetric:
            return row, 1
        least = np.empty_like(row)
        while True:
            count, kind, key = kernels.canonical(self.kernel_tables(), row, least)
            if count > 0:
                return least, count
            self.fill(np.array([[kind, key, 0]], np.int64))

    def seen(self, rows: Int32s) -> Int32s:
        """What the properties see of rows: the view of each node, and what they remember."""
        views = self._derived.views[rows[:, :-1]]
        return np.concatenate((views, rows[:, -1:]), axis=1)

    def states_of(self, row: Int32s) -> tuple[S, ...]:
        """The local states of a row."""
        return tuple(
            self._values.locals[int(self._derived.local[component])][1] for component in row[:-1]
        )

    def state_of(self, row: Int32s) -> State[S, Q, H]:
        """The state of the system that a row stands for."""
        network = cast("Network[Hashable, Hashable]", self._network)
        message = cast("Callable[[Hashable], Hashable]", self._values.messages.__getitem__)
        boxes = (self._values.boxes[int(self._derived.box[component])] for component in row[:-1])
        in_flight = tuple(network.rename(box, message, lambda node: node) for box in boxes)
        memory = self._values.memories[int(row[-1])]
        return State(self.states_of(row), cast("tuple[Q, ...]", in_flight), memory)

    def local_state(self, number: Number) -> S:
        """The local state of this number."""
        return self._values.locals[number][1]

    def deliverable(self, inbox: Number) -> Iterator[M]:
        """What may be delivered of an inbox."""
        return (self._values.messages[message] for message in self._inbox_numbers[inbox])

    # --- what kernels ask for ----------------------------------------------------------------

    def kernel_tables(self) -> KernelTables:
        """Everything known so far, for the search to read."""
        self._memory_images.pad(len(self._values.memories))
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
            memory_rank=self._values.memory_rank.array,
            pair_keys=pair_keys,
            pair_values=pair_values,
            images=known.images,
            leads=known.leads,
            lead_renamings=known.lead_renamings,
            memory_images=self._memory_images.array,
            origins=self._group.origins,
        )

    def fill(self, missing: Int64s) -> None:
        """Find out what the search noted as missing: kind, and key."""
        requests = _distinct(missing)
        of_properties = np.isin(requests[:, 0], _OF_PROPERTIES)
        for kind, high, low in requests[of_properties].tolist():
            self._look_at_the_clock()
            match kind:
                case layout.MISSING_MEMORY:
                    self._remembered.enter(high, low, self._judgements.remembered(high, low))
                case layout.MISSING_PAIR:
                    self._compared.enter(high, low, self._judgements.compared(high, low))
                case layout.MISSING_MEMORY_IMAGES:
                    self._memory_images.pad(len(self._values.memories))
                    self._memory_images.array[high] = self._values.memory_images[high]
                case _:
                    raise AssertionError(f"the search noted {kind}")
        self._derive(requests[~of_properties])

    def _derive(self, requests: Int64s) -> None:
        """Derive what is asked for, and ask the system for what that needs."""
        network = self._network
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
                needs,
                unmet,
            )
            notes = _distinct(needs[:noted]).tolist()
            self._node.foresee(self._steps_noted(notes))
            for note in notes:
                self._look_at_the_clock()
                self._meet(*note)
            requests = np.concatenate((unmet[:put_off], requests[position:]))

    def _steps_noted(self, notes: list[list[int]]) -> Iterator[tuple[NodeNumber, S, E]]:
        """The steps that a derivation noted it lacks; those under other names come on top."""
        for kind, high, low in notes:
            match kind:
                case layout.NEED_EFFECT:
                    yield (
                        *self._values.locals[high],
                        self._node.arrival(self._values.messages[low])[1],
                    )
                case layout.NEED_OWN:
                    node, state = self._values.locals[high]
                    for event in self._node.events(node, state):
                        yield node, state, event
                case _:
                    pass  # asks for no step

    @property
    def _slack(self) -> int:
        """Rows that one request may add to a table, at most; notes that it may make.

        Kernels write without looking whether there is room: this must be an upper bound of what
        each ``derive_...`` adds, and known before it is called.
        """
        received = self._longest_inbox * self._most_choices
        return len(self._group) + received + self._most_own + self._most_losses + 2

    def _meet(self, kind: int, high: int, low: int) -> None:
        """Find out what a derivation noted that the base lacks."""
        match kind:
            case layout.NEED_EFFECT:
                choices = self._choices_number(self._steps.delivered[high, low])
                self._delivered.enter(high, low, choices)
            case layout.NEED_OWN:
                self._list_own_effects(high)
            case layout.NEED_SENT:
                sent = self._send(self._values.boxes[high], self._values.sent[low])
                self._sent.enter(high, low, self._values.boxes.number(sent))
            case layout.NEED_RESTARTED:
                sender, restarted = divmod(low, way_of(1, 0))
                left = self._network.restart(self._values.boxes[high], sender + 1, restarted + 1)
                self._restarted.enter(high, low, self._values.boxes.number(left))
            case layout.NEED_FORGOTTEN:
                self._forgotten.enter(high, low, self._kept[high, low])
            case layout.NEED_BOX:
                self._analyse_box(high)
            case layout.NEED_LOCAL_IMAGES:
                images = self._values.local_images[high]
                self._values.view_images.enter(
                    [self._values.local_views[image] for image in images.tolist()]
                )
                self._local_images.pad(len(self._values.locals))
                self._local_images.array[high] = images
            case layout.NEED_BOX_IMAGES:
                images = self._values.box_images[high]
                self._box_images.pad(len(self._values.boxes))
                self._box_images.array[high] = images
            case _:
                raise AssertionError(f"a derivation noted {kind}")

    def _send(self, box: Hashable, messages: tuple[Addressed[int], ...]) -> Hashable:
        """What a box becomes by sending ``messages``, whose order is as in `Values.messages_sent`.

        Raises:
            ContractError: if it matters, and the network says that it does not.
        """
        sent = self._network.send(box, messages)
        if not self._network.keeps_order and sent != self._network.send(box, messages[::-1]):
            raise ContractError(
                f"{type(self._network).__name__} says that it keeps no order, but does not treat "
                "messages the same that are sent in another"
            )
        return sent

    def _base(self) -> BaseTables:
        """Everything the system was asked so far."""
        locals_, boxes = len(self._values.locals), len(self._values.boxes)
        self._own.pad(locals_)
        self._local_images.pad(locals_)
        for column in (self._box_inboxes, self._box_left, self._box_losses, self._box_images):
            column.pad(boxes)
        effect_keys, effect_values = self._delivered.arrays()
        sent_keys, sent_values = self._sent.arrays()
        restarted_keys, restarted_values = self._restarted.arrays()
        forgotten_keys, forgotten_values = self._forgotten.arrays()
        return BaseTables(
            local_node=self._values.local_node.array,
            local_view=self._values.local_view.array,
            own=self._own.array,
            own_effects=self._own_effects.array,
            effects=self._effects.array,
            choices=self._choices.array,
            choice_effects=self._choice_effects.array,
            effect_keys=effect_keys,
            effect_values=effect_values,
            inboxes=self._inboxes.array,
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
            local_images=self._local_images.array,
            box_images=self._box_images.array,
            origins=self._group.origins,
        )

    # --- entries of the base ------------------------------------------------------------------

    def _effect_number(self, effect: Effect) -> Number:
        known = len(self._effect_numbers)
        number = self._effect_numbers.number(effect)
        if number == known:
            self._effects.append(effect)
        return number

    def _choices_number(self, effects: Effects) -> Number:
        known = len(self._choice_numbers)
        number = self._choice_numbers.number(effects)
        if number == known:
            self._most_choices = max(self._most_choices, len(effects))
            self._choices.append((len(self._choice_effects), len(effects)))
            for effect in effects:
                self._choice_effects.append(self._effect_number(effect))
        return number

    def _list_own_effects(self, local: Number) -> None:
        first = len(self._own_effects)
        for effects in self._steps.own[local].values():
            for effect in effects:
                self._own_effects.append(self._effect_number(effect))
        count = len(self._own_effects) - first
        self._own.pad(len(self._values.locals))
        self._own.array[local] = (first, count)
        self._most_own = max(self._most_own, count)

    def _inbox(self, messages: tuple[int, ...]) -> Number:
        known = len(self._inbox_numbers)
        number = self._inbox_numbers.number(messages)
        if number == known:
            self._longest_inbox = max(self._longest_inbox, len(messages))
            self._inboxes.append((len(self._inbox_messages), len(messages)))
            for message in messages:
                self._inbox_messages.append(message)
        return number

    def _analyse_box(self, box: Number) -> None:
        """What may be delivered from a box to whom, and what that, or a loss, leaves of it."""
        self._box_inboxes.pad(len(self._values.boxes))
        if self._box_inboxes.array[box, 0] != UNKNOWN:
            return
        contents = self._values.boxes[box]
        nodes = range(self._node.count)
        messages: list[list[int]] = [[] for _ in nodes]
        left: list[list[Number]] = [[] for _ in nodes]
        for deliver, remaining in self._network.deliveries(contents):
            if self._network.keeps_delivered and remaining != contents:
                raise ContractError(
                    f"{type(self._network).__name__} says that it keeps what it delivers, but "
                    f"{self._values.messages[deliver.message]} is not in flight as before"
                )
            receiver = self._values.receivers[deliver.message]
            messages[receiver - 1].append(deliver.message)
            left[receiver - 1].append(self._values.boxes.number(remaining))
        starts = []
        for each in left:
            starts.append(len(self._left_boxes))
            for remaining_box in each:
                self._left_boxes.append(remaining_box)
        first = len(self._loss_boxes)
        for _, rest in self._network.losses(contents):
            self._loss_boxes.append(self._values.boxes.number(rest))
        for column in (self._box_inboxes, self._box_left, self._box_losses):
            column.pad(len(self._values.boxes))
        self._box_inboxes.array[box] = [self._inbox(tuple(each)) for each in messages]
        self._box_left.array[box] = starts
        losses = len(self._loss_boxes) - first
        self._box_losses.array[box] = (first, losses)
        self._most_losses = max(self._most_losses, losses)

    def _without_outdated(self, key: tuple[Number, Number]) -> Number:
        """A box without what is outdated to a receiver in some local state."""
        box, local = key
        node, _ = self._values.locals[local]
        contents = self._values.boxes[box]
        outdated = [
            message
            for message in self._network.messages(contents)
            if self._values.receivers[message] == node and self._steps.outdated[local, message]
        ]
        return self._values.boxes.number(self._network.without(contents, outdated))

    def _make_room(self, requests: int = 1) -> None:
        self._derived = with_room(self._derived, self._slack * 4 + requests)


_OF_PROPERTIES = (
    layout.MISSING_MEMORY,
    layout.MISSING_PAIR,
    layout.MISSING_MEMORY_IMAGES,
)
"""What is missing that has nothing to do with components."""


def _distinct(notes: Int64s) -> Int64s:
    """Notes in ascending order, each once. No number in them needs more than 29 bits."""
    packed = np.unique(notes[:, 0] << 58 | notes[:, 1] << 29 | notes[:, 2])
    mask = (1 << 29) - 1
    return np.stack((packed >> 58, packed >> 29 & mask, packed & mask), axis=1)
