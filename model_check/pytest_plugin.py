"""Where the pytest plugin was, for environments that were installed then; see `raft_ref_entry`."""

from raft_ref_entry.pytest_plugin import *  # noqa: F403
