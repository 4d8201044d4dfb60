"""The run to each bug's violation, kept beside the catalogue, since to find it takes minutes.

``python -m model_check.mutants.runs`` finds them all again and writes them anew. A test plays each
on its mutant, and sees that it still leads to what that violates.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path

from model_check.mutants.catalogue import MUTANTS
from model_check.mutants.mutant import Mutant
from model_check.mutants.run import run_mutant
from model_check.raft import RaftAction
from model_check.report import decode_action, encode_action
from raft_ref.codec import JSON

RUNS = "runs.json"


@cache
def recorded_runs() -> Mapping[str, tuple[RaftAction, ...]]:
    """By the id of a mutant that is a bug: the actions to what it violates."""
    data = json.loads(files("model_check.mutants").joinpath(RUNS).read_text("utf-8"))
    return {
        name: tuple(
            decode_action(action, f"$.{name}[{position}]", MUTANTS[name].bounds.servers)
            for position, action in enumerate(actions)
        )
        for name, actions in data.items()
    }


def found_run(mutant: Mutant) -> list[JSON]:
    """The actions of the run to what ``mutant`` violates, as they are kept."""
    run = run_mutant(mutant).result.counterexample
    assert run is not None, f"{mutant.id} violates nothing"
    return [encode_action(moment.action) for moment in run.moments]


def main() -> None:
    """Find all runs, and write them."""
    runs = {each.id: found_run(each) for each in MUTANTS.values() if each.kind == "bug"}
    lines = (
        f"{json.dumps(name)}: [\n" + ",\n".join(map(json.dumps, actions)) + "\n]"
        for name, actions in runs.items()
    )
    Path(__file__).with_name(RUNS).write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


if __name__ == "__main__":
    main()
