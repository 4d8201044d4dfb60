"""A written suite held against the core as it is now, and against what would be written now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec

from model_check.explore import Figures, ignore
from model_check.vectors.format import (
    Case,
    StepCase,
    TraceCase,
    VectorFile,
    answer_of,
    data_of,
    id_of,
)
from model_check.vectors.reading import Written
from model_check.vectors.suite import make_suite
from raft_ref import Transition, step
from raft_ref.codec import CodecError, decode_config, decode_event, decode_state, dumps


@dataclass(frozen=True)
class Problem:
    """Something in a suite that is not as it should be."""

    file: str
    case: str | None
    """The id of the case; None for the file itself."""
    what: str

    def __str__(self) -> str:
        place = self.file if self.case is None else f"{self.file}: {self.case}"
        return f"{place}: {self.what}"


def wrong_cases(written: Written) -> Iterator[Problem]:
    """The cases that the core does not answer as they say, or that have the wrong id."""
    for name, file in written.files.items():
        for case_id, count in Counter(case.id for case in file.cases).items():
            if count > 1:
                yield Problem(name, case_id, f"there are {count} cases of this id")
        for case in file.cases:
            if case.id != id_of(case):
                yield Problem(name, case.id, f"what it asks has the id {id_of(case)}")
            try:
                what = _wrong_step(case) if isinstance(case, StepCase) else _wrong_trace(case)
            except CodecError as error:
                what = str(error)
            except Exception as error:  # whatever the core makes of it, it is no case of ours
                what = f"the core fails on it: {type(error).__name__}: {error}"
            if what is not None:
                yield Problem(name, case.id, what)


def _wrong_step(case: StepCase) -> str | None:
    """How the core answers otherwise."""
    config = decode_config(data_of(case.config))
    pre, event = decode_state(data_of(case.pre)), decode_event(data_of(case.event))
    return _difference(step(config, pre, event), answer_of(case))


def _wrong_trace(case: TraceCase) -> str | None:
    """How the cores of a cluster answer otherwise, the first time that they do."""
    configs = [decode_config(data_of(config)) for config in case.configs]
    states = [decode_state(data_of(state)) for state in case.initial]
    if len(states) != len(configs):
        return f"{len(configs)} servers start in {len(states)} states"
    for number, action in enumerate(case.actions):
        if action.node > len(configs):
            return f"action {number}: there is no server {action.node}"
        index, event = action.node - 1, decode_event(data_of(action.event))
        answer = step(configs[index], states[index], event)
        what = _difference(answer, answer_of(action))
        if what is not None:
            return f"action {number}: {what}"
        states[index] = answer.state
    return None


def _difference(answer: Transition, written: Transition) -> str | None:
    if answer.state != written.state:
        return f"post: the core says {dumps(answer.state)}, the case {dumps(written.state)}"
    if answer.outputs != written.outputs:
        return f"outputs: the core says {_shown(answer)}, the case {_shown(written)}"
    return None


def _shown(answer: Transition) -> str:
    return f"[{', '.join(map(dumps, answer.outputs))}]"


def check_suite(written: Written, on_progress: Callable[[Figures], None] = ignore) -> list[Problem]:
    """All that is wrong with a suite: cases first; if nothing is, how it differs from what would be
    written now within its bounds.
    """
    problems = list(wrong_cases(written))
    if problems:
        return problems
    suite = make_suite(written.bounds, on_progress)
    for name, due in suite.files.items():
        problems += _differences(name, written.files[name], due)
    for name, text in suite.texts.items():
        if not problems and written.texts[name] != text:
            problems.append(Problem(name, None, "these are not the bytes that it should have"))
    return problems


def _differences(name: str, file: VectorFile, due: VectorFile) -> Iterator[Problem]:
    """Which cases, and which parts of the envelope, are not as they would be written now."""
    cases = {case.id: case for case in file.cases}
    due_cases = {case.id: case for case in due.cases}
    for case_id in due_cases:
        if case_id not in cases:
            yield Problem(name, case_id, "it is missing")
    for case_id, case in cases.items():
        if case_id not in due_cases:
            yield Problem(name, case_id, "there should be no such case")
            continue
        for field in _differing(case, due_cases[case_id]):
            yield Problem(name, case_id, f"{field} is not what this version would write")
    for field in _differing(file, due):
        if field != "cases":
            yield Problem(name, None, f"{field} is not what this version would write")


def _differing(found: Case | VectorFile, due: Case | VectorFile) -> list[str]:
    """The fields in which two of a kind differ."""
    first, second = msgspec.structs.asdict(found), msgspec.structs.asdict(due)
    return [field for field in second if first[field] != second[field]]
