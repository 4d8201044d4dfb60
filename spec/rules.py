"""The rules of Raft: what one server owes in one step, whatever else it does.

They say what is forbidden, never what is to be done. A server that obeys them all may batch,
pipeline, delay, stay silent, send heartbeats whenever it likes: it is a Raft, and safe among others
that obey them. Each rule is a function of a `Conduct`, one step as a judge sees it, that says how
the step breaks it, or None. Its docstring is the statement. It cites the paper ("Fig. 2" is the box
on page 4), and names the function of `raft_ref` that obeys it.
"""

from __future__ import annotations

from raft_ref import commit, election, node, replication, wellformed
from raft_ref.events import Apply, ElectionTimeout, Receive, Send
from raft_ref.messages import AppendEntries, AppendEntriesReply, RequestVote, RequestVoteReply
from raft_ref.types import Candidate, Config, Index, Leader, Log, NodeState
from raft_ref.wellformed import MalformedEvent, check_message
from spec.conduct import Conduct, additions, differences, first_conflict
from spec.rule import Broken, Rule, rule

# --- term ----------------------------------------------------------------------------------------


@rule(
    "TERM-MONOTONIC",
    "term",
    cites="§5.1; Fig. 2, Persistent state: currentTerm increases monotonically",
    observes="current_term",
    implemented_by=election.adopt_term,
)
def term_monotonic(step: Conduct) -> Broken | None:
    """A server's term never falls. (For restarts, see RESTART-TERM.)"""
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
    """A server's term rises by its own candidacy, or to that of the message it just received."""
    before, after = step.before.state.current_term, step.after.state.current_term
    if after <= before or isinstance(step.event, ElectionTimeout):
        return None
    if isinstance(step.event, Receive):
        term = step.event.message.term
        return None if term == after else Broken("the term", f"the message's, {term}", str(after))
    return Broken("the term", f"still {before}, since nothing was received", str(after))


@rule(
    "TERM-STEP-DOWN",
    "term",
    cites="§5.1; Fig. 2, All servers: convert to follower",
    observes="current_term role",
    implemented_by=election.adopt_term,
)
def term_step_down(step: Conduct) -> Broken | None:
    """A server whose term has changed does not lead, unless it is a majority by itself."""
    after = step.after.state
    if step.keeps_term or not isinstance(after.role, Leader):
        return None
    if step.after.is_majority(frozenset({step.after.id})):
        return None
    return Broken(
        f"the role in term {after.current_term}, which has just begun", "not a leader", "a leader"
    )


# --- votes ---------------------------------------------------------------------------------------


@rule(
    "VOTE-ONCE",
    "vote",
    cites="§5.2; Fig. 2, RequestVote receiver rule 2: votedFor is null or candidateId",
    observes="current_term voted_for",
    implemented_by=election.may_grant_vote,
)
def vote_once(step: Conduct) -> Broken | None:
    """A vote once given in a term stays as it is for the rest of the term. (For restarts, see
    RESTART-VOTE.)"""
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
    """A candidate has voted for itself."""
    after = step.after.state
    if not isinstance(after.role, Candidate) or after.voted_for == step.after.id:
        return None
    return Broken("a candidate's vote", f"for S{step.after.id}", _vote(after))


@rule(
    "VOTE-REQUESTED",
    "vote",
    cites="§5.2; Fig. 2, RequestVote receiver",
    observes="current_term voted_for",
    allowed_by="arrival",
    implemented_by=election.handle_request_vote,
)
def vote_requested(step: Conduct) -> Broken | None:
    """A vote is given to another server only when its request of that term has just arrived."""
    if not step.votes_for_another:
        return None
    request = step.received(RequestVote)
    after = step.after.state
    if request is None:
        return Broken("a new vote", "in answer to a RequestVote", f"{_vote(after)}, unasked")
    if request.source != after.voted_for:
        return Broken("a new vote", f"for S{request.source}, who asks", _vote(after))
    if request.term != after.current_term:
        return Broken(
            "a new vote",
            f"in term {request.term}, for which it was asked",
            f"in term {after.current_term}",
        )
    return None


@rule(
    "VOTE-UP-TO-DATE",
    "vote",
    cites="§5.4.1; Fig. 2, RequestVote receiver rule 2: at least as up-to-date as receiver's log",
    observes="current_term voted_for log",
    implemented_by=election.is_up_to_date,
)
def vote_up_to_date(step: Conduct) -> Broken | None:
    """A vote is given to another only if its log is at least as up-to-date as the own one."""
    request = step.received(RequestVote)
    if not step.votes_for_another or request is None:
        return None
    own = step.before.state.log.last_term, step.before.state.log.last_index
    theirs = request.last_log_term, request.last_log_index
    if theirs >= own:
        return None
    return Broken("the candidate's last entry", f"at least {_last(*own)}", _last(*theirs))


@rule(
    "VOTE-TRUTHFUL",
    "vote",
    cites="§5.2; Fig. 2, RequestVote results: voteGranted, and Persistent state: votedFor",
    observes="voted_for outputs",
    implemented_by=election.handle_request_vote,
)
def vote_truthful(step: Conduct) -> Broken | None:
    """A vote that is granted is recorded."""
    after = step.after.state
    for reply in step.sent(RequestVoteReply):
        if reply.vote_granted and reply.destination != after.voted_for:
            return Broken("the vote granted", _vote(after), f"for S{reply.destination}")
    return None


@rule(
    "VOTE-GRANT-TERM",
    "vote",
    cites="§5.1; Fig. 2, RequestVote receiver rule 1, and results: term",
    observes="current_term outputs",
    implemented_by=election.handle_request_vote,
)
def vote_grant_term(step: Conduct) -> Broken | None:
    """A vote is granted in the own term, neither in one that is over nor in one yet to come."""
    after = step.after.state
    for reply in step.sent(RequestVoteReply):
        if reply.vote_granted and reply.term != after.current_term:
            return Broken("the term of a vote granted", str(after.current_term), str(reply.term))
    return None


@rule(
    "VOTE-REQUEST-TRUTHFUL",
    "vote",
    cites="§5.2, §5.4.1; Fig. 2, RequestVote arguments",
    observes="current_term log outputs",
    implemented_by=election.start_election,
)
def vote_request_truthful(step: Conduct) -> Broken | None:
    """Who asks for votes does so in its own term, and does not overstate its log."""
    after = step.after.state
    own = after.log.last_term, after.log.last_index
    for request in step.sent(RequestVote):
        if request.term != after.current_term:
            return Broken("the request's term", str(after.current_term), str(request.term))
        theirs = request.last_log_term, request.last_log_index
        if theirs > own:
            return Broken("the last entry it claims", f"at most {_last(*own)}", _last(*theirs))
    return None


# --- elections -----------------------------------------------------------------------------------


@rule(
    "ELECT-QUORUM",
    "election",
    cites="§5.2; Fig. 2, Candidates: votes received from majority of servers",
    observes="current_term role",
    allowed_by="grants",
    implemented_by=election.count_votes,
)
def elect_quorum(step: Conduct) -> Broken | None:
    """A server becomes leader only with votes of a majority, its own among them, the others granted
    in its term."""
    if not step.comes_to_power:
        return None
    after = step.after
    votes = after.evidence.grants | {after.id}
    if after.is_majority(votes):
        return None
    return Broken("a new leader's votes", "those of a majority", _servers(votes))


@rule(
    "ELECT-CANDIDATE",
    "election",
    cites="§5.2; Fig. 4",
    observes="current_term role",
    implemented_by=election.handle_request_vote_reply,
)
def elect_candidate(step: Conduct) -> Broken | None:
    """Only a candidate of the term becomes its leader, unless it is a majority by itself."""
    before, after = step.before.state, step.after.state
    was_candidate = isinstance(before.role, Candidate) and step.keeps_term
    is_alone = step.after.is_majority(frozenset({step.after.id}))
    if not step.comes_to_power or was_candidate or is_alone:
        return None
    was = f"a {type(before.role).__name__.lower()} of term {before.current_term}"
    return Broken("what the new leader was", f"a candidate of term {after.current_term}", was)


# --- logs ----------------------------------------------------------------------------------------


@rule(
    "LEADER-APPEND-ONLY",
    "log",
    cites="§5.3; Fig. 3, Leader Append-Only",
    observes="current_term role log",
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
    implemented_by=replication.handle_client_request,
)
def leader_entry_term(step: Conduct) -> Broken | None:
    """Entries that a leader appends are of its own term."""
    before, after = step.before.state.log, step.after.state
    if not step.leads:
        return None
    for index in range(before.last_index + 1, after.log.last_index + 1):
        term = after.log.term_at(index)
        if term != after.current_term:
            return Broken(f"the term of entry {index}", str(after.current_term), str(term))
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
    """Who does not lead changes its log only by an AppendEntries that it has just received."""
    before, after = step.before.state.log, step.after.state.log
    if not step.changes_log or step.received(AppendEntries) is not None:
        return None
    index = next(differences(before, after), before.last_index + 1)
    return _other_entry(before, after, index)


@rule(
    "FOLLOWER-CURRENT-TERM",
    "log",
    cites="§5.1; Fig. 2, AppendEntries receiver rule 1",
    observes="current_term role log",
    implemented_by=replication.handle_append_entries,
)
def follower_current_term(step: Conduct) -> Broken | None:
    """Only an AppendEntries of the receiver's own term changes a log, neither old nor ahead."""
    request, after = step.appended_by, step.after.state
    if request is None or request.term == after.current_term:
        return None
    return Broken("the request's term", str(after.current_term), str(request.term))


@rule(
    "FOLLOWER-PREV-MATCH",
    "log",
    cites="§5.3; Fig. 2, AppendEntries receiver rule 2",
    observes="current_term role log",
    implemented_by=replication.is_consistent,
)
def follower_prev_match(step: Conduct) -> Broken | None:
    """Entries are added only where the log has the one that is said to come before them."""
    request, before, after = step.appended_by, step.before.state.log, step.after.state.log
    if request is None or not any(additions(before, after)):
        return None
    index = request.prev_log_index
    own = before.term_at(index)
    if index < before.snapshot_index or own == request.prev_log_term:
        return None
    return Broken(f"the term of entry {index}", str(request.prev_log_term), _term(own))


@rule(
    "FOLLOWER-SPLICE-SOURCE",
    "log",
    cites="§5.3; Fig. 2, AppendEntries receiver rule 4",
    observes="current_term role log",
    implemented_by=replication.merge,
)
def follower_splice_source(step: Conduct) -> Broken | None:
    """Every new entry in a log is one of the request, at its index."""
    request, before, after = step.appended_by, step.before.state.log, step.after.state.log
    if request is None:
        return None
    for index in additions(before, after):
        place = index - request.prev_log_index - 1
        sent = request.entries[place] if 0 <= place < len(request.entries) else None
        if after.entry_at(index) != sent:
            seen = _entry(after, index)
            return Broken(f"entry {index}", "none" if sent is None else str(sent), seen)
    return None


@rule(
    "FOLLOWER-SPLICE-CONFLICT",
    "log",
    cites="§5.3; Fig. 2, AppendEntries receiver rule 3",
    observes="current_term role log",
    implemented_by=replication.merge,
)
def follower_splice_conflict(step: Conduct) -> Broken | None:
    """Entries are removed only from the first on that conflicts with one of the request, and all
    that follow it; and a log that changes keeps none that conflicts."""
    request, before, after = step.appended_by, step.before.state.log, step.after.state.log
    if request is None:
        return None
    removed = next(differences(before, after, until=before.last_index), None)
    conflict = first_conflict(before, request)
    if removed is not None and removed != conflict:
        where = "none" if conflict is None else f"from {conflict} on, where they conflict"
        return Broken("entries removed", where, f"from {removed} on")
    end = request.prev_log_index + len(request.entries)
    if removed is not None and after.last_index > end:
        return Broken("what follows the request's entries", "removed", _entry(after, end + 1))
    kept = first_conflict(after, request)
    if kept is not None:
        return Broken(f"entry {kept}, which conflicts", "removed", _entry(after, kept))
    return None


# --- what is said of logs ------------------------------------------------------------------------


@rule(
    "APPEND-LEADER",
    "append",
    cites="§5.2, §5.3; Fig. 2, AppendEntries: invoked by leader",
    observes="current_term role outputs",
    implemented_by=replication.append_entries_for,
)
def append_leader(step: Conduct) -> Broken | None:
    """AppendEntries is sent by the leader of its term alone."""
    after = step.after.state
    for request in step.sent(AppendEntries):
        if not isinstance(after.role, Leader):
            role = type(after.role).__name__.lower()
            return Broken("who sends AppendEntries", "a leader", f"a {role}")
        if request.term != after.current_term:
            return Broken("the request's term", str(after.current_term), str(request.term))
    return None


@rule(
    "APPEND-TRUTHFUL",
    "append",
    cites="§5.3; Fig. 2, AppendEntries arguments: prevLogIndex, prevLogTerm, entries[]",
    observes="log outputs",
    implemented_by=replication.append_entries_for,
)
def append_truthful(step: Conduct) -> Broken | None:
    """The entries of an AppendEntries, and the one before them, are those of the sender's log."""
    log = step.after.state.log
    for request in step.sent(AppendEntries):
        first = request.prev_log_index
        if log.term_at(first) != request.prev_log_term:
            own = _term(log.term_at(first))
            return Broken(f"the term of entry {first}", own, str(request.prev_log_term))
        for index, entry in enumerate(request.entries, start=first + 1):
            if log.entry_at(index) != entry:
                return Broken(f"entry {index}", _entry(log, index), str(entry))
    return None


@rule(
    "APPEND-COMMIT",
    "append",
    cites="§5.3; Fig. 2, AppendEntries arguments: leaderCommit",
    observes="commit_index outputs",
    implemented_by=replication.append_entries_for,
)
def append_commit(step: Conduct) -> Broken | None:
    """An AppendEntries claims no more to be committed than its sender has committed."""
    own = step.after.state.commit_index
    for request in step.sent(AppendEntries):
        if request.leader_commit > own:
            return Broken("leaderCommit", f"at most {own}", str(request.leader_commit))
    return None


@rule(
    "ACK-TERM",
    "acknowledgement",
    cites="§5.1; Fig. 2, AppendEntries results: term",
    observes="current_term outputs",
    implemented_by=replication.reply_to,
)
def ack_term(step: Conduct) -> Broken | None:
    """An acknowledgement is of the sender's own term."""
    after = step.after.state
    for reply in step.sent(AppendEntriesReply):
        if reply.success and reply.term != after.current_term:
            return Broken("the term acknowledged", str(after.current_term), str(reply.term))
    return None


@rule(
    "ACK-CONFIRMED",
    "acknowledgement",
    cites="§5.3; Fig. 2, AppendEntries results: success, and Leaders: matchIndex",
    observes="current_term log outputs",
    allowed_by="confirmed",
    implemented_by=replication.reply_to,
)
def ack_confirmed(step: Conduct) -> Broken | None:
    """An acknowledgement reaches as far as requests of the term have confirmed the log, not as far
    as the log does."""
    confirmed = step.after.evidence.confirmed
    for reply in step.sent(AppendEntriesReply):
        if reply.success and reply.match_index > confirmed:
            return Broken("the index acknowledged", f"at most {confirmed}", str(reply.match_index))
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
    """A commit index never falls, but in a restart."""
    before, after = step.before.state.commit_index, step.after.state.commit_index
    if after >= before or step.is_restart:
        return None
    return Broken("the commit index", f"at least {before}", str(after))


@rule(
    "COMMIT-QUORUM",
    "commit",
    cites="§5.3; Fig. 2, Leaders: a majority of matchIndex[i] >= N",
    observes="role log commit_index",
    allowed_by="acknowledged",
    implemented_by=commit.has_majority,
)
def commit_quorum(step: Conduct) -> Broken | None:
    """A leader commits only what a majority has acknowledged in its term."""
    after = step.after.state
    if not step.commits_as_leader:
        return None
    if step.counted:
        return None
    return Broken(
        f"who has acknowledged entry {after.commit_index}",
        "a majority",
        _servers(step.holders(after.commit_index)),
    )


@rule(
    "COMMIT-CURRENT-TERM",
    "commit",
    cites="§5.4.2 and Fig. 8; Fig. 2, Leaders: log[N].term == currentTerm",
    observes="current_term role log commit_index",
    allowed_by="acknowledged",
    implemented_by=commit.may_commit_by_counting,
)
def commit_current_term(step: Conduct) -> Broken | None:
    """A leader commits entries of older terms only along with one of its own term."""
    if not step.commits_as_leader or not step.counted:
        return None
    after = step.after.state
    terms = [after.log.term_at(index) for index in step.counted]
    if after.current_term in terms:
        return None
    return Broken(
        "the term of an entry counted", str(after.current_term), ", ".join(map(str, terms))
    )


@rule(
    "COMMIT-CONFIRMED",
    "commit",
    cites="§5.3; Fig. 2, AppendEntries receiver rule 5: index of last new entry",
    observes="current_term role log commit_index",
    allowed_by="confirmed",
    implemented_by=commit.follower_commit_index,
)
def commit_confirmed(step: Conduct) -> Broken | None:
    """Who does not lead commits only what requests of the term have confirmed of its log."""
    confirmed = step.after.evidence.confirmed
    if not step.commits_as_follower or step.after.state.commit_index <= confirmed:
        return None
    seen = step.after.state.commit_index
    return Broken("the commit index", f"at most {confirmed}, which is confirmed", str(seen))


@rule(
    "COMMIT-CLAIMED",
    "commit",
    cites="§5.3; Fig. 2, AppendEntries receiver rule 5: leaderCommit",
    observes="current_term role log commit_index",
    allowed_by="claimed",
    implemented_by=commit.follower_commit_index,
)
def commit_claimed(step: Conduct) -> Broken | None:
    """Who does not lead commits only what the leader of the term says is committed."""
    claimed = step.after.evidence.claimed
    if not step.commits_as_follower or step.after.state.commit_index <= claimed:
        return None
    seen = step.after.state.commit_index
    return Broken("the commit index", f"at most {claimed}, as the leader says", str(seen))


@rule(
    "COMMIT-STABLE",
    "commit",
    cites="§5.4; Fig. 3, State Machine Safety",
    observes="log commit_index",
    implemented_by=replication.merge,
)
def commit_stable(step: Conduct) -> Broken | None:
    """Committed entries never change. This follows from the others, of all servers together."""
    before, after = step.before.state, step.after.state
    if step.is_restart:
        return None
    index = next(differences(before.log, after.log, until=before.commit_index), None)
    return None if index is None else _other_entry(before.log, after.log, index)


@rule(
    "APPLY-COMMITTED",
    "commit",
    cites="§5.3; Fig. 2, All servers: if commitIndex > lastApplied",
    observes="log commit_index outputs",
    implemented_by=commit.apply_committed,
)
def apply_committed(step: Conduct) -> Broken | None:
    """What is applied is committed, and the entry of the own log."""
    after = step.after.state
    for output in step.outputs:
        if not isinstance(output, Apply):
            continue
        if output.index > after.commit_index:
            return Broken("the index applied", f"at most {after.commit_index}", str(output.index))
        if after.log.entry_at(output.index) != output.entry:
            own = _entry(after.log, output.index)
            return Broken(f"entry {output.index}, applied", own, str(output.entry))
    return None


# --- restarts ------------------------------------------------------------------------------------


@rule(
    "RESTART-TERM",
    "restart",
    cites="§5.1; Fig. 2, Persistent state: currentTerm",
    observes="current_term",
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
    implemented_by=node.restart,
)
def restart_log(step: Conduct) -> Broken | None:
    """A restart keeps the log."""
    before, after = step.before.state.log, step.after.state.log
    if not step.is_restart or before == after:
        return None
    index = next(differences(before, after), before.last_index + 1)
    return _other_entry(before, after, index)


# --- messages ------------------------------------------------------------------------------------


@rule(
    "MESSAGE-WELL-FORMED",
    "message",
    cites="Fig. 2, arguments and results of both RPCs",
    observes="outputs",
    implemented_by=wellformed.check_message,
)
def message_well_formed(step: Conduct) -> Broken | None:
    """A message is from its sender, to another server, and does not contradict itself."""
    for output in step.outputs:
        if not isinstance(output, Send):
            continue
        message = output.message
        if message.source != step.after.id:
            return Broken("a message's source", f"S{step.after.id}", f"S{message.source}")
        if message.destination not in step.after.servers:
            return Broken("a message's destination", "a server", f"S{message.destination}")
        try:
            check_message(Config(id=message.destination, servers=step.after.servers), message)
        except MalformedEvent as error:
            return Broken("a message", "well-formed", str(error))
    return None


# --- in words ---------------------------------------------------------------------------------


def _other_entry(before: Log, after: Log, index: Index) -> Broken:
    return Broken(f"entry {index}", _entry(before, index), _entry(after, index))


def _entry(log: Log, index: Index) -> str:
    entry = log.entry_at(index)
    return "none" if entry is None else str(entry)


def _term(term: int | None) -> str:
    return "none" if term is None else str(term)


def _last(term: int, index: Index) -> str:
    return f"{index} of term {term}" if index else "none"


def _vote(state: NodeState) -> str:
    return "for nobody" if state.voted_for is None else f"for S{state.voted_for}"


def _servers(servers: frozenset[int]) -> str:
    return ", ".join(f"S{server}" for server in sorted(servers)) or "nobody's"


RULES: tuple[Rule, ...] = tuple(
    value for value in list(globals().values()) if isinstance(value, Rule)
)
"""All of them, in the order in which they stand here."""

RULES_BY_ID = {each.id: each for each in RULES}
