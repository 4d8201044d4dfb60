"""The rules of Raft: what one server owes in one step, whatever else it does.

They say what is forbidden, never what is to be done. A server that obeys them all may batch,
pipeline, delay, stay silent, send heartbeats whenever it likes: it is a Raft, and safe among others
that obey them. Each rule is a function of a `Conduct`, one step as a judge sees it, that says how
the step breaks it, or None. Its docstring is the statement. It cites the paper ("Fig. 2" is the box
on page 4), and names the function of `raft_ref` that obeys it.
"""

from __future__ import annotations

from raft_ref import commit, election, node, replication, wellformed
from raft_ref.events import ElectionTimeout, Receive, Send
from raft_ref.messages import AppendEntries, AppendEntriesReply, RequestVote, RequestVoteReply
from raft_ref.types import Candidate, Index, Leader, Log, NodeId, NodeState
from raft_ref.wellformed import MalformedEvent, check_contents
from spec.conduct import Conduct, additions, differences, first_conflict
from spec.rule import Broken, Rule, rule
from spec.shadow import Shadow
from spec.words import (
    base_text,
    entry_at,
    entry_text,
    position_text,
    role_text,
    servers_text,
    term_text,
)

# --- term ----------------------------------------------------------------------------------------


@rule(
    "TERM-MONOTONIC",
    "term",
    cites="§5.1; Fig. 2, Persistent state: currentTerm increases monotonically",
    observes="current_term",
    implemented_by=election.adopt_term,
)
def term_monotonic(step: Conduct) -> Broken | None:
    """A server's term never decreases. (For restarts, see RESTART-TERM.)"""
    before, after = step.before.state.current_term, step.after.state.current_term
    if after >= before or step.is_restart:
        return None
    return Broken("the term", f"at least {before}", str(after))


@rule(
    "TERM-ADOPT",
    "term",
    cites="§5.1, §5.2; Fig. 2, All servers, and Candidates: increment currentTerm",
    observes="current_term",
    allowed_by="arrival",
    implemented_by=election.adopt_term,
)
def term_adopt(step: Conduct) -> Broken | None:
    """A server's term rises only when it starts an election, or to the term of the message that it
    has just received."""
    before, after = step.before.state.current_term, step.after.state.current_term
    if after <= before or isinstance(step.event, ElectionTimeout):
        return None
    if isinstance(step.event, Receive):
        term = step.event.message.term
        if term == after:
            return None
        allowed = f"at most {before}, or {term} as in the message received"
        return Broken("the term", allowed, str(after))
    return Broken("the term", f"at most {before}, since no message was received", str(after))


@rule(
    "TERM-STEP-DOWN",
    "term",
    cites="§5.1; Fig. 2, All servers: convert to follower",
    observes="current_term role",
    exercised_by="election",
    implemented_by=election.adopt_term,
)
def term_step_down(step: Conduct) -> Broken | None:
    """A server whose term has changed is no leader, unless it is a majority by itself."""
    after = step.after.state
    if step.keeps_term or not isinstance(after.role, Leader):
        return None
    if step.after.is_majority(frozenset({step.after.id})):
        return None
    return Broken(
        f"the role on entering term {after.current_term}", "follower or candidate", "leader"
    )


# --- votes ---------------------------------------------------------------------------------------


@rule(
    "VOTE-ONCE",
    "vote",
    cites="§5.2; Fig. 2, RequestVote receiver rule 2: votedFor is null or candidateId",
    observes="current_term voted_for",
    exercised_by="contested_election",
    implemented_by=election.may_grant_vote,
)
def vote_once(step: Conduct) -> Broken | None:
    """A server votes at most once in a term, and keeps that vote to the end of the term. (For
    restarts, see RESTART-VOTE.)"""
    before, after = step.before.state, step.after.state
    if step.is_restart or not step.keeps_term or before.voted_for in (None, after.voted_for):
        return None
    return Broken(f"the vote in term {after.current_term}", _vote(before), _vote(after))


@rule(
    "VOTE-SELF",
    "vote",
    cites="§5.2; Fig. 2, Candidates: vote for self",
    observes="voted_for role",
    implemented_by=election.start_election,
)
def vote_self(step: Conduct) -> Broken | None:
    """A candidate has a vote, and has given it to itself."""
    after = step.after.state
    if not isinstance(after.role, Candidate):
        return None
    if step.after.id not in step.after.servers:
        return _not_a_voter("candidate", step.after)
    if after.voted_for == step.after.id:
        return None
    return Broken("the candidate's vote", f"for S{step.after.id}, itself", _vote(after))


@rule(
    "VOTE-REQUESTED",
    "vote",
    cites="§5.2; Fig. 2, RequestVote receiver",
    observes="current_term voted_for",
    allowed_by="arrival",
    implemented_by=election.handle_request_vote,
)
def vote_requested(step: Conduct) -> Broken | None:
    """A server votes for another only on a RequestVote of its current term that has just arrived
    from that server."""
    if not step.votes_for_another:
        return None
    request = step.received(RequestVote)
    after = step.after.state
    if request is None:
        return Broken("the new vote", "none, since no RequestVote was received", _vote(after))
    if request.source != after.voted_for:
        asked = f"for S{request.source}, which asked for it"
        return Broken("the new vote", asked, _vote(after))
    if request.term != after.current_term:
        return Broken(
            "the term of the new vote",
            f"{request.term}, as in the RequestVote",
            str(after.current_term),
        )
    return None


@rule(
    "VOTE-UP-TO-DATE",
    "vote",
    cites="§5.4.1; Fig. 2, RequestVote receiver rule 2: at least as up-to-date as receiver's log",
    observes="current_term voted_for log",
    exercised_by="vote_refused_for_log",
    implemented_by=election.is_up_to_date,
)
def vote_up_to_date(step: Conduct) -> Broken | None:
    """A server votes for another only if the other's log is at least as up-to-date as its own."""
    request = step.received(RequestVote)
    if not step.votes_for_another or request is None:
        return None
    own = step.before.state.log.last_term, step.before.state.log.last_index
    theirs = request.last_log_term, request.last_log_index
    if theirs >= own:
        return None
    return Broken(
        "the candidate's last entry", f"at least {position_text(*own)}", position_text(*theirs)
    )


@rule(
    "VOTE-TRUTHFUL",
    "vote",
    cites="§5.2; Fig. 2, RequestVote results: voteGranted, and Persistent state: votedFor",
    observes="voted_for outputs",
    implemented_by=election.handle_request_vote,
)
def vote_truthful(step: Conduct) -> Broken | None:
    """A vote that is granted is the one that is recorded as votedFor."""
    after = step.after.state
    for reply in step.sent(RequestVoteReply):
        if reply.vote_granted and reply.destination != after.voted_for:
            recorded = f"{_vote(after)}, as recorded"
            return Broken("the vote granted", recorded, f"for S{reply.destination}")
    return None


@rule(
    "VOTE-GRANT-TERM",
    "vote",
    cites="§5.1; Fig. 2, RequestVote receiver rule 1, and results: term",
    observes="current_term outputs",
    implemented_by=election.handle_request_vote,
)
def vote_grant_term(step: Conduct) -> Broken | None:
    """A vote is granted in the voter's current term, not in an earlier or a later one."""
    after = step.after.state
    for reply in step.sent(RequestVoteReply):
        if reply.vote_granted and reply.term != after.current_term:
            return Broken("the term of the vote granted", _current(after), str(reply.term))
    return None


@rule(
    "VOTE-REQUEST-TRUTHFUL",
    "vote",
    cites="§5.2, §5.4.1; Fig. 2, RequestVote arguments",
    observes="current_term log outputs",
    implemented_by=election.start_election,
)
def vote_request_truthful(step: Conduct) -> Broken | None:
    """A RequestVote carries its sender's current term, and does not overstate its sender's log."""
    after = step.after.state
    own = after.log.last_term, after.log.last_index
    for request in step.sent(RequestVote):
        if request.term != after.current_term:
            return Broken("the term of the RequestVote", _current(after), str(request.term))
        theirs = request.last_log_term, request.last_log_index
        if theirs > own:
            return Broken(
                "the last entry in the RequestVote",
                f"at most {position_text(*own)}",
                position_text(*theirs),
            )
    return None


# --- elections -----------------------------------------------------------------------------------


@rule(
    "ELECT-QUORUM",
    "election",
    cites="§5.2; Fig. 2, Candidates: votes received from majority of servers",
    observes="current_term role",
    allowed_by="grants",
    exercised_by="election",
    implemented_by=election.count_votes,
)
def elect_quorum(step: Conduct) -> Broken | None:
    """A server becomes leader only with the votes of a majority: its own, and others granted to it
    in its current term."""
    if not step.is_elected:
        return None
    after = step.after
    if after.id not in after.servers:
        return _not_a_voter("new leader", after)
    votes = after.evidence.grants | {after.id}
    if after.is_majority(votes):
        return None
    return Broken("the votes for the new leader", _a_majority(after), _counted(after, votes))


@rule(
    "ELECT-CANDIDATE",
    "election",
    cites="§5.2; Fig. 4",
    observes="current_term role",
    exercised_by="election",
    implemented_by=election.handle_request_vote_reply,
)
def elect_candidate(step: Conduct) -> Broken | None:
    """Only a candidate of a term becomes its leader, unless it is a majority by itself."""
    before, after = step.before.state, step.after.state
    was_candidate = isinstance(before.role, Candidate) and step.keeps_term
    is_alone = step.after.is_majority(frozenset({step.after.id}))
    if not step.is_elected or was_candidate or is_alone:
        return None
    return Broken(
        "the role from which it became leader",
        f"candidate in term {after.current_term}",
        f"{role_text(before.role)} in term {before.current_term}",
    )


# --- logs ----------------------------------------------------------------------------------------


@rule(
    "LEADER-APPEND-ONLY",
    "log",
    cites="§5.3; Fig. 3, Leader Append-Only",
    observes="current_term role log",
    exercised_by="append",
    implemented_by=replication.handle_client_request,
)
def leader_append_only(step: Conduct) -> Broken | None:
    """A leader never changes or removes an entry of its log."""
    before, after = step.before.state.log, step.after.state.log
    if not step.leads:
        return None
    index = next(differences(before, after, until=before.last_index), None)
    return None if index is None else _other_entry(before, after, index)


@rule(
    "LEADER-ENTRY-TERM",
    "log",
    cites="§5.3; Fig. 2, log[]: term when entry was received by leader",
    observes="current_term role log",
    exercised_by="append",
    implemented_by=replication.handle_client_request,
)
def leader_entry_term(step: Conduct) -> Broken | None:
    """Entries that a leader appends are of its current term."""
    before, after = step.before.state.log, step.after.state
    if not step.leads:
        return None
    for index in range(before.last_index + 1, after.log.last_index + 1):
        term = after.log.term_at(index)
        if term != after.current_term:
            return Broken(f"the term of new entry {index}", _current(after), term_text(term))
    return None


@rule(
    "LOG-SOURCE",
    "log",
    cites="§5.3; Fig. 2, Leaders: append entry to local log, and AppendEntries receiver",
    observes="current_term role log",
    allowed_by="arrival",
    implemented_by=node.receive,
)
def log_source(step: Conduct) -> Broken | None:
    """A non-leader changes its log only on an AppendEntries that it has just received."""
    before, after = step.before.state.log, step.after.state.log
    if not step.changes_log or step.received(AppendEntries) is not None:
        return None
    return _other_log(before, after)


@rule(
    "FOLLOWER-CURRENT-TERM",
    "log",
    cites="§5.1; Fig. 2, AppendEntries receiver rule 1",
    observes="current_term role log",
    exercised_by="stale_message",
    implemented_by=replication.handle_append_entries,
)
def follower_current_term(step: Conduct) -> Broken | None:
    """A non-leader changes its log only on an AppendEntries of its current term, not of an earlier
    or a later one."""
    request, after = step.appended_by, step.after.state
    if request is None or request.term == after.current_term:
        return None
    return Broken("the term of the AppendEntries", _current(after), str(request.term))


@rule(
    "FOLLOWER-PREV-MATCH",
    "log",
    cites="§5.3; Fig. 2, AppendEntries receiver rule 2",
    observes="current_term role log",
    exercised_by="rejection",
    implemented_by=replication.is_consistent,
)
def follower_prev_match(step: Conduct) -> Broken | None:
    """A non-leader adds entries only if its log holds the one that precedes them in the request."""
    request, before, after = step.appended_by, step.before.state.log, step.after.state.log
    if request is None or not any(additions(before, after)):
        return None
    index = request.prev_log_index
    own = before.term_at(index)
    if index < before.snapshot_index or own == request.prev_log_term:
        return None
    return Broken(
        f"the term of entry {index}, which precedes the new ones",
        f"{request.prev_log_term}, as in the request",
        term_text(own),
    )


@rule(
    "FOLLOWER-SPLICE-SOURCE",
    "log",
    cites="§5.3; Fig. 2, AppendEntries receiver rule 4",
    observes="current_term role log",
    exercised_by="replication",
    implemented_by=replication.merge,
)
def follower_splice_source(step: Conduct) -> Broken | None:
    """Every entry that a non-leader adds to its log is in the request, at the same index."""
    request, before, after = step.appended_by, step.before.state.log, step.after.state.log
    if request is None:
        return None
    for index in additions(before, after):
        place = index - request.prev_log_index - 1
        sent = request.entries[place] if 0 <= place < len(request.entries) else None
        if after.entry_at(index) != sent:
            return Broken(
                f"new entry {index}",
                f"{entry_text(sent)}, as in the request",
                entry_at(after, index),
            )
    return None


@rule(
    "FOLLOWER-SPLICE-CONFLICT",
    "log",
    cites="§5.3; Fig. 2, AppendEntries receiver rule 3",
    observes="current_term role log",
    exercised_by="truncation",
    implemented_by=replication.merge,
)
def follower_splice_conflict(step: Conduct) -> Broken | None:
    """A non-leader removes the first entry that conflicts with the request and all that follow it,
    and no others; a log that changes keeps no entry that conflicts."""
    request, before, after = step.appended_by, step.before.state.log, step.after.state.log
    if request is None:
        return None
    removed = next(differences(before, after, until=before.last_index), None)
    conflict = first_conflict(before, request)
    if removed is not None and removed != conflict:
        where = "none, since none conflicts"
        if conflict is not None:
            where = f"those from index {conflict} on, where the first conflict is"
        return Broken("the entries removed", where, f"those from index {removed} on")
    end = request.prev_log_index + len(request.entries)
    if removed is not None and after.last_index > end:
        return Broken(f"entry {end + 1}, after a conflict", "removed", entry_at(after, end + 1))
    kept = first_conflict(after, request)
    if kept is not None:
        return Broken(
            f"entry {kept}, which conflicts with the request", "removed", entry_at(after, kept)
        )
    return None


# --- what messages say of logs -------------------------------------------------------------------


@rule(
    "APPEND-LEADER",
    "append",
    cites="§5.2, §5.3; Fig. 2, AppendEntries: invoked by leader",
    observes="current_term role outputs",
    implemented_by=replication.append_entries_for,
)
def append_leader(step: Conduct) -> Broken | None:
    """An AppendEntries is sent only by the leader of its term."""
    after = step.after.state
    for request in step.sent(AppendEntries):
        if not isinstance(after.role, Leader):
            role = role_text(after.role)
            return Broken("the role of the server that sends AppendEntries", "leader", role)
        if request.term != after.current_term:
            return Broken("the term of the AppendEntries", _current(after), str(request.term))
    return None


@rule(
    "APPEND-TRUTHFUL",
    "append",
    cites="§5.3; Fig. 2, AppendEntries arguments: prevLogIndex, prevLogTerm, entries[]",
    observes="log outputs",
    implemented_by=replication.append_entries_for,
)
def append_truthful(step: Conduct) -> Broken | None:
    """The entries in an AppendEntries, and the one that precedes them, are in its sender's log."""
    log = step.after.state.log
    for request in step.sent(AppendEntries):
        first = request.prev_log_index
        if log.term_at(first) != request.prev_log_term:
            return Broken(
                f"the term of entry {first}, as prevLogTerm in the AppendEntries",
                f"{term_text(log.term_at(first))}, as in the sender's log",
                str(request.prev_log_term),
            )
        for index, entry in enumerate(request.entries, start=first + 1):
            if log.entry_at(index) != entry:
                return Broken(
                    f"entry {index} in the AppendEntries",
                    f"{entry_at(log, index)}, as in the sender's log",
                    entry_text(entry),
                )
    return None


@rule(
    "APPEND-COMMIT",
    "append",
    cites="§5.3; Fig. 2, AppendEntries arguments: leaderCommit",
    observes="commit_index outputs",
    implemented_by=replication.append_entries_for,
)
def append_commit(step: Conduct) -> Broken | None:
    """The leaderCommit in an AppendEntries is no higher than its sender's commit index."""
    own = step.after.state.commit_index
    for request in step.sent(AppendEntries):
        if request.leader_commit > own:
            most = f"at most {own}, the sender's commit index"
            return Broken("leaderCommit in the AppendEntries", most, str(request.leader_commit))
    return None


@rule(
    "ACK-TERM",
    "acknowledgement",
    cites="§5.1; Fig. 2, AppendEntries results: term",
    observes="current_term outputs",
    implemented_by=replication.reply_to,
)
def ack_term(step: Conduct) -> Broken | None:
    """An acknowledgement carries its sender's current term."""
    after = step.after.state
    for reply in step.sent(AppendEntriesReply):
        if reply.success and reply.term != after.current_term:
            return Broken("the term of the acknowledgement", _current(after), str(reply.term))
    return None


@rule(
    "ACK-CONFIRMED",
    "acknowledgement",
    cites="§5.3; Fig. 2, AppendEntries results: success, and Leaders: matchIndex",
    observes="current_term log outputs",
    allowed_by="confirmed",
    exercised_by="replication",
    implemented_by=replication.reply_to,
)
def ack_confirmed(step: Conduct) -> Broken | None:
    """An acknowledgement reaches no further than AppendEntries of the current term have confirmed
    the log, even if the log is longer."""
    confirmed = step.after.evidence.confirmed
    for reply in step.sent(AppendEntriesReply):
        if reply.success and reply.match_index > confirmed:
            most = f"at most {confirmed}, the last index confirmed in this term"
            return Broken("the index acknowledged", most, str(reply.match_index))
    return None


# --- committing ----------------------------------------------------------------------------------


@rule(
    "COMMIT-MONOTONIC",
    "commit",
    cites="§5.3; Fig. 2, Volatile state: commitIndex increases monotonically",
    observes="commit_index",
    implemented_by=commit.follower_commit_index,
)
def commit_monotonic(step: Conduct) -> Broken | None:
    """A server's commit index never decreases, except in a restart."""
    before, after = step.before.state.commit_index, step.after.state.commit_index
    if after >= before or step.is_restart:
        return None
    return Broken("the commit index", f"at least {before}", str(after))


@rule(
    "COMMIT-QUORUM",
    "commit",
    cites="§5.3; Fig. 2, Leaders: a majority of matchIndex[i] >= N",
    observes="current_term role log commit_index",
    allowed_by="acknowledged",
    exercised_by="commit",
    implemented_by=commit.has_majority,
)
def commit_quorum(step: Conduct) -> Broken | None:
    """A leader commits only what a majority, itself included, has acknowledged in its term."""
    index, last = step.after.state.commit_index, step.after.state.log.last_index
    if not step.commits_as_leader or step.counted:
        return None
    if index > last:
        return Broken(
            "the leader's commit index", f"at most {last}, the end of its log", str(index)
        )
    holders = _counted(step.after, step.holders(index))
    return Broken(f"the servers known to hold entry {index}", _a_majority(step.after), holders)


@rule(
    "COMMIT-CURRENT-TERM",
    "commit",
    cites="§5.4.2 and Fig. 8; Fig. 2, Leaders: log[N].term == currentTerm",
    observes="current_term role log commit_index",
    allowed_by="acknowledged",
    exercised_by="commit_of_older_term",
    implemented_by=commit.may_commit_by_counting,
)
def commit_current_term(step: Conduct) -> Broken | None:
    """A leader commits entries of earlier terms only together with one of its current term."""
    if not step.commits_as_leader or not step.counted:
        return None
    after = step.after.state
    terms = [after.log.term_at(index) for index in step.counted]
    if after.current_term in terms:
        return None
    return Broken(
        "the terms of the entries that a majority holds",
        f"the current term {after.current_term} among them",
        ", ".join(dict.fromkeys(map(term_text, terms))),
    )


@rule(
    "COMMIT-CONFIRMED",
    "commit",
    cites="§5.3; Fig. 2, AppendEntries receiver rule 5: index of last new entry",
    observes="current_term role log commit_index",
    allowed_by="confirmed",
    exercised_by="follower_commit",
    implemented_by=commit.follower_commit_index,
)
def commit_confirmed(step: Conduct) -> Broken | None:
    """A non-leader commits only entries that AppendEntries of the current term have confirmed."""
    confirmed = step.after.evidence.confirmed
    if not step.commits_as_follower or step.after.state.commit_index <= confirmed:
        return None
    seen = step.after.state.commit_index
    most = f"at most {confirmed}, the last index confirmed in this term"
    return Broken("the commit index", most, str(seen))


@rule(
    "COMMIT-CLAIMED",
    "commit",
    cites="§5.3; Fig. 2, AppendEntries receiver rule 5: leaderCommit",
    observes="current_term role log commit_index",
    allowed_by="claimed",
    exercised_by="follower_commit",
    implemented_by=commit.follower_commit_index,
)
def commit_claimed(step: Conduct) -> Broken | None:
    """A non-leader commits only entries that the leader of the current term says are committed."""
    claimed = step.after.evidence.claimed
    if not step.commits_as_follower or step.after.state.commit_index <= claimed:
        return None
    seen = step.after.state.commit_index
    most = f"at most {claimed}, the highest leaderCommit received in this term"
    return Broken("the commit index", most, str(seen))


@rule(
    "COMMIT-STABLE",
    "commit",
    cites="§5.4; Fig. 3, State Machine Safety",
    observes="log commit_index",
    implemented_by=replication.merge,
)
def commit_stable(step: Conduct) -> Broken | None:
    """A committed entry never changes. (This follows if all servers obey the other rules.)"""
    before, after = step.before.state, step.after.state
    if step.is_restart:
        return None
    index = next(differences(before.log, after.log, until=before.commit_index), None)
    return None if index is None else _other_entry(before.log, after.log, index)


# --- applying ------------------------------------------------------------------------------------


@rule(
    "APPLY-COMMITTED",
    "apply",
    cites="§5.3; Fig. 2, All servers: if commitIndex > lastApplied",
    observes="log commit_index applied",
    allowed_by="ever_applied",
    exercised_by="apply",
    implemented_by=commit.apply_committed,
)
def apply_committed(step: Conduct) -> Broken | None:
    """An entry that is applied is committed, and is the one in the server's log at that index. (The
    commit index is volatile: after a restart, entries that were applied before may be applied
    again.)"""
    before, after = step.before.state.log, step.after.state
    committed = max(after.commit_index, step.before.evidence.ever_applied)
    for applied in step.applied:
        index = applied.index
        if index > committed:
            why = "the commit index" if committed == after.commit_index else "applied before"
            most = f"at most {committed}, {why}"
            return Broken("the index applied", most, str(index))
        # What a snapshot has just replaced stood in the log before; what one replaced earlier is
        # not known.
        log = after.log if index > after.log.snapshot_index else before
        is_hidden = 0 < index <= log.snapshot_index
        if not is_hidden and log.entry_at(index) != applied.entry:
            own = f"{entry_at(log, index)}, as in the log"
            return Broken(f"the entry applied at {index}", own, entry_text(applied.entry))
    return None


@rule(
    "APPLY-ORDER",
    "apply",
    cites="§5.3; Fig. 2, All servers: increment lastApplied, apply log[lastApplied]",
    observes="log applied",
    allowed_by="applied ever_applied",
    exercised_by="apply",
    implemented_by=commit.apply_committed,
)
def apply_order(step: Conduct) -> Broken | None:
    """Entries are applied in the order of their indexes, each once, and none is left out. After a
    restart a server begins anew: with its first entry, with the one after its snapshot, or, if its
    state machine is durable, up to one after what it had applied before."""
    last = 0 if step.is_restart else step.before.evidence.applied
    ever, snapshot = step.before.evidence.ever_applied, step.after.state.log.snapshot_index
    for applied in step.applied:
        least = last + 1
        # A snapshot is loaded in place of the entries that it covers.
        most = max(least, snapshot + 1, 0 if last else ever + 1)
        if not least <= applied.index <= most:
            expected = str(least) if least == most else f"{least} to {most}"
            return Broken("the index applied", expected, str(applied.index))
        last = applied.index
    return None


# --- restarts ------------------------------------------------------------------------------------


@rule(
    "RESTART-TERM",
    "restart",
    cites="§5.1; Fig. 2, Persistent state: currentTerm",
    observes="current_term",
    exercised_by="restart_in_a_term",
    implemented_by=node.restart,
)
def restart_term(step: Conduct) -> Broken | None:
    """A restart keeps the term."""
    before, after = step.before.state.current_term, step.after.state.current_term
    if not step.is_restart or before == after:
        return None
    return Broken("the term after a restart", str(before), str(after))


@rule(
    "RESTART-VOTE",
    "restart",
    cites="§5.2; Fig. 2, Persistent state: votedFor",
    observes="voted_for",
    exercised_by="restart_with_vote",
    implemented_by=node.restart,
)
def restart_vote(step: Conduct) -> Broken | None:
    """A restart keeps the vote."""
    before, after = step.before.state, step.after.state
    if not step.is_restart or before.voted_for == after.voted_for:
        return None
    return Broken("the vote after a restart", _vote(before), _vote(after))


@rule(
    "RESTART-LOG",
    "restart",
    cites="§5.3; Fig. 2, Persistent state: log[]",
    observes="log",
    exercised_by="restart_with_entries",
    implemented_by=node.restart,
)
def restart_log(step: Conduct) -> Broken | None:
    """A restart keeps the log."""
    before, after = step.before.state.log, step.after.state.log
    if not step.is_restart or before == after:
        return None
    return _other_log(before, after)


# --- messages ------------------------------------------------------------------------------------


@rule(
    "MESSAGE-WELL-FORMED",
    "message",
    cites="Fig. 2, arguments and results of both RPCs",
    observes="outputs",
    implemented_by=wellformed.check_message,
)
def message_well_formed(step: Conduct) -> Broken | None:
    """A message names its sender as its source, goes to another server, which need not have a vote,
    and does not contradict itself."""
    own = step.after.id
    for output in step.outputs:
        if not isinstance(output, Send):
            continue
        message = output.message
        if message.source != own:
            return Broken("the source of the message", f"S{own}", f"S{message.source}")
        if message.destination == own:
            return Broken("the destination of the message", "another server", f"S{own} itself")
        try:
            check_contents(message)
        except MalformedEvent as error:
            kind = type(message).__name__
            return Broken(f"{error.field} in the {kind}", error.allowed, error.found)
    return None


# --- clients -------------------------------------------------------------------------------------


@rule(
    "REDIRECT-LEADER",
    "client",
    cites="§5.1, §8",
    observes="current_term role redirect",
    allowed_by="leaders",
    exercised_by="redirect",
    implemented_by=replication.known_leader,
)
def redirect_leader(step: Conduct) -> Broken | None:
    """A leader that is named to a client is one of the current term: the server itself, or one
    whose AppendEntries of that term has arrived. (A server may name nobody.)"""
    leaders = step.after.evidence.leaders
    for answer in step.redirected:
        if answer.leader is not None and answer.leader not in leaders:
            term = step.after.state.current_term
            known = f", {servers_text(leaders)}" if leaders else ""
            expected = f"nobody, or a leader of term {term}{known}"
            return Broken("the leader named to a client", expected, f"S{answer.leader}")
    return None


# --- in words ------------------------------------------------------------------------------------


def _other_entry(before: Log, after: Log, index: Index) -> Broken:
    return Broken(f"entry {index}", entry_at(before, index), entry_at(after, index))


def _other_log(before: Log, after: Log) -> Broken:
    """How two logs differ: in an entry, otherwise in what a snapshot has replaced."""
    index = next(differences(before, after), None)
    if index is not None:
        return _other_entry(before, after, index)
    return Broken("the snapshot that begins the log", base_text(before), base_text(after))


def _vote(state: NodeState) -> str:
    return "none" if state.voted_for is None else f"for S{state.voted_for}"


def _current(state: NodeState) -> str:
    return f"{state.current_term}, the server's current term"


def _a_majority(shadow: Shadow) -> str:
    return f"a majority of {servers_text(shadow.servers)}"


def _counted(shadow: Shadow, servers: frozenset[NodeId]) -> str:
    """Those of ``servers`` that count; the others, which have no vote, are named apart."""
    others = servers - shadow.servers
    aside = f" ({servers_text(others)} not counted: no vote)" if others else ""
    return servers_text(servers & shadow.servers) + aside


def _not_a_voter(role: str, shadow: Shadow) -> Broken:
    voters = f"one of the voters {servers_text(shadow.servers)}"
    return Broken(f"the {role}", voters, f"S{shadow.id}, which has no vote")


RULES: tuple[Rule, ...] = tuple(
    value for value in list(globals().values()) if isinstance(value, Rule)
)
"""All of them, in the order in which they stand here."""

RULES_BY_ID = {each.id: each for each in RULES}
