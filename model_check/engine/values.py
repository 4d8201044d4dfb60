"""Numbers for the values of a system, and what each value is under other names.

Local states, messages, boxes (what one node has in flight), facts and memories of the properties,
and views get numbers in the order in which they are first seen. Kernels know nothing else of them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeAlias, cast

from model_check.contracts import ContractError
from model_check.engine import layout
from model_check.engine.arrays import numbers
from model_check.engine.layout import NO_VIOLATION
from model_check.engine.symmetry import Group
from model_check.explore import AsymmetryError
from model_check.interned import Memo, Numbering
from model_check.system import Addressed, M, Network, NotTheNode, Q, System, T, Violation
from spec.forms import E, H, NodeNumber, O, Renaming, S

Number: TypeAlias = int

Alike: TypeAlias = tuple[Number, ...]
"""The facts of all outcomes of an event that differ in nothing else, in ascending order.

A property does not say what its facts are under other names: that is learnt from the step that
leaves them. Where a step is one of several that differ in their facts alone, nothing says which of
them it is under other names; but all together they must lead to the same memories.
"""

MOST_MILESTONES = 62
"""What was reached is kept as the bits of one number."""


class Values(Generic[S, E, O, M, Q, H]):
    """The numbered values of ``system``, and their images under the renamings of ``group``."""

    def __init__(self, system: System[S, E, O, M, Q, H], group: Group) -> None:
        self.system = system
        self.group = group
        self.is_symmetric = len(group) > 1
        # A network never looks into a message, so it carries numbers just as well.
        self.network = cast("Network[int, Hashable]", system.network)
        self.locals: Numbering[tuple[NodeNumber, S]] = Numbering()
        self.messages: Numbering[M] = Numbering()
        self.sent: Numbering[tuple[Addressed[int], ...]] = Numbering()
        self.facts: Numbering[Hashable] = Numbering()
        self.marked_facts: Numbering[tuple[Number, Alike]] = Numbering()
        """A fact in the company in which a step leaves it: what tables call a fact. Where nothing
        is symmetric, company does not matter, and none is noted."""
        self.alike: Numbering[Alike] = Numbering()
        self.memories: Numbering[H] = Numbering()
        self.views: Numbering[tuple[NodeNumber, Hashable]] = Numbering()
        self.boxes: Numbering[Hashable] = Numbering()
        self._milestones: Numbering[str] = Numbering()
        self.nothing_sent = self.sent.number(())
        self.no_fact = self.marked_fact(self.facts.number(None), ())
        self.local_node, self.local_view = numbers(), numbers()
        """By local state: whose it is, from 0, and the view of it."""
        self.memory_rank = numbers()
        """By memory: what it breaks by itself."""
        self.receivers = Memo(self._receiver)
        """By message: who gets it."""
        self.local_views = Memo(self._view)
        self._seen_as: list[Number] = []
        """By view: a local state that looks like it."""
        self.local_images = group.images(self._rename_local)
        self.message_images = group.images(self._rename_message)
        self.box_images = group.images(self._rename_box)
        self.memory_images = group.images(self._rename_memory)
        self.alike_images = group.images(_unknown_facts)
        self.view_images = group.images(self._rename_view)

    # --- numbers -----------------------------------------------------------------------------

    def local(self, node: NodeNumber, state: S) -> Number:
        """The number of a node's local state."""
        known = len(self.locals)
        number = self.locals.number((node, state))
        if number == known:
            self.local_node.append(node - 1)
            self.local_view.append(self.local_views[number])
        return number

    def box(self, own: Q) -> Number:
        """The number of what a node has in flight, whose messages become numbers, too."""
        network = cast("Network[Hashable, Hashable]", self.network)
        number = cast("Callable[[Hashable], int]", self.messages.number)
        return self.boxes.number(network.rename(own, number, lambda node: node))

    def messages_sent(self, messages: Iterable[Addressed[M]]) -> Number:
        """The number of what a step sends."""
        addressed = ((receiver, self.messages.number(message)) for receiver, message in messages)
        return self._sent(addressed)

    def marked_fact(self, fact: Number, alike: Alike) -> Number:
        """The number of a fact among those that the same event may leave in its place."""
        return self.marked_facts.number((fact, alike))

    def memory(self, memory: H) -> Number:
        """The number of what the properties remember."""
        known = len(self.memories)
        number = self.memories.number(memory)
        if number == known:
            is_beyond = self.system.watch.is_beyond(memory)
            rank = layout.BEYOND if is_beyond else self.rank(self.system.watch.judge(memory))
            self.memory_rank.append(rank)
        return number

    def milestones_reached(self, names: Iterable[str]) -> int:
        """A bit for each of these milestones.

        Raises:
            ValueError: if there are more than `MOST_MILESTONES`.
        """
        return sum({1 << self._milestone(name) for name in names})

    def milestones(self, reached: int) -> list[str]:
        """The milestones whose bits are set."""
        return [self._milestones[bit] for bit in range(len(self._milestones)) if reached >> bit & 1]

    def rank(self, violation: Violation | None) -> int:
        """How early the violated property comes, or `NO_VIOLATION`.

        Raises:
            ContractError: if that is a number that means something else to kernels.
        """
        if violation is None:
            return NO_VIOLATION
        rank = self.system.watch.rank(violation)
        if not 0 <= rank < NO_VIOLATION:
            raise ContractError(f"{violation} has rank {rank}, which is not from 0 to 2**20 - 1")
        return rank

    def _milestone(self, name: str) -> Number:
        number = self._milestones.number(name)
        if number >= MOST_MILESTONES:
            raise ValueError(f"more than {MOST_MILESTONES} milestones: choose fewer")
        return number

    def _receiver(self, message: Number) -> NodeNumber:
        return self.system.node.arrival(self.messages[message])[0]

    def _view(self, local: Number) -> Number:
        node, state = self.locals[local]
        known = len(self.views)
        number = self.views.number((node, self.system.watch.view(state)))
        if number == known:
            self._seen_as.append(local)
        return number

    def _sent(self, addressed: Iterable[Addressed[int]]) -> Number:
        """Messages by receiver: if anything, only the order of those to the same one matters."""
        if self.network.keeps_order:
            return self.sent.number(tuple(sorted(addressed, key=lambda item: item[0])))
        return self.sent.number(tuple(sorted(addressed)))

    # --- other names -------------------------------------------------------------------------

    def sent_image(self, sent: Number, renaming: int) -> Number:
        """What is sent, under other names."""
        node = self.group[renaming].node
        return self._sent(
            (node(receiver), int(self.message_images[message][renaming]))
            for receiver, message in self.sent[sent]
        )

    def event_images(self, event: E) -> tuple[E, ...]:
        """An event of the environment, under every name."""
        return tuple(self._renamed(event, names) for names in self.group.renamings)

    def _renamed(self, value: T, names: Renaming) -> T:
        """A state, event or message under other names, if the node can say.

        Raises:
            AsymmetryError: if it cannot, whatever it raises: it has claimed that it can.
        """
        try:
            return self.system.node.rename(value, names)
        except NotTheNode:
            raise
        except Exception as error:
            raise AsymmetryError(
                f"{value} cannot be renamed: {type(error).__name__}: {error}"
            ) from error

    def _rename_local(self, local: Number, renaming: int) -> Number:
        node, state = self.locals[local]
        names = self.group[renaming]
        return self.local(names.node(node), self._renamed(state, names))

    def _rename_view(self, view: Number, renaming: int) -> Number:
        """A view under other names: that of a local state that looks like it."""
        return self.local_views[int(self.local_images[self._seen_as[view]][renaming])]

    def _rename_message(self, message: Number, renaming: int) -> Number:
        return self.messages.number(self._renamed(self.messages[message], self.group[renaming]))

    def _rename_box(self, box: Number, renaming: int) -> Number:
        return self.boxes.number(
            self.network.rename(
                self.boxes[box],
                lambda message: int(self.message_images[message][renaming]),
                self.group[renaming].node,
            )
        )

    def _rename_memory(self, memory: Number, renaming: int) -> Number:
        names = self.group[renaming]
        renamed = self.memory(self.system.watch.rename(self.memories[memory], names))
        if self.memory_rank.array[renamed] != self.memory_rank.array[memory]:
            raise AsymmetryError("the properties judge what they remember otherwise under others")
        return renamed


def _unknown_facts(alike: Number, renaming: int) -> Number:
    raise AssertionError(f"the facts {alike} are of no step, under renaming {renaming}")
