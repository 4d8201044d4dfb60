"""The commands of ``raft-ref``, one module each."""
