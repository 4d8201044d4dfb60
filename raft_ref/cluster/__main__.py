"""``python -m raft_ref.cluster FILE``: one server; see `settings` for what stands in the file.

The same as ``raft-ref cluster node --config FILE``, without all that the command line can do
otherwise, so that it starts at once.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NoReturn


def main() -> NoReturn:
    """Run a server."""
    if len(sys.argv) != 2:
        _end("usage: python -m raft_ref.cluster FILE")
    try:
        from raft_ref.cluster.service import ServiceError, serve
        from raft_ref.cluster.settings import SettingsError, read_settings
    except ModuleNotFoundError as error:
        _end(f"{error.name} is missing: pip install 'raft-ref[cluster]'")
    try:
        serve(read_settings(Path(sys.argv[1])))
    except (SettingsError, ServiceError) as error:
        _end(str(error))
    sys.exit(0)


def _end(problem: str) -> NoReturn:
    print(f"raft_ref.cluster: {problem}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
