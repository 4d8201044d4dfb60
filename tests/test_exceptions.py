"""What every exception of ours owes whoever catches it."""

from __future__ import annotations

import importlib
import inspect
import pickle
import pkgutil
from collections.abc import Iterator
from types import ModuleType

import pytest

import model_check
import raft_ref
import spec

SAMPLES: dict[str, object] = {
    "str": "a reason",
    "int": 3,
    "NodeId": 2,
    "bool": True,
    "tuple[str, ...]": ("a line", "another"),
}
"""A value for each type that a constructor asks for."""


def _modules(package: ModuleType) -> Iterator[ModuleType]:
    for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not info.name.endswith("__main__"):
            yield importlib.import_module(info.name)


def exceptions() -> list[type[Exception]]:
    return sorted(
        {
            each
            for package in (raft_ref, spec, model_check)
            for module in _modules(package)
            for each in vars(module).values()
            if isinstance(each, type)
            and issubclass(each, Exception)
            and each.__module__ == module.__name__
        },
        key=lambda each: each.__qualname__,
    )


def sample(kind: type[Exception]) -> Exception:
    """One with something in every field."""
    if not inspect.isfunction(kind.__init__):  # that of a builtin
        return kind("a reason")
    fields = list(inspect.signature(kind).parameters.values())
    if any(each.kind is each.VAR_POSITIONAL for each in fields):
        return kind("a reason")
    return kind(**{each.name: SAMPLES[each.annotation] for each in fields})


@pytest.mark.parametrize("kind", exceptions(), ids=lambda kind: kind.__name__)
def test_an_exception_crosses_processes_with_all_its_data(kind: type[Exception]) -> None:
    error = sample(kind)
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - it was ours a moment ago
    assert type(again) is kind
    assert (str(again), vars(again)) == (str(error), vars(error))
    assert str(error)
