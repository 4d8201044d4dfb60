"""What servers send each other: messages of Raft, and clients' requests on their way to the leader.

A request is forwarded to the leader *of a term*, and numbered, so that nothing is appended twice
although a frame may arrive twice, late, or after the leader has crashed; see `requests`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from raft_ref.cluster.replies import Reply
from raft_ref.messages import Message
from raft_ref.types import Command, Term

VERSION = 4
"""The version of frames and of their format (see `wire`); increase it when either changes. Servers
of different versions do not let each other in. Frames of version 2 were JSON."""


class Malformed(Exception):
    """A peer violates the protocol, or speaks in another server's name."""


@dataclass(frozen=True, slots=True)
class Tag:
    """Names a forwarded request among all of the server that forwards it."""

    life: int
    """Drawn anew whenever that server starts."""
    number: int
    """Ascending."""


@dataclass(frozen=True, slots=True)
class RaftFrame:
    """A message of Raft."""

    message: Message


@dataclass(frozen=True, slots=True)
class Forward:
    """A client's request, for the leader of a term and for nobody else."""

    tag: Tag
    term: Term
    command: Command


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a forwarded request."""

    tag: Tag
    reply: Reply | None
    """None: it is not in the log and never will be."""


Frame: TypeAlias = RaftFrame | Forward | Answer
