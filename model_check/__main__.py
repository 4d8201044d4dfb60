"""``python -m model_check`` is ``raft-ref``."""

from model_check.cli import main

main()
