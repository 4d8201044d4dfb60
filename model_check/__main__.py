"""``python -m model_check`` is ``raft-ref``."""

from raft_ref.entry.cli import main

main()
