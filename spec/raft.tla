-------------------------------- MODULE raft --------------------------------
(***************************************************************************)
(* Raft as the reference core has it, as a closed system within bounds:    *)
(* the same state of a server, the same atomic steps, the same networks.   *)
(* So TLC must find as many distinct states as `raft-ref check` does       *)
(* without properties. "Fig. 2" is that of the Raft paper.                 *)
(*                                                                         *)
(* Applying is left out: in the core, lastApplied is commitIndex after     *)
(* every step, and entries are applied in order (StateMachineOrder).       *)
(*                                                                         *)
(* A server is a record, and a step a function of it: what it becomes, and *)
(* what it sends. An action picks a server and something that happens.     *)
(***************************************************************************)
EXTENDS Integers, Sequences, FiniteSets

CONSTANTS
    Servers,     \* how many; they are numbered from 1
    MaxTerm,     \* servers at this term do not time out any more
    MaxLog,      \* leaders with so many entries get no more client requests
    Values,      \* how many distinct commands clients choose from
    MaxEntries,  \* entries that travel in one AppendEntries at most
    ConflictHints, \* whether rejections say where logs conflict (end of §5.3)
    Window,      \* entries that may be sent without an acknowledgement; 0 without pipelining
    Restarts,    \* whether any server may crash and restart at any moment
    Network,     \* "replayable", "once" or "fifo"
    Capacity,    \* of a link, fifo alone
    Loss         \* whether links lose messages, fifo alone

VARIABLES
    server,      \* by server: its state
    network      \* what is in flight

vars == <<server, network>>

-----------------------------------------------------------------------------
(* Values *)

Server == 1..Servers
Peers(i) == Server \ {i}
Value == 1..Values
Nil == 0    \* no server

Min(a, b) == IF a < b THEN a ELSE b
Max(a, b) == IF a > b THEN a ELSE b
Least(S) == CHOOSE x \in S : \A y \in S : x <= y
Greatest(S) == CHOOSE x \in S : \A y \in S : x >= y
IsMajority(S) == 2 * Cardinality(S) > Servers

\* Roles are a sum type: votes exist only on a candidate, indexes only on a leader.
Follower(leader) == [kind |-> "follower", leader |-> leader]
Candidate(votes) == [kind |-> "candidate", votesGranted |-> votes]
Leader(next, match) == [kind |-> "leader", nextIndex |-> next, matchIndex |-> match]

Is(s, kind) == s.role.kind = kind

\* A log is a sequence of entries, from index 1. There is none of term -1.
TermAt(log, index) == CASE index = 0 -> 0
                        [] index \in 1..Len(log) -> log[index].term
                        [] OTHER -> -1
LastTerm(log) == TermAt(log, Len(log))
Between(log, after, until) == SubSeq(log, after + 1, Min(until, Len(log)))

InitialState == [currentTerm |-> 0, votedFor |-> Nil, log |-> <<>>,
                 role |-> Follower(Nil), commitIndex |-> 0]

\* What a step leads to: a state, and a set of messages, at most one to each server.
To(state, messages) == [state |-> state, sends |-> messages]

-----------------------------------------------------------------------------
(* Committing (§5.3, §5.4.2) *)

HasMajority(i, s, index) ==
    IsMajority({i} \cup {j \in Peers(i) : s.role.matchIndex[j] >= index})

\* Fig. 2, Leaders: a majority of matchIndex[i] >= N, and log[N].term == currentTerm.
LeaderCommitIndex(i, s) ==
    LET committable == {index \in s.commitIndex + 1 .. Len(s.log) :
                            /\ TermAt(s.log, index) = s.currentTerm
                            /\ HasMajority(i, s, index)}
    IN IF committable = {} THEN s.commitIndex ELSE Greatest(committable)

Committed(i, s) == [s EXCEPT !.commitIndex = LeaderCommitIndex(i, s)]

-----------------------------------------------------------------------------
(* Leaders: replication (§5.3) *)

\* How many entries after prev may go to j now. Without pipelining, as many as a message carries.
Room(s, j, prev) ==
    IF Window = 0 THEN MaxEntries
    ELSE Max(0, Min(MaxEntries, Window - (prev - s.role.matchIndex[j])))

AppendEntriesTo(i, s, j) ==
    LET prev == s.role.nextIndex[j] - 1
    IN [kind |-> "AppendEntries", source |-> i, destination |-> j, term |-> s.currentTerm,
        prevLogIndex |-> prev, prevLogTerm |-> TermAt(s.log, prev),
        entries |-> Between(s.log, prev, prev + Room(s, j, prev)), leaderCommit |-> s.commitIndex]

ToAll(i, s) == {AppendEntriesTo(i, s, j) : j \in Peers(i)}

\* With pipelining (dissertation §10.2.1), nextIndex rises when entries are sent.
CountedAsSent(s, messages) ==
    IF Window = 0 THEN s
    ELSE [s EXCEPT !.role.nextIndex = [j \in DOMAIN @ |->
            Greatest({@[j]} \cup {m.prevLogIndex + Len(m.entries) + 1 :
                                    m \in {m \in messages : m.destination = j}})]]

Send(s, messages) == To(CountedAsSent(s, messages), messages)

\* One message of what j lacks; with pipelining, as many as there is room for.
RECURSIVE WhatItLacks(_, _, _)
WhatItLacks(i, s, j) ==
    LET m == AppendEntriesTo(i, s, j)
    IN IF m.entries = <<>> THEN {}
       ELSE IF Window = 0 THEN {m}
       ELSE {m} \cup WhatItLacks(i, CountedAsSent(s, {m}), j)

ClientRequest(i, s, value) ==
    LET appended == [s EXCEPT !.log = Append(@, [term |-> s.currentTerm, value |-> value])]
        after == Committed(i, appended)
    IN Send(after, {m \in ToAll(i, after) : m.entries # <<>>})

HeartbeatTimeout(i, s) == Send(s, ToAll(i, s))

\* If successful: update nextIndex and matchIndex for the follower. Both only ever rise here.
RecordMatch(i, s, j, index) ==
    LET match == Max(s.role.matchIndex[j], index)
        next == Max(s.role.nextIndex[j], match + 1)
        updated == [s EXCEPT !.role.matchIndex[j] = match, !.role.nextIndex[j] = next]
        after == Committed(i, updated)
        hasProgress == match > s.role.matchIndex[j]
    IN Send(after, IF hasProgress THEN WhatItLacks(i, after, j) ELSE {})

\* A hint is a pair of an index and a term, which is 0 if the log ends before that index.
NoHint == <<>>

\* The highest nextIndex at which, by the hint, the logs can agree on what precedes it.
Lowered(log, next, hint) ==
    LET last == Greatest({0} \cup {k \in 1..Len(log) : log[k].term <= hint[2]})
    IN CASE hint = NoHint -> next - 1
         [] hint # NoHint /\ hint[2] = 0 -> Min(next, hint[1])
         [] OTHER -> IF TermAt(log, last) = hint[2] THEN Min(next, last + 1)
                     ELSE Min(next, Min(last + 1, hint[1]))

\* If it fails because of log inconsistency: decrement nextIndex and retry; never to what matches.
BackOff(i, s, j, hint) ==
    LET next == Max(Lowered(s.log, s.role.nextIndex[j], hint), s.role.matchIndex[j] + 1)
        after == [s EXCEPT !.role.nextIndex[j] = next]
    IN IF next >= s.role.nextIndex[j] THEN To(s, {}) ELSE To(after, {AppendEntriesTo(i, after, j)})

AppendEntriesReply(i, s, m) ==
    IF ~Is(s, "leader") \/ m.term # s.currentTerm \/ m.matchIndex > Len(s.log) THEN To(s, {})
    ELSE IF m.success THEN RecordMatch(i, s, m.source, m.matchIndex)
    ELSE BackOff(i, s, m.source, m.hint)

-----------------------------------------------------------------------------
(* Followers: replication (§5.3) *)

\* Receiver rules 3 and 4: remove from the first conflict on, then append what is new.
Merge(log, prev, entries) ==
    LET new == {k \in 1..Len(entries) : TermAt(log, prev + k) # entries[k].term}
        k == Least(new)
    IN IF new = {} THEN log
       ELSE SubSeq(log, 1, prev + k - 1) \o SubSeq(entries, k, Len(entries))

\* Where a log conflicts with a request: its first entry of the term that it has at prev.
HintFor(log, prev) ==
    IF ~ConflictHints THEN NoHint
    ELSE IF prev > Len(log) THEN <<Len(log) + 1, 0>>
    ELSE <<Least({k \in 1..prev : log[k].term = log[prev].term}), log[prev].term>>

Answer(i, s, m, success, matchIndex, hint) ==
    [kind |-> "AppendEntriesReply", source |-> i, destination |-> m.source,
     term |-> s.currentTerm, success |-> success, matchIndex |-> matchIndex,
     hint |-> hint]

AppendEntries(i, s, m) ==
    LET following == [s EXCEPT !.role = Follower(m.source)]
        confirmed == m.prevLogIndex + Len(m.entries)
        after == [following EXCEPT
                    !.log = Merge(@, m.prevLogIndex, m.entries),
                    !.commitIndex = Max(@, Min(m.leaderCommit, confirmed))]
    IN CASE m.term < s.currentTerm -> To(s, {Answer(i, s, m, FALSE, 0, NoHint)})    \* rule 1
         [] m.term = s.currentTerm /\ Is(s, "leader") -> To(s, {})
         [] TermAt(s.log, m.prevLogIndex) # m.prevLogTerm ->                        \* rule 2
                To(following, {Answer(i, s, m, FALSE, 0, HintFor(s.log, m.prevLogIndex))})
         [] OTHER -> To(after, {Answer(i, s, m, TRUE, confirmed, NoHint)})    \* rules 3 to 5

-----------------------------------------------------------------------------
(* Elections (§5.2, §5.4.1) *)

\* Fig. 2, Leaders: reinitialized after election; heartbeats to all.
BecomeLeader(i, s) ==
    LET after == [s EXCEPT !.role = Leader([j \in Peers(i) |-> Len(s.log) + 1],
                                           [j \in Peers(i) |-> 0])]
    IN Send(after, ToAll(i, after))

CountVotes(i, s, votes) ==
    IF IsMajority(votes) THEN BecomeLeader(i, s)
    ELSE To([s EXCEPT !.role = Candidate(votes)], {})

ElectionTimeout(i, s) ==
    LET standing == [s EXCEPT !.currentTerm = @ + 1, !.votedFor = i]
        requests == {[kind |-> "RequestVote", source |-> i, destination |-> j,
                      term |-> standing.currentTerm,
                      lastLogIndex |-> Len(s.log), lastLogTerm |-> LastTerm(s.log)] : j \in Peers(i)}
        counted == CountVotes(i, standing, {i})
    IN To(counted.state, requests \cup counted.sends)

IsUpToDate(log, lastIndex, lastTerm) ==
    \/ lastTerm > LastTerm(log)
    \/ lastTerm = LastTerm(log) /\ lastIndex >= Len(log)

RequestVote(i, s, m) ==
    LET granted == /\ m.term = s.currentTerm                                        \* rule 1
                   /\ s.votedFor \in {Nil, m.source}                                \* rule 2
                   /\ IsUpToDate(s.log, m.lastLogIndex, m.lastLogTerm)
        reply == [kind |-> "RequestVoteReply", source |-> i, destination |-> m.source,
                  term |-> s.currentTerm, voteGranted |-> granted]
    IN To(IF granted THEN [s EXCEPT !.votedFor = m.source] ELSE s, {reply})

RequestVoteReply(i, s, m) ==
    IF ~Is(s, "candidate") \/ m.term # s.currentTerm \/ ~m.voteGranted THEN To(s, {})
    ELSE CountVotes(i, s, s.role.votesGranted \cup {m.source})

-----------------------------------------------------------------------------
(* All servers *)

\* If a term T > currentTerm: set currentTerm = T, convert to follower (§5.1).
AdoptTerm(s, term) ==
    IF term <= s.currentTerm THEN s
    ELSE [s EXCEPT !.currentTerm = term, !.votedFor = Nil, !.role = Follower(Nil)]

Receive(i, m) ==
    LET s == AdoptTerm(server[i], m.term)
    IN CASE m.kind = "RequestVote" -> RequestVote(i, s, m)
         [] m.kind = "RequestVoteReply" -> RequestVoteReply(i, s, m)
         [] m.kind = "AppendEntries" -> AppendEntries(i, s, m)
         [] m.kind = "AppendEntriesReply" -> AppendEntriesReply(i, s, m)

\* Term, vote and log are durable; everything else is lost (Fig. 2).
Restarted(s) == [s EXCEPT !.role = Follower(Nil), !.commitIndex = 0]

-----------------------------------------------------------------------------
(* Networks. On "replayable" and "once", what is in flight is a set; on "fifo", a queue a link. *)

NothingInFlight == IF Network = "fifo" THEN [i \in Server |-> [j \in Server |-> <<>>]] ELSE {}

\* What is in flight once i has sent these, too. What a full link cannot take is lost.
AfterSending(inFlight, i, messages) ==
    IF Network # "fifo" THEN inFlight \cup messages
    ELSE [inFlight EXCEPT ![i] = [j \in Server |->
            LET new == {m \in messages : m.destination = j}
            IN IF new = {} \/ Len(@[j]) >= Capacity THEN @[j]
               ELSE Append(@[j], CHOOSE m \in new : TRUE)]]

\* What may arrive, or be lost, next; and what is left without it.
Deliverable == IF Network # "fifo" THEN network
         ELSE {Head(network[i][j]) : <<i, j>> \in {link \in Server \X Server :
                                                    network[link[1]][link[2]] # <<>>}}
Without(m) == CASE Network = "replayable" -> network
                [] Network = "once" -> network \ {m}
                [] Network = "fifo" -> [network EXCEPT ![m.source][m.destination] = Tail(@)]

\* A restart empties the links from and to the server.
AfterRestart(i) ==
    IF Network # "fifo" THEN network
    ELSE [j \in Server |-> [k \in Server |-> IF i \in {j, k} THEN <<>> ELSE network[j][k]]]

-----------------------------------------------------------------------------
(* What can happen *)

Init == /\ server = [i \in Server |-> InitialState]
        /\ network = NothingInFlight

Happens(i, step, inFlight) ==
    /\ server' = [server EXCEPT ![i] = step.state]
    /\ network' = AfterSending(inFlight, i, step.sends)

TimesOut(i) == /\ ~Is(server[i], "leader")
               /\ server[i].currentTerm < MaxTerm
               /\ Happens(i, ElectionTimeout(i, server[i]), network)

SendsHeartbeats(i) == /\ Is(server[i], "leader")
                      /\ Happens(i, HeartbeatTimeout(i, server[i]), network)

IsAskedFor(i, value) == /\ Is(server[i], "leader")
                        /\ Len(server[i].log) < MaxLog
                        /\ Happens(i, ClientRequest(i, server[i], value), network)

IsRestarted(i) == /\ Restarts
                  /\ server' = [server EXCEPT ![i] = Restarted(@)]
                  /\ network' = AfterRestart(i)

Arrives(m) == Happens(m.destination, Receive(m.destination, m), Without(m))

IsLost(m) == /\ Network = "fifo" /\ Loss
             /\ network' = Without(m)
             /\ UNCHANGED server

Next == \/ \E i \in Server : \/ TimesOut(i)
                             \/ SendsHeartbeats(i)
                             \/ \E value \in Value : IsAskedFor(i, value)
                             \/ IsRestarted(i)
        \/ \E m \in Deliverable : Arrives(m) \/ IsLost(m)

Spec == Init /\ [][Next]_vars

-----------------------------------------------------------------------------
(* What must hold, as far as one state shows it (Fig. 3) *)

ElectionSafety ==
    \A i, j \in Server :
        (/\ Is(server[i], "leader") /\ Is(server[j], "leader")
         /\ server[i].currentTerm = server[j].currentTerm) => i = j

LogMatching ==
    \A i, j \in Server :
        LET a == server[i].log
            b == server[j].log
        IN \A index \in 1..Min(Len(a), Len(b)) :
               a[index].term = b[index].term => SubSeq(a, 1, index) = SubSeq(b, 1, index)

\* What a server knows to be committed, every leader of a later term has.
LeaderCompleteness ==
    \A i, j \in Server :
        (/\ Is(server[j], "leader")
         /\ server[j].currentTerm > server[i].currentTerm) =>
            /\ Len(server[j].log) >= server[i].commitIndex
            /\ SubSeq(server[j].log, 1, server[i].commitIndex)
                 = SubSeq(server[i].log, 1, server[i].commitIndex)

StateMachineSafety ==
    \A i, j \in Server :
        LET known == Min(server[i].commitIndex, server[j].commitIndex)
        IN SubSeq(server[i].log, 1, known) = SubSeq(server[j].log, 1, known)

=============================================================================
