"""``python -m model_check`` is ``raft-ref``."""

from raft_ref_entry.cli import main

main()
