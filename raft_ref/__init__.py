"""The Raft consensus algorithm as a pure function.

>>> from raft_ref import Config, ElectionTimeout, NodeState, step
>>> config = Config(id=1, servers=frozenset({1, 2, 3}))
>>> transition = step(config, NodeState(), ElectionTimeout())
>>> transition.state.current_term, transition.state.voted_for
(1, 1)

Start reading at `raft_ref.node`. References such as §5.2 and Figure 2 are to D. Ongaro and
J. Ousterhout, "In Search of an Understandable Consensus Algorithm (Extended Version)", 2014.
"""

from raft_ref.events import (
    Appended,
    Apply,
    ClientRequest,
    ElectionTimeout,
    Event,
    HeartbeatTimeout,
    NotLeader,
    Output,
    Receive,
    ResetElectionTimer,
    Restart,
    Send,
    Transition,
)
from raft_ref.messages import (
    AppendEntries,
    AppendEntriesReply,
    ConflictHint,
    Message,
    RequestVote,
    RequestVoteReply,
)
from raft_ref.node import step
from raft_ref.types import (
    Candidate,
    Command,
    Config,
    Entry,
    Follower,
    Index,
    IndexMap,
    Leader,
    Log,
    NodeId,
    NodeState,
    PersistentState,
    Role,
    Term,
    Window,
)
from raft_ref.wellformed import MalformedEvent

__all__ = [
    "AppendEntries",
    "AppendEntriesReply",
    "Appended",
    "Apply",
    "Candidate",
    "ClientRequest",
    "Command",
    "Config",
    "ConflictHint",
    "ElectionTimeout",
    "Entry",
    "Event",
    "Follower",
    "HeartbeatTimeout",
    "Index",
    "IndexMap",
    "Leader",
    "Log",
    "MalformedEvent",
    "Message",
    "NodeId",
    "NodeState",
    "NotLeader",
    "Output",
    "PersistentState",
    "Receive",
    "RequestVote",
    "RequestVoteReply",
    "ResetElectionTimer",
    "Restart",
    "Role",
    "Send",
    "Term",
    "Transition",
    "Window",
    "step",
]
