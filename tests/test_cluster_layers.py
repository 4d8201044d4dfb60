"""The contracts of import-linter that keep effects out of what has none."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_every_module_of_the_core_is_kept_from_effects() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (contract,) = (
        each
        for each in contracts["contracts"]
        if each["name"] == "The core knows no clock, network, disk or chance"
    )
    modules = {f"raft_ref.{path.stem}" for path in (ROOT / "raft_ref").glob("*.py")}
    modules.add("raft_ref.extensions")
    assert set(contract["source_modules"]) == modules - {"raft_ref.__init__"}
    assert {"asyncio", "socket", "time", "raft_ref.cluster"} <= set(contract["forbidden_modules"])
