"""A whole suite: the local steps of the core within bounds, the runs that take them all, and those
in which the known bugs show.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files

import msgspec

from model_check.cover import cover
from model_check.explore import Figures, ignore
from model_check.interned import Memo
from model_check.mutants.runs import recorded_runs
from model_check.raft import Bounds, RaftAction
from model_check.vectors.bugs import BUGS
from model_check.vectors.cases import CaseMaker, cluster_of
from model_check.vectors.format import (
    FORMAT_VERSION,
    README,
    SCHEMA,
    STEP_FILE,
    TRACE_FILE,
    Case,
    CountsPart,
    Envelope,
    FlagPart,
    GeneratorPart,
    PlacePart,
    RulePart,
    StepCase,
    StepFile,
    TraceCase,
    TraceFile,
    VectorFile,
    bounds_part,
    text_of,
)
from raft_ref import Config
from spec.rules import RULES

_LINK_INTO_SOURCE = re.compile(rf"\[([^]]*)\]\((?!https:|{re.escape(SCHEMA)})[^)]*\)")


@dataclass(frozen=True)
class Suite:
    """All cases within some bounds."""

    steps: StepFile
    traces: TraceFile

    @property
    def files(self) -> dict[str, VectorFile]:
        """By name."""
        return {STEP_FILE: self.steps, TRACE_FILE: self.traces}

    @property
    def texts(self) -> dict[str, bytes]:
        """By name, what stands in each file: the cases, their schema, and a page for readers."""
        return {
            **{name: text_of(file) for name, file in self.files.items()},
            SCHEMA: files("spec").joinpath("schemas", SCHEMA).read_bytes(),
            README: _page().encode(),
        }


def make_suite(bounds: Bounds, on_progress: Callable[[Figures], None] = ignore) -> Suite:
    """Cover the local steps of the core within ``bounds``, and write down what it answers."""
    cases, makers = _Cases(), Memo(CaseMaker)
    for run in cover(bounds, on_progress).runs:
        cases.add(makers[cluster_of(bounds)], run)
    covering = len(cases.steps), len(cases.traces)
    for name, run in recorded_runs().items():
        cases.add(makers[cluster_of(BUGS[name].bounds)], run)
    of_steps = _envelope(bounds, cases.steps, covering[0])
    of_traces = _envelope(bounds, cases.traces, covering[1])
    return Suite(
        StepFile(**msgspec.structs.asdict(of_steps), cases=cases.steps),
        TraceFile(**msgspec.structs.asdict(of_traces), cases=cases.traces),
    )


def _page() -> str:
    """The page of the format, without links to what does not stand beside it."""
    page = files("spec").joinpath("vectors.md").read_text("utf-8")
    return _LINK_INTO_SOURCE.sub(r"\1", page.replace(f"(schemas/{SCHEMA})", f"({SCHEMA})"))


class _Cases:
    """The cases of the runs that were added, in their order."""

    def __init__(self) -> None:
        self._named: set[tuple[Config, str]] = set()
        self._traced: set[str] = set()
        self.steps: list[StepCase] = []
        self.traces: list[TraceCase] = []

    def add(self, maker: CaseMaker, run: Iterable[RaftAction]) -> None:
        """Add ``run``, and those of its steps that no run before it takes, but for names."""
        taken = maker.taken(run)
        trace = maker.trace(taken)
        if trace.id in self._traced:
            return
        self._traced.add(trace.id)
        self.traces.append(trace)
        for number, each in enumerate(taken):
            name = maker.name(each)
            if name not in self._named:
                self._named.add(name)
                self.steps.append(maker.step(each, PlacePart(trace=trace.id, action=number)))


# --- the envelope ----------------------------------------------------------------------------


def _envelope(bounds: Bounds, cases: Sequence[Case], covering: int) -> Envelope:
    rules = Counter(rule for case in cases for rule in case.rules)
    flags = Counter(flag for case in cases for flag in case.flags)
    return Envelope(
        schema=SCHEMA,
        schema_version=FORMAT_VERSION,
        generator=GeneratorPart(name="raft-ref", version=version("raft-ref")),
        bounds=bounds_part(bounds),
        counts=CountsPart(
            cases=len(cases),
            covering=covering,
            rules={rule.id: rules[rule.id] for rule in RULES},
            flags={name: flags[name] for name in BUGS},
        ),
        flags={name: _flag(name) for name in BUGS},
        rules={
            rule.id: RulePart(statement=rule.statement, citation=rule.citation) for rule in RULES
        },
    )


def _flag(name: str) -> FlagPart:
    bug = BUGS[name]
    return FlagPart(
        title=bug.title,
        explanation=bug.explanation,
        figure_2=bug.rule,
        breaks=bug.breaks,
        violates=list(bug.expected),
        seen_in=list(bug.seen_in),
    )
