"""``python -m raft_ref.cluster FILE``: one server; see `settings` for what stands in the file.

The same as ``raft-ref cluster node --config FILE``, without all that the command line can do
otherwise, so that it starts at once.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import NoReturn


def main() -> NoReturn:
    """Run a server."""
    try:
        from raft_ref.cluster.logs import complain
        from raft_ref.cluster.service import ServiceError, serve
        from raft_ref.cluster.settings import SettingsError, read_settings
    except ModuleNotFoundError as error:
        _end(f"{error.name} is missing: pip install 'raft-ref[cluster]'")
    path, options = _arguments()
    try:
        serve(read_settings(path, options))
    except (SettingsError, ServiceError) as error:
        complain(str(error), sys.stderr)
        sys.exit(2)
    sys.exit(0)


def _arguments() -> tuple[Path, dict[str, str]]:
    from raft_ref.cluster.settings import OPTIONS

    parser = ArgumentParser("python -m raft_ref.cluster", allow_abbrev=False)
    parser.add_argument("FILE", type=Path)
    for name, text in OPTIONS.items():
        parser.add_argument(f"--{name}", dest=name, help=text)
    given = vars(parser.parse_args())
    path: Path = given.pop("FILE")
    return path, {name: value for name, value in given.items() if value is not None}


def _end(problem: str) -> NoReturn:
    print(f"raft_ref.cluster: {problem}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
