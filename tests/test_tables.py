"""Tables: whatever the width, every value is there to be read."""

from __future__ import annotations

import re
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table
from rich.text import Text

import model_check
from model_check.bench import Comparison, Measurement
from model_check.check import Setup
from model_check.cli import run
from model_check.cluster.bench import OURS, TIMES, ClusterMeasurement
from model_check.commands import bench, mutants, rules
from model_check.commands.bench_cluster import cluster_table, table_of_shares
from model_check.commands.claims import necessity_table, sufficiency_table
from model_check.commands.cluster_run import COLUMNS, table_of
from model_check.commands.tables import fitted
from model_check.counterexample import replay
from model_check.explore import Exploration
from model_check.mutants import MUTANTS
from model_check.mutants.runs import recorded_runs
from model_check.necessity import SUFFICIENT, Explored, RuleRun
from model_check.render import as_table
from raft_ref.cluster.processes import LocalCluster
from spec.rules import RULES


def solid(text: object) -> str:
    """``text`` without spaces, which a table may have elsewhere."""
    return "".join(str(text.plain if isinstance(text, Text) else text).split())


def values_of(table: Table) -> list[list[str]]:
    """What stands in each column, its header first."""
    return [[solid(cell) for cell in (each.header, *each.cells)] for each in table.columns]


def shown(table: Table, width: int) -> list[str]:
    console = Console(file=StringIO(), width=width, markup=False, emoji=False)
    console.print(fitted(table, width))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue().splitlines()


def require_all(table: Table, lines: list[str]) -> None:
    """All values of ``table`` are in ``lines``: in its columns, or each row in lines of its own."""
    rows = [line[1:-1] for line in lines if line.startswith(("│", "┃"))]
    if rows:
        columns = zip(*(re.split("[│┃]", row) for row in rows), strict=True)
        assert [solid("".join(cells)) for cells in columns] == [
            "".join(values) for values in values_of(table)
        ]
        return
    text = solid("".join(lines))
    columns_of_values = values_of(table)
    for number in range(len(table.rows)):
        for header, *values in columns_of_values:
            if values[number]:
                wanted = f"{header}:{values[number]}" if header else values[number]
                at = text.find(wanted)
                assert at >= 0, wanted
                text = text[at + len(wanted) :]


def strange() -> Table:
    table = Table("id", "many words", "")
    table.add_row("a-very-long-identifier-of-fifty-characters-in-a-word", "some words " * 20, "1")
    table.add_row("b", "[1:v1] :x: [red]", "2,000,000,000")
    return table


def counterexample() -> Table:
    mutant = MUTANTS["vote-not-persisted"]
    setup = Setup(bounds=mutant.bounds, mutant=mutant.id)
    return as_table(replay(setup.system(), recorded_runs()[mutant.id]))


EXPLORED = Explored(SUFFICIENT[0], Exploration(states=123_456_789, depth=30, seconds=1234.5), None)
MEASURED = Measurement(
    configuration="1 term, 1 entry, 2 values, restarts",
    engine="compiled",
    workers=2,
    symmetry=True,
    eager=True,
    forget=True,
    complete=True,
    states=123_456_789,
    orbits=12_345_678,
    transitions=9_123_456_789,
    depth=30,
    seconds=1234.5,
    state_bytes=99_999_999,
    core_calls=1000,
    speedup=12345.6,
    reduction=123.4,
    progress=(),
)
CLUSTER = ClusterMeasurement(
    system=OURS,
    clients=1000,
    seconds=10,
    operations=123_456,
    percentiles={50: 0.0012, 90: 0.0345, 99: 1.2345},
    saves=1000,
    shares=dict.fromkeys(TIMES, 0.123),
)
TABLES: dict[str, Callable[[], Table]] = {
    "strange": strange,
    "counterexample": counterexample,
    "mutants --list": lambda: mutants._list(MUTANTS.values()),
    "rules": lambda: rules._table(list(RULES)),
    "rules --profiles": rules._profiles_table,
    "rules --sufficient": lambda: sufficiency_table([EXPLORED]),
    "rules --necessary": lambda: necessity_table([RuleRun(each, (EXPLORED,)) for each in RULES]),
    "bench": lambda: bench._table([MEASURED]),
    "bench --against-tlc": lambda: bench._table_of_tlc(
        [
            Comparison(
                configuration="1 term, 1 entry, 2 values, restarts",
                states=123_456_789,
                transitions=9_123_456_789,
                tlc_seconds=1234.5,
                seconds=1.2,
            )
        ]
    ),
    "bench --cluster": lambda: cluster_table([CLUSTER]),
    "bench --cluster, shares": lambda: table_of_shares([CLUSTER]),
}


@pytest.mark.parametrize("width", [160, 80, 40, 20])
@pytest.mark.parametrize("name", TABLES)
def test_every_value_is_there_whatever_the_width(name: str, width: int) -> None:
    table = TABLES[name]()
    lines = shown(table, width)
    assert max(map(len, lines)) <= width
    assert not any("…" in line for line in lines)
    require_all(table, lines)


@pytest.mark.parametrize("width", [80, 40])
def test_every_value_of_a_cluster_is_there(width: int, tmp_path: Path) -> None:
    info = dict.fromkeys(COLUMNS.values(), "1,234,567")
    cluster = LocalCluster(tmp_path, 3)
    table = table_of(cluster, {1: info, 2: None, 3: info})
    text = solid("".join(shown(table, width)))
    assert "…" not in text
    for member in cluster.members.values():
        assert str(member.settings.client.port) in text
    assert text.count("1,234,567") == 2 * len(COLUMNS)


@pytest.mark.parametrize("width", [80, 40])
@pytest.mark.parametrize(
    "arguments",
    [["rules", "--profiles"], ["mutants", "--list"], ["check", "--mutant", "vote-not-persisted"]],
    ids=" ".join,
)
def test_a_command_shows_them_so(
    arguments: list[str],
    width: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    run(arguments)
    lines = capsys.readouterr().out.splitlines()
    if arguments[0] == "check":  # the summary is lines, of any length
        lines = lines[lines.index("") + 1 :]
        assert "voted_for:none→S1" in solid("".join(lines))
        assert not any("…" in line for line in lines)
    else:
        require_all(TABLES[" ".join(arguments)](), lines)
    assert max(map(len, lines)) <= width


def test_no_command_shows_a_table_otherwise() -> None:
    sources = Path(str(model_check.__file__)).parent.rglob("*.py")
    prints = {each.name for each in sources if "console.print(" in each.read_text("utf-8")}
    assert prints == {"tables.py"}
