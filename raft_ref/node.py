"""One server of Raft as a pure function: an event in, the next state and some outputs out.

`step` is the one way a server changes. It has no clock, no randomness, no I/O; the same arguments
give the same answer. Where each rule of Figure 2 lives:

==============================================  ===================================================
All servers: apply what is committed            `commit.apply_committed`
All servers: adopt a higher term                `election.adopt_term`
Followers, Candidates: election timeout         `election.handle_election_timeout`
Candidates: start an election, become leader    `election.start_election`, `election.count_votes`
Candidates: return to follower                  `replication.follow`
Leaders: heartbeats, reinitialized indexes      `election.become_leader`, `replication.send`
Leaders: client commands                        `replication.handle_client_request`
Leaders: nextIndex, matchIndex                  `replication.record_match`, `replication.back_off`
Leaders: commit the own term's entries          `commit.may_commit_by_counting`
RequestVote receiver, rules 1 and 2             `election.may_grant_vote`
AppendEntries receiver, rules 1 to 5            `replication.handle_append_entries`
Persistent state                                `types.PersistentState`, `restart`
==============================================  ===================================================

Where it departs from Figure 2, or Figure 2 is silent:

1. RPCs are messages with a ``source`` and a ``destination``; a reply to AppendEntries carries
   ``match_index``, which an RPC's caller would know.
2. ``commit_index`` never falls. Receiver rule 5 read literally lets a delayed request, with fewer
   entries than an earlier one, lower it.
3. ``next_index`` backs off to ``match_index + 1`` at the lowest: a rejection that asks for less is
   an old one. Nor does it back off below a snapshot.
4. Heartbeats carry what the follower has not acknowledged. An RPC is retried until it is answered
   (§5.3); among messages that can get lost, this is the retry. RequestVote is not sent again in the
   same term: the next election timeout does it in a new one (§5.2).
5. A client's request is answered twice: with `Appended` at once, so that a driver knows for which
   entry to wait, and by whoever carries out `Apply` once it is committed (§5.3).
6. A new leader appends no entry of its own (§8), so entries of older terms wait for the next client
   request; a driver may make one.
7. `NotLeader` names the leader of the current term alone, not one of an earlier term (§8).
8. A leader that receives AppendEntries of its own term, or an acknowledgement of entries it does
   not have, ignores it. Neither can happen as long as Raft is right.
"""

from __future__ import annotations

from typing import assert_never

from raft_ref import election, replication
from raft_ref.events import (
    ClientRequest,
    ElectionTimeout,
    Event,
    HeartbeatTimeout,
    Receive,
    Restart,
    Transition,
)
from raft_ref.messages import (
    AppendEntries,
    AppendEntriesReply,
    Message,
    RequestVote,
    RequestVoteReply,
)
from raft_ref.types import Config, Follower, NodeState
from raft_ref.wellformed import check_message


def step(config: Config, state: NodeState, event: Event) -> Transition:
    """What ``event`` makes of a server in ``state``: its next state, and its outputs in order.

    Pure, deterministic and total. What Raft ignores gives the same state and no outputs.

    Raises:
        MalformedEvent: if the event holds a message that contradicts itself or the configuration.
            Nothing has changed then.
    """
    match event:
        case ElectionTimeout():
            return election.handle_election_timeout(config, state)
        case HeartbeatTimeout():
            return replication.handle_heartbeat_timeout(config, state)
        case ClientRequest():
            return replication.handle_client_request(config, state, event)
        case Receive(message):
            check_message(message, receiver=config.id, known=config.servers)
            adopted = election.adopt_term(state, message.term)
            received = receive(config, adopted.state, message)
            return Transition(received.state, adopted.outputs + received.outputs)
        case Restart():
            return Transition(restart(state))
        case _:
            assert_never(event)


def receive(config: Config, state: NodeState, message: Message) -> Transition:
    """Handle a message whose term the server has already adopted, if it was higher (§5.1)."""
    match message:
        case RequestVote():
            return election.handle_request_vote(config, state, message)
        case RequestVoteReply():
            return election.handle_request_vote_reply(config, state, message)
        case AppendEntries():
            return replication.handle_append_entries(config, state, message)
        case AppendEntriesReply():
            return replication.handle_append_entries_reply(config, state, message)
        case _:
            assert_never(message)


def restart(state: NodeState) -> NodeState:
    """A server after a crash: its persistent state alone, and a follower (Figure 2, §5.5).

    The commit index starts again from what the log's base says is committed.
    """
    base = state.log.snapshot_index
    return NodeState(state.persistent, Follower(), commit_index=base, last_applied=base)
