"""Where the pytest plugin was, for environments that were installed then; see `raft_ref.entry`."""

from raft_ref.entry.pytest_plugin import *  # noqa: F403
