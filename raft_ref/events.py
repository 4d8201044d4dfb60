"""What can happen to a server, and what a server can ask of the world.

The core has no clock, network or disk. Timers and messages reach it as *events*; what should be
sent, applied or answered leaves it as *outputs*, to be carried out in the order given.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from raft_ref.messages import Message
from raft_ref.types import Command, Entry, Index, NodeId, NodeState, Term


@dataclass(frozen=True, slots=True)
class ElectionTimeout:
    """No leader was heard from, and no vote given, for the (randomised) election timeout (§5.2)."""


@dataclass(frozen=True, slots=True)
class HeartbeatTimeout:
    """A leader's heartbeat interval has passed: followers should hear from it again (§5.2)."""


@dataclass(frozen=True, slots=True)
class ClientRequest:
    """A client asks for a command to be applied to the state machine (§5.3)."""

    command: Command


@dataclass(frozen=True, slots=True)
class Receive:
    """A message has arrived."""

    message: Message


@dataclass(frozen=True, slots=True)
class Restart:
    """The server crashed and is back, with its persistent state alone (Figure 2, §5.5)."""


Event: TypeAlias = ElectionTimeout | HeartbeatTimeout | ClientRequest | Receive | Restart


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message. It may get lost."""

    message: Message


@dataclass(frozen=True, slots=True)
class Apply:
    """Apply a committed entry to the state machine; these come in index order, without gaps."""

    index: Index
    entry: Entry


@dataclass(frozen=True, slots=True)
class Appended:
    """Answers a `ClientRequest` on a leader: the command is in its log, not yet committed.

    If an entry of this ``term`` is later applied at this ``index``, it is that command; if one of
    another term is, the command was lost.
    """

    index: Index
    term: Term


@dataclass(frozen=True, slots=True)
class NotLeader:
    """Answers a `ClientRequest` on anyone else: ask the leader, if one is known (§8)."""

    leader: NodeId | None


@dataclass(frozen=True, slots=True)
class ResetElectionTimer:
    """Start a new randomised election timeout (§5.2; Figure 2, Followers and Candidates).

    Because an election began, a vote was granted, the current leader was heard from, or a leader
    stepped down; where two of these fall together it comes twice, which is as good as once. A
    server that starts or restarts begins with such a timeout, too.
    """


Output: TypeAlias = Send | Apply | Appended | NotLeader | ResetElectionTimer


@dataclass(frozen=True, slots=True)
class Transition:
    """What a step leads to.

    The persistence contract: whatever ``state.persistent`` changed is durable before any of
    ``outputs`` leaves the server.
    """

    state: NodeState
    outputs: tuple[Output, ...] = ()

    def then(self, *outputs: Output) -> Transition:
        """The same transition with ``outputs`` added at the end."""
        return replace(self, outputs=self.outputs + outputs)
