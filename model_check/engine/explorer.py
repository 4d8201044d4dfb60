"""The compiled explorer: the same search as `model_check.explore`, at native speed.

Breadth-first, level by level, in batches. For each batch every worker expands rows of its own
(`kernels.expand`), what the tables lacked is filled in, and every worker stores the rows it owns
(`kernels.insert`). The figures mean what they mean for the reference explorer, and are the same,
whatever the number of workers: the owner of a state depends on nothing but the state.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

import numpy as np

from model_check.contracts import ContractError
from model_check.deadline import Deadline
from model_check.engine.beam import thinned
from model_check.engine.compiled import Int64s
from model_check.engine.kernels import expand, hash_row
from model_check.engine.layout import GROUP, NO_VIOLATION, Buffers, KernelTables
from model_check.engine.prepared import prepare
from model_check.engine.storage import Partition, cores, memory_available, memory_used
from model_check.engine.symmetry import Group
from model_check.engine.tables import Tables
from model_check.explore import (
    UNLIMITED,
    AsymmetryError,
    Beam,
    Budget,
    Exploration,
    Figures,
    ignore,
    taken_again,
    verdict,
)
from model_check.system import Action, M, Q, State, System
from spec.forms import E, H, O, S

A = TypeVar("A")
T = TypeVar("T")

BATCH = 1 << 14
"""Rows that a worker expands before what it found is stored."""
GROUP_OF_BATCH = 120
"""With more renamings than this it is fewer, since each row takes longer: the clock is looked at
between batches."""
MOST_RENAMINGS = 1440
"""Those of six nodes and two values. What is kept of each value under other names grows with their
square: of those of seven nodes it is 100 MB."""
ROOM = 1 << 19
"""Rows that a worker's buffer for one owner holds."""
NOTES = 1 << 20
"""Notes of what is missing that a worker may make before they are filled in."""
SHARE_OF_MEMORY = 0.75
"""Of the memory the machine has free, unless told otherwise."""
MOST_NODES = 255
"""Two of them are kept in one number: see `derived.way_of`."""
NO_PARENT = (1 << 32) - 1
"""Stands for the parent of the initial state."""
HIGHEST_NUMBER = NO_PARENT - 1
"""States are numbered with 32 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to explore; what is found is the same.

    Raises:
        ValueError: if there is less than one worker.
    """

    workers: int | None = None
    """How many threads; None for as many as there are processors."""
    symmetry: bool | None = None
    """Whether to explore one state of each orbit; None for where it is possible."""
    eager: bool = False
    """Whether nodes send at once what they could send without changing; see `layout.EAGER`."""
    forget: bool = False
    """Whether messages that can never again do anything are forgotten; see `kernels.forget`."""
    beam: Beam | None = None
    """Which states of each level to follow; None for all of them."""

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"workers must be at least 1, not {self.workers}")


def explore(
    system: System[S, E, O, M, Q, H],
    budget: Budget = UNLIMITED,
    options: Options = Options(),
    *,
    on_progress: Callable[[Figures], None] = ignore,
) -> Exploration[E, M]:
    """Explore everything ``system`` can do, as `model_check.explore.explore` does.

    Raises:
        AsymmetryError: if symmetry was asked for, and the system has none.
        ContractError: if ``system`` is not what a `System` has to be, or has more than `MOST_NODES`
            nodes, or more than `ROOM` actions in one state.
        MistakenClaim: if a message that was forgotten would have done something, or a node comes
            round by steps that each lead to a state that is said to simulate the one before.
        ValueError: if a reduction was asked for, and the network does not keep what it delivers.
    """
    if (options.eager or options.forget) and not system.network.keeps_delivered:
        raise ValueError("reductions need a network that keeps what it delivers")
    if system.node.count > MOST_NODES:
        raise ContractError(f"at most {MOST_NODES} nodes, not {system.node.count}")
    budget, deadline = budget.begun()
    try:
        prepare(deadline)
        try:
            group = _group(system, options, deadline)
            return Search(system, group, options, budget, on_progress).run()
        except AsymmetryError as error:
            if options.symmetry:
                raise
            note = f"explored without symmetry: {error}"
        search = Search(system, Group(system.node.count), options, budget, on_progress)
        search.found.notes.append(note)
        return search.run()
    except KeyboardInterrupt as interrupt:  # before there was anything to search
        return Exploration(stopped_by=deadline.interrupted(interrupt))


def _group(system: System[S, E, O, M, Q, H], options: Options, deadline: Deadline) -> Group:
    """The symmetry to make use of.

    Raises:
        AsymmetryError: if there is none, or more than can be made use of.
        OutOfTime: if it takes too long to find out.
    """
    if options.symmetry is False:
        return Group(system.node.count)
    with deadline.phase("computing the renamings"):
        renamings = tuple(islice(system.node.renamings(), MOST_RENAMINGS + 1))
        if options.symmetry and len(renamings) < 2:
            raise AsymmetryError("the system gives no renamings: it claims no symmetry")
        if system.watch.has_global_properties and renamings:
            raise AsymmetryError("a property of all nodes at once may depend on their names")
        if len(renamings) > MOST_RENAMINGS:
            raise AsymmetryError(f"there are more than {MOST_RENAMINGS:,} renamings")
        return Group(system.node.count, renamings, deadline.check)


class Search(Generic[S, E, O, M, Q, H]):
    """One exploration."""

    def __init__(
        self,
        system: System[S, E, O, M, Q, H],
        group: Group,
        options: Options,
        budget: Budget,
        on_progress: Callable[[Figures], None],
    ) -> None:
        self.found: Exploration[E, M] = Exploration(violation=system.initial_violation())
        self._started = time.monotonic()
        self._system = system
        self._budget, self._deadline = budget.begun()
        self.tables = Tables(
            system, group, forgets=options.forget, look_at_the_clock=self._deadline.check
        )
        self._group = group
        self._batch = BATCH * GROUP_OF_BATCH // max(len(group), GROUP_OF_BATCH)
        self._options = options
        workers = options.workers or cores()
        self._on_progress = on_progress
        self._memory = budget.max_memory or int(SHARE_OF_MEMORY * memory_available())
        width = system.node.count + 1
        capacity = min(self._memory // (4 * width + 4), HIGHEST_NUMBER) // workers
        self.partitions = [Partition(width, capacity) for _ in range(workers)]
        self._buffers = [_buffers(width, workers) for _ in range(workers)]
        self._pool = ThreadPoolExecutor(workers)
        self._expanded = 0
        self._transitions = 0
        self._left_out = 0
        """States that a beam does not follow."""
        self._worst = (NO_VIOLATION, NO_PARENT)
        """The lowest rank of a violation, and the state from which it was reached."""
        self._runs: dict[int, tuple[list[Action[E, M]], State[S, Q, H]]] = {}
        """Runs that were asked for, and those to the states on their way."""
        self._surveyed = [0] * workers
        self._survey_violations = 0
        if system.watch.has_global_properties:
            self.found.notes.append(
                "a property of all nodes at once was evaluated state by state: that is slow"
            )

    def run(self) -> Exploration[E, M]:
        """Search to the end, and report."""
        found = self.found
        try:
            self._store_initial()
            self._search()
            if found.stopped_by is None:
                self._check_what_was_believed()
        except KeyboardInterrupt as interrupt:
            found.stopped_by = self._deadline.interrupted(interrupt)
        finally:
            self._pool.shutdown()
        if self._left_out and found.stopped_by is None and self._worst[0] == NO_VIOLATION:
            found.stopped_by = f"the width of the beam, which left out {self._left_out:,} states"
        if self._worst[0] < NO_VIOLATION:
            with self._deadline.finishing():
                self._trace()
        self._take_stock()
        found.verdict = verdict(found)
        return found

    def _check_what_was_believed(self) -> None:
        """See that the nodes are what they say, as far as the search made use of it.

        Raises:
            ContractError: if a step is not the same when it is asked again.
            MistakenClaim: if one of their claims is wrong.
            OutOfTime: if there is no time for that.
        """
        with self._deadline.phase("asking for some steps again"):
            self.tables.check_pure()
        if self._options.eager:
            self.tables.check_simulations()
        if self._options.forget:
            with self._deadline.phase("seeing that what was forgotten does nothing"):
                self.tables.check_outdated()

    def _store_initial(self) -> None:
        row, stabilizer = self.tables.canonical(self.tables.row(self._system.initial()))
        if stabilizer < len(self._group):
            raise AsymmetryError("the nodes do not all start in the same state")
        buffers, hashed = self._buffers[0], hash_row(row)
        owner = int(hashed) % len(self.partitions)
        buffers.rows[owner, 0] = row
        buffers.parents[owner, 0] = NO_PARENT
        buffers.hashes[owner, 0] = hashed
        buffers.stabilizers[owner, 0] = stabilizer
        buffers.counts[owner] = 1
        self._store()
        # `System.initial_violation` has looked at this one.
        self._surveyed = [partition.stored for partition in self.partitions]

    def _search(self) -> None:
        """Expand level after level: all states that are the same number of actions away."""
        found = self.found
        first = [0] * len(self.partitions)
        while found.violation is None and self._worst[0] == NO_VIOLATION:
            end = [partition.stored for partition in self.partitions]
            level = self._followed(first, end)
            rests = level
            while any(len(rest) for rest in rests):
                self._expand([rest[: self._batch] for rest in rests])
                if found.stopped_by is not None:
                    return
                rests = [rest[self._batch :] for rest in rests]
            if self._system.watch.has_global_properties and self._worst[0] < NO_VIOLATION:
                self._look_again(level)
            if end == [partition.stored for partition in self.partitions]:
                return
            first = end
            found.depth += 1

    def _followed(self, first: list[int], end: list[int]) -> list[Int64s]:
        """Which states of a level to expand, by partition."""
        level = [np.arange(*bounds) for bounds in zip(first, end, strict=True)]
        beam = self._options.beam
        if beam is None:
            return level
        width = -(-beam.width // len(self.partitions))
        for owner, states in enumerate(level):
            random = np.random.default_rng((beam.seed, self.found.depth, owner))
            if len(states):
                seen = self.tables.seen(self.partitions[owner].rows[first[owner] : end[owner]])
                level[owner] = states[thinned(seen, width, random)]
                self._left_out += len(states) - len(level[owner])
        return level

    def _expand(self, batches: list[Int64s]) -> None:
        """Find and store the successors of some rows of each partition."""
        while any(len(batch) for batch in batches) and self.found.stopped_by is None:
            tables = self.tables.kernel_tables()

            def work(worker: int, batch: Int64s, tables: KernelTables = tables) -> tuple[int, ...]:
                return expand(
                    tables,
                    self._buffers[worker],
                    self.partitions[worker].rows,
                    batch,
                    worker,
                    self._system.network.keeps_delivered,
                    self._options.forget,
                    len(self._group),
                    self._options.eager,
                )

            outcomes = self._in_parallel(work, enumerate(batches))
            notes = []
            for worker, (taken, deferred, noted, transitions) in enumerate(outcomes):
                buffers = self._buffers[worker]
                if len(batches[worker]) and not taken and not noted and not buffers.counts.any():
                    raise ContractError(f"more than {ROOM} actions are possible in one state")
                self._expanded += taken - deferred
                self._transitions += transitions
                notes.append(buffers.missing[:noted])
                again = buffers.deferred[:deferred], batches[worker][taken:]
                batches[worker] = np.concatenate(again)
            self._note_milestones()
            self._note_violations()
            self._store()
            if self._system.watch.has_global_properties:
                self._survey()
            self.tables.fill(np.concatenate(notes))
            self._deadline.check()
            self._check_memory()
            self._take_stock()
            self._on_progress(self.found)

    def _store(self) -> None:
        """Store what is in the buffers, each partition its own, and empty them."""
        stored = sum(partition.stored for partition in self.partitions)
        offered = sum(int(buffers.counts.sum()) for buffers in self._buffers)
        most = self._budget.max_states or HIGHEST_NUMBER
        if stored + offered <= most:
            limits = [partition.capacity for partition in self.partitions]
            complete = self._in_parallel(self._store_own, enumerate(limits))
        else:  # one after the other, so that no more are stored than may be
            complete = []
            for owner, partition in enumerate(self.partitions):
                others = sum(other.stored for other in self.partitions) - partition.stored
                limit = min(most - others, partition.capacity)
                complete.append(self._store_own(owner, limit))
        for buffers in self._buffers:
            buffers.counts[:] = 0
        if not all(complete):
            stored = sum(partition.stored for partition in self.partitions)
            self.found.stopped_by = (
                f"the budget of {most} states" if stored == most else self._memory_budget()
            )

    def _store_own(self, owner: int, limit: int) -> bool:
        partition, renamings = self.partitions[owner], len(self._group)
        return all(partition.insert(found, owner, limit, renamings) for found in self._buffers)

    def _in_parallel(
        self, work: Callable[[int, A], T], arguments: Iterable[tuple[int, A]]
    ) -> list[T]:
        """Let each worker work. An interrupt waits until they have all ended."""
        futures = [self._pool.submit(work, *each) for each in arguments]
        try:
            wait(futures)
        except KeyboardInterrupt:
            wait(futures)
            raise
        return [future.result() for future in futures]

    # --- what was found ----------------------------------------------------------------------

    def _note_milestones(self) -> None:
        for buffers in self._buffers:
            for milestone in self.tables.milestones(int(buffers.reached[0])):
                self.found.reached.setdefault(milestone, self.found.depth + 1)

    def _note_violations(self) -> None:
        for buffers in self._buffers:
            self._worst = min(self._worst, (int(buffers.worst[0]), int(buffers.worst[1])))

    def _survey(self) -> None:
        """Look at all new states as a whole: for properties of no other form."""
        for number, partition in enumerate(self.partitions):
            for place in range(self._surveyed[number], partition.stored):
                self._deadline.check()
                states = self.tables.states_of(partition.rows[place])
                violation = self._system.watch.survey(states)
                if violation is not None:
                    rank = self._system.watch.rank(violation)
                    self._worst = min(self._worst, (rank, int(partition.parents[place])))
                    self._survey_violations += 1
            self._surveyed[number] = partition.stored

    def _look_again(self, level: list[Int64s]) -> None:
        """Find the worst that is broken by any step from a level.

        Where a step breaks something by itself, `_survey` is not shown where it leads; but a
        property of all nodes that is broken there, too, may count more.
        """
        for owner, places in enumerate(level):
            partition = self.partitions[owner]
            for place in places.tolist():
                self._deadline.check()
                state = self.tables.state_of(partition.rows[place])
                for _, _, violation, _ in self._system.successors(state):
                    if violation is not None:
                        number = place * len(self.partitions) + owner
                        rank = self._system.watch.rank(violation)
                        self._worst = min(self._worst, (rank, number))

    def _check_memory(self) -> None:
        found = self.found
        growth = sum(partition.bytes_to_grow for partition in self.partitions)
        if found.stopped_by is None and memory_used() + growth > self._memory:
            found.stopped_by = self._memory_budget()

    def _memory_budget(self) -> str:
        return f"the budget of {self._memory / 2**30:.3g} GiB of memory"

    def _take_stock(self) -> None:
        found, partitions = self.found, self.partitions
        found.seconds = time.monotonic() - self._started
        found.states = sum(partition.states for partition in partitions) - self._survey_violations
        found.orbits = sum(partition.stored for partition in partitions) - self._survey_violations
        found.transitions = self._transitions
        found.frontier = found.orbits - self._expanded
        found.renamings = len(self._group)
        found.is_reduced = self._options.eager or self._options.forget
        found.beam = self._options.beam
        found.is_shortest = not found.is_reduced and not self._left_out
        found.workers = len(partitions)
        found.core_calls = self.tables.core_calls
        found.state_bytes = sum(partition.bytes_used for partition in partitions)
        found.memory_bytes = memory_used()

    def _trace(self) -> None:
        """Find the actions of a shortest run to the worst violation."""
        rank, number = self._worst
        actions, state = self.run_to(number)
        broken = (
            (action, violation)
            for action, _, violation, _ in self._system.successors(state)
            if violation is not None and self._system.watch.rank(violation) == rank
        )
        last, violation = taken_again(broken, state)
        self.found.violation = violation
        self.found.actions = [*actions, last]
        self.found.depth = len(self.found.actions)

    def run_to(self, number: int) -> tuple[list[Action[E, M]], State[S, Q, H]]:
        """A shortest run to a stored state, under the system's own names, and where it leads.

        A stored row stands for its renamings, so each action is one that leads to any of them.
        """
        way = [number]
        while way[-1] not in self._runs and self._parent(way[-1]) != NO_PARENT:
            way.append(self._parent(way[-1]))
        actions, state = self._runs.setdefault(way.pop(), ([], self._system.initial()))
        for each in reversed(way):
            row = self._row(each)
            led = (
                (action, after)
                for action, after, violation, _ in self._system.successors(state)
                if violation is None and self._row_of(after) == row
            )
            action, state = taken_again(led, state)
            actions = [*actions, action]
            self._runs[each] = actions, state
        return actions, state

    def _parent(self, number: int) -> int:
        place, owner = divmod(number, len(self.partitions))
        return int(self.partitions[owner].parents[place])

    def _row(self, number: int) -> tuple[int, ...]:
        place, owner = divmod(number, len(self.partitions))
        return tuple(self.partitions[owner].rows[place].tolist())

    def _row_of(self, state: State[S, Q, H]) -> tuple[int, ...]:
        return tuple(self.tables.canonical(self.tables.row(state))[0].tolist())


def _buffers(width: int, workers: int) -> Buffers:
    """The buffers of one worker."""
    return Buffers(
        rows=np.empty((workers, ROOM, width), np.int32),
        parents=np.empty((workers, ROOM), np.uint32),
        hashes=np.empty((workers, ROOM), np.uint64),
        stabilizers=np.empty((workers, ROOM), np.int32),
        counts=np.zeros(workers, np.int64),
        missing=np.empty((NOTES, 3), np.int64),
        deferred=np.empty(BATCH, np.int64),
        reached=np.zeros(2, np.int64),
        worst=np.array([NO_VIOLATION, NO_PARENT], np.int64),
        ways=np.empty(((width - 1) ** 2, 4), np.int64),
        scratch=np.empty((2, width), np.int32),
        before=np.empty(workers, np.int64),
        touched=np.empty(GROUP, np.uint64),
    )
