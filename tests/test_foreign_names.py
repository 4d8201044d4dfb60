"""Installed beside a project that has packages of the same names as ours."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest

from tests.test_trial import RUNS as MUTANT_RUNS

ROOT = Path(__file__).parents[1]
TOY = ROOT / "tests/peers/toy/adapter.py"
SCRIPT = """#!{python}
import sys
from {module} import {function}
if __name__ == "__main__":
    sys.exit({function}())
"""
OWN_TEST = """
from model_check import CHECKED
from spec import SPECIFIED

def test_own() -> None:
    assert (CHECKED, SPECIFIED) == ("their model", "their specification")
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of scripts of an environment as an installed wheel leaves it, but that the
    packages are links, and all that they need is found where it is."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    home = tmp_path_factory.mktemp("installed")
    venv.create(home, symlinks=True)
    (site,) = home.glob("lib/python*/site-packages")
    for package in project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]:
        (site / package).symlink_to(ROOT / package)
    needed = [entry for entry in sys.path if Path(entry).name == "site-packages"]
    (site / "needed.pth").write_text("\n".join(needed))
    about = site / "raft_ref-0.1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: raft-ref\nVersion: 0.1.0\n")
    plugins = project["project"]["entry-points"]["pytest11"]
    (about / "entry_points.txt").write_text(
        "[pytest11]\n" + "".join(f"{name} = {where}\n" for name, where in plugins.items())
    )
    scripts = {**project["project"]["scripts"], "pytest": "pytest:main"}
    for name, where in scripts.items():
        module, _, function = where.partition(":")
        script = home / "bin" / name
        python = home / "bin/python"
        script.write_text(SCRIPT.format(python=python, module=module, function=function))
        script.chmod(0o755)
    return home / "bin"


def project(directory: Path, *packages: str) -> Path:
    """A project with packages of these names, of which it tests those that it has."""
    texts = {
        "spec": "SPECIFIED = 'their specification'",
        "model_check": "CHECKED = 'their model'",
        "tests": "",
    }
    for name in packages:
        (directory / name).mkdir()
        (directory / name / "__init__.py").write_text(texts[name])
    (directory / "test_own.py").write_text(OWN_TEST)
    return directory


def said(scripts: Path, directory: Path, *command: str, path: str = "") -> tuple[int, str]:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "CI"))
    }
    done = subprocess.run(  # noqa: S603
        [str(scripts / command[0]), *command[1:]],
        cwd=directory,
        env={**environment, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


FEW_RUNS = ["--raft-schedules", "mutants"]
"""Few, and not vacuous: entries are committed."""


@pytest.mark.parametrize(
    ("command", "path"), [(["python", "-m", "pytest"], ""), (["pytest"], ".")], ids=["-m", "path"]
)
def test_pytest_plays_runs_beside_tests_of_packages_with_our_names(
    command: list[str], path: str, installed: Path, tmp_path: Path
) -> None:
    own = project(tmp_path, "spec", "model_check", "tests")
    adapter = ["--raft-adapter", f"{sys.executable} {TOY}", "-q", "-p", "no:xdist"]
    code, out = said(installed, own, *command, *adapter, *FEW_RUNS, path=path)
    passed = f"{MUTANT_RUNS + 1} passed"
    assert (code, out.splitlines()[-1].split(" in ")[0]) == (0, passed), out


PLAY = ["conform", "--schedules", "mutants", "--workers", "1", "--"]


@pytest.mark.parametrize(
    ("command", "path", "packages"),
    [
        (["raft-ref"], "", ("spec", "model_check", "tests")),
        (["raft-ref"], ".", ("spec", "model_check", "tests")),
        (["python", "-m", "model_check"], ".", ("spec", "tests")),
    ],
    ids=["script", "path", "-m"],
)
def test_the_command_and_its_workers_find_our_packages(
    command: list[str], path: str, packages: tuple[str, ...], installed: Path, tmp_path: Path
) -> None:
    own = project(tmp_path, *packages)
    code, out = said(installed, own, *command, *PLAY, sys.executable, str(TOY), path=path)
    assert code == 0, out
    assert out.startswith("conforms")
