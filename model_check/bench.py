"""How fast the explorers are on this machine: the same systems in several ways, in one run.

Machines differ, and one machine differs from one minute to the next. So what counts are ratios of
figures measured one after the other, and `Measurement.speedup` is one: transitions a second,
against the reference explorer on the same configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

from model_check.check import EngineName, Means, Setup, check
from model_check.deadline import INTERRUPT
from model_check.explore import UNLIMITED, Budget, Figures, ignore
from model_check.raft import Bounds
from model_check.tlc import run_tlc

Size: TypeAlias = Literal["small", "medium", "large"]
SIZES: tuple[Size, ...] = get_args(Size)

REFERENCE_STATES = 200_000
"""Where a complete exploration by the reference explorer would take minutes, it stops here."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """Something to explore in several ways."""

    name: str
    bounds: Bounds
    size: Size
    """The smallest size of a benchmark that has it."""
    complete_reference: Size | None
    """The smallest size of a benchmark in which the reference explorer explores all of it."""

    @property
    def is_for_tlc(self) -> bool:
        """Whether TLC explores it in a minute."""
        return self.complete_reference == "small"

    def is_in(self, size: Size) -> bool:
        """Whether a benchmark of ``size`` has it."""
        return SIZES.index(self.size) <= SIZES.index(size)

    def has_complete_reference_in(self, size: Size) -> bool:
        """Whether in a benchmark of ``size`` the reference explorer explores all of it."""
        smallest = self.complete_reference
        return smallest is not None and SIZES.index(smallest) <= SIZES.index(size)


CONFIGURATIONS = (
    Configuration("1 term, 1 entry, 2 values", Bounds(), "small", "small"),
    Configuration("1 term, 1 entry, 2 values, restarts", Bounds(restarts=True), "small", "small"),
    Configuration("2 terms, no entries", Bounds(max_term=2, max_log=0), "medium", "large"),
    Configuration("1 term, 3 entries", Bounds(max_log=3, values=1), "medium", "large"),
    Configuration("1 term, 3 entries, 2 values", Bounds(max_log=3), "large", None),
    Configuration("2 terms, 1 entry", Bounds(max_term=2, values=1), "large", None),
)
"""All of three servers on the replayable network, with all properties."""

WAYS = (
    Means(engine="compiled", workers=1, symmetry=False),
    Means(engine="compiled", workers=2, symmetry=False),
    Means(engine="compiled", workers=1, symmetry=True),
    Means(engine="compiled", workers=2, symmetry=True),
)
"""What these find of a space must be equal."""

REDUCED = (
    Means(engine="compiled", workers=2, eager=True),
    Means(engine="compiled", workers=2, forget=True),
    Means(engine="compiled", workers=2, eager=True, forget=True),
)
"""What these find is less, but for the verdict."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One exploration, measured."""

    configuration: str
    engine: EngineName
    workers: int
    symmetry: bool
    eager: bool
    forget: bool
    complete: bool
    """Whether all was explored; if not, figures are those of the part that was."""
    states: int
    orbits: int
    transitions: int
    depth: int
    seconds: float
    state_bytes: int | None
    core_calls: int
    speedup: float | None
    """Times the transitions a second of the reference explorer on the same configuration.

    Where both explored all of it, that is also times the states a second. Where the reference
    explorer saw but the beginning, states are no measure: those have fewer transitions than most.
    None for a reduced space.
    """
    reduction: float | None
    """For a reduced space: how many times fewer states it has than the whole."""
    progress: tuple[tuple[float, int, int], ...]
    """Now and then: seconds, states stored, their bytes."""

    @property
    def states_per_second(self) -> float:
        """States stood for, a second."""
        return self.states / max(self.seconds, 1e-9)

    @property
    def transitions_per_second(self) -> float:
        """Transitions stood for, a second."""
        return self.transitions / max(self.seconds, 1e-9)

    @property
    def bytes_per_state(self) -> float | None:
        """Bytes of memory for a stored state."""
        return None if self.state_bytes is None else self.state_bytes / self.orbits


class MeasurementError(AssertionError):
    """Two ways to explore the same found different things: a defect of this program."""


def measure(size: Size, on_progress: Callable[[Figures], None] = ignore) -> Iterator[Measurement]:
    """Explore every configuration of a benchmark of ``size`` in every way, one after the other.

    Raises:
        MeasurementError: if complete explorations of a configuration differ in states, transitions
            or depth; or in a reduced space in the verdict.
        KeyboardInterrupt: if one comes: half an exploration is no measurement.
    """
    check(Setup(bounds=Bounds(servers=1)), means=WAYS[0])  # so that the explorer is compiled
    for configuration in CONFIGURATIONS:
        if configuration.is_in(size):
            yield from _measure(configuration, size, on_progress)


def _measure(
    configuration: Configuration, size: Size, on_progress: Callable[[Figures], None]
) -> Iterator[Measurement]:
    reference = _reference(configuration, size, on_progress)
    yield replace(reference, speedup=1.0)
    whole = reference
    for means in WAYS:
        found = _explore(configuration, means, UNLIMITED, on_progress)
        whole = whole if whole.complete else found
        _require_equal(whole, found)
        speedup = found.transitions_per_second / reference.transitions_per_second
        yield replace(found, speedup=speedup)
    for means in REDUCED:
        found = _explore(configuration, means, UNLIMITED, on_progress)
        if not found.complete:
            raise MeasurementError(f"{configuration.name}: does not hold any more with {means}")
        yield replace(found, reduction=whole.states / found.states)


def _reference(
    configuration: Configuration, size: Size, on_progress: Callable[[Figures], None]
) -> Measurement:
    completes = configuration.has_complete_reference_in(size)
    budget = UNLIMITED if completes else Budget(max_states=REFERENCE_STATES)
    return _explore(configuration, Means(engine="reference"), budget, on_progress)


def _explore(
    configuration: Configuration,
    means: Means,
    budget: Budget,
    on_progress: Callable[[Figures], None],
) -> Measurement:
    progress: list[tuple[float, int, int]] = []

    def note(found: Figures) -> None:
        # Some twenty points a decade are enough for a curve.
        if not progress or found.orbits > 1.12 * progress[-1][1]:
            progress.append((found.seconds, found.orbits, found.state_bytes or 0))
        on_progress(found)

    result = check(Setup(bounds=configuration.bounds), budget, means, note)
    found = result.exploration
    if found.stopped_by == INTERRUPT:
        raise KeyboardInterrupt
    return Measurement(
        configuration=configuration.name,
        engine=result.engine,
        workers=found.workers,
        symmetry=found.renamings > 1,
        eager=means.eager,
        forget=means.forget,
        complete=found.verdict == "holds",
        states=found.states,
        orbits=found.orbits,
        transitions=found.transitions,
        depth=found.depth,
        seconds=found.seconds,
        state_bytes=found.state_bytes,
        core_calls=found.core_calls,
        speedup=None,
        reduction=None,
        progress=tuple(progress),
    )


def _require_equal(one: Measurement, other: Measurement) -> None:
    figures = [(each.states, each.transitions, each.depth) for each in (one, other)]
    if other.complete and figures[0] != figures[1]:
        raise MeasurementError(
            f"{one.configuration}: the {one.engine} engine found {figures[0]} states, transitions "
            f"and depth; the {other.engine} engine with {other.workers} workers, symmetry "
            f"{other.symmetry}, found {figures[1]}"
        )


# --- TLC ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The same states explored by TLC and by the compiled explorer, each as a process would."""

    configuration: str
    states: int
    transitions: int
    tlc_seconds: float
    """From the start of Java to its end."""
    seconds: float
    """Of the compiled explorer, without symmetry, with as many workers."""

    @property
    def ratio(self) -> float:
        """How many times longer TLC took."""
        return self.tlc_seconds / max(self.seconds, 1e-9)


def compare_with_tlc(size: Size) -> Iterator[Comparison]:
    """Explore the configurations of a benchmark of ``size`` with TLC, too: those that it explores
    in a minute. No properties, since TLC has its own.

    Raises:
        MeasurementError: if it finds other states or transitions.
        TlcMissing: if TLC or Java is not there.
    """
    for configuration in CONFIGURATIONS:
        if configuration.is_in(size) and configuration.is_for_tlc:
            setup = Setup(bounds=configuration.bounds, properties=())
            theirs = run_tlc(setup)
            ours = check(setup, means=WAYS[1]).exploration
            if (theirs.states, theirs.transitions) != (ours.states, ours.transitions):
                raise MeasurementError(
                    f"{configuration.name}: TLC found {theirs.states} states and "
                    f"{theirs.transitions} transitions, the compiled engine {ours.states} and "
                    f"{ours.transitions}"
                )
            yield Comparison(
                configuration=configuration.name,
                states=ours.states,
                transitions=ours.transitions,
                tlc_seconds=theirs.seconds,
                seconds=ours.seconds,
            )
