#!/usr/bin/env python3
"""The toy of ``tests/peers/toy``, with a pre-vote before each election, and its adapter.

Nothing but the standard library. Above the line is what you have already, your implementation;
below it is what you write. ``--option bug=NAME`` switches on one of `BUGS`.
"""

import json
import sys
from typing import Any

Json = dict[str, Any]

BUGS = ("votes-twice", "forgets-vote", "ignores-logs", "truncates", "commits-alone",
        "acknowledges-all", "crashes", "prevote-writes-vote", "prevote-stale-grants")  # fmt: skip


class ToyRaft:
    """One server. Its disk is a dict that outlives it."""

    def __init__(self, id: int, ids: list[int], disk: Json, bug: str | None) -> None:
        self.id, self.peers, self.disk, self.bug = id, [i for i in ids if i != id], disk, bug
        self.term, self.vote = disk.get("term", 0), disk.get("vote")
        self.log = list(disk.get("log", []))  # [term, command]
        self.role, self.commit = "follower", 0
        self.votes: set[int] = set()
        self.match: dict[int, int] = {}
        self.outbox: list[Json] = []
        self.pre: set[int] = set()
        self.precand = False

    def save(self) -> None:
        vote = None if self.bug == "forgets-vote" else self.vote
        self.disk.update(term=self.term, vote=vote, log=list(self.log))

    def send(self, to: int, kind: str, **fields: Any) -> None:
        self.outbox.append({"from": self.id, "to": to, "kind": kind, "term": self.term, **fields})

    def last(self) -> tuple[int, int]:
        return (self.log[-1][0] if self.log else 0, len(self.log))

    def majority(self, count: int) -> bool:
        return 2 * count > len(self.peers) + 1

    def timeout(self) -> None:
        if self.role == "leader":
            return
        self.role, self.precand, self.pre = "follower", True, {self.id}
        for peer in self.peers:
            self.send(peer, "preask", next=self.term + 1, last=self.last())
        self.pre_won()

    def pre_won(self) -> None:
        if self.precand and self.majority(len(self.pre)):
            self.precand = False
            self.campaign()

    def on_preask(self, m: Json, stale: bool) -> None:
        grant = m["next"] > self.term and tuple(m["last"]) >= self.last() and self.role != "leader"
        if grant and self.bug == "prevote-writes-vote":
            self.vote = m["from"]
        self.send(m["from"], "preanswer", next=m["next"], grant=grant)

    def on_preanswer(self, m: Json, stale: bool) -> None:
        fresh = m["next"] == self.term + 1 or self.bug == "prevote-stale-grants"
        if m["grant"] and fresh and self.precand:
            self.pre.add(m["from"])
            self.pre_won()

    def campaign(self) -> None:
        if self.role != "leader":
            self.term, self.vote = self.term + 1, self.id
            self.role, self.votes = "candidate", {self.id}
            self.win_if_elected()
            for peer in self.peers:
                self.send(peer, "ask", last=self.last())

    def win_if_elected(self) -> None:
        if self.role == "candidate" and self.majority(len(self.votes)):
            self.role, self.match = "leader", dict.fromkeys(self.peers, 0)

    def propose(self, command: str) -> None:
        if self.role == "leader":
            self.log.append([self.term, command])
            self.heartbeat()

    def heartbeat(self) -> None:
        for peer in self.peers if self.role == "leader" else []:
            prev = self.match[peer]
            prev_term = self.log[prev - 1][0] if prev else 0
            rest = self.log[prev:]
            self.send(
                peer, "append", prev=prev, prev_term=prev_term, entries=rest, commit=self.commit
            )

    def receive(self, m: Json) -> None:
        if m["term"] > self.term:
            self.precand = False
            self.term, self.vote, self.role = m["term"], None, "follower"
        getattr(self, "on_" + m["kind"])(m, stale=m["term"] < self.term)

    def on_ask(self, m: Json, stale: bool) -> None:
        free = self.vote in (None, m["from"]) or self.bug == "votes-twice"
        ahead = tuple(m["last"]) >= self.last() or self.bug == "ignores-logs"
        grant = not stale and free and ahead and self.role == "follower"
        if grant:
            self.vote = m["from"]
        self.send(m["from"], "answer", grant=grant)

    def on_answer(self, m: Json, stale: bool) -> None:
        if not stale and m["grant"]:
            self.votes.add(m["from"])
            self.win_if_elected()

    def on_append(self, m: Json, stale: bool) -> None:
        if stale:
            self.send(m["from"], "done", match=0, ok=False)
            return
        if self.role == "leader":
            raise RuntimeError(f"two leaders in term {self.term}")
        self.role, self.precand = "follower", False
        prev, entries = m["prev"], m["entries"]
        known = len(self.log) >= prev and (prev == 0 or self.log[prev - 1][0] == m["prev_term"])
        if not known:
            self.send(m["from"], "done", match=0, ok=False)
            return
        if self.bug == "crashes" and entries and self.log[prev : prev + 1] not in ([], entries[:1]):
            raise RuntimeError("the log conflicts, which was not to be")
        if self.log[prev : prev + len(entries)] != entries or self.bug == "truncates":
            self.log[prev:] = entries
        self.commit = max(self.commit, min(m["commit"], prev + len(entries)))
        confirmed = len(self.log) if self.bug == "acknowledges-all" else prev + len(entries)
        self.send(m["from"], "done", match=confirmed, ok=True)

    def on_done(self, m: Json, stale: bool) -> None:
        if stale or self.role != "leader" or not m["ok"]:
            return
        self.match[m["from"]] = max(self.match[m["from"]], m["match"])
        for index in range(self.commit + 1, len(self.log) + 1):
            holders = 1 + sum(match >= index for match in self.match.values())
            enough = self.majority(holders) or self.bug == "commits-alone"
            if enough and self.log[index - 1][0] == self.term:
                self.commit = index


# --- the adapter -----------------------------------------------------------------------------

servers: dict[int, ToyRaft] = {}
disks: dict[int, Json] = {}
ids: list[int] = []
bug: str | None = None


def start(node: int) -> None:
    servers[node] = ToyRaft(node, ids, disks[node], bug)


def describe(m: Json) -> tuple[str, Json]:
    """A message by the paper's names, so that it can be judged."""
    match m["kind"]:
        case "preask":
            return "PreVote", {"next": m["next"], "last": list(m["last"])}
        case "preanswer":
            return "PreVoteReply", {"next": m["next"], "granted": m["grant"]}
        case "ask":
            return "RequestVote", {"last_log_term": m["last"][0], "last_log_index": m["last"][1]}
        case "answer":
            return "RequestVoteReply", {"vote_granted": m["grant"]}
        case "append":
            return "AppendEntries", {
                "prev_log_index": m["prev"], "prev_log_term": m["prev_term"],
                "entries": in_words(m["entries"]), "leader_commit": m["commit"]}  # fmt: skip
        case _:
            return "AppendEntriesReply", {"success": m["ok"], "match_index": m["match"]}


def in_words(log: list[Any]) -> list[Json]:
    return [{"term": term, "command": command} for term, command in log]


def view(node: int) -> Json:
    """What the server did, and what it is like now; its disk is written before anything leaves."""
    server = servers[node]
    server.save()
    messages = []
    for m in server.outbox:
        kind, fields = describe(m)
        messages.append({"from": m["from"], "to": m["to"], "kind": kind,
                         "fields": {"term": m["term"], **fields}, "payload": json.dumps(m)})  # fmt: skip
    server.outbox = []
    everything = [
        server.precand,
        sorted(server.pre),
        server.role,
        sorted(server.votes),
        sorted(server.match.items()),
        server.commit,
    ]
    state = {"current_term": server.term, "voted_for": server.vote, "role": server.role,
             "log": in_words(server.log), "commit_index": server.commit}  # fmt: skip
    fingerprint = json.dumps([everything, server.vote, server.disk])
    return {"messages": messages, "state": state, "fingerprint": fingerprint}


def do(request: Json) -> Json:
    global ids, bug
    kind, node = request["type"], request.get("node", 0)
    if kind == "init":
        ids, bug = request["nodes"], request["options"].get("bug")
        for each in ids:
            disks[each] = {}
            start(each)
        views = [{"node": each, **view(each)} for each in ids]
        states = [{key: one[key] for key in ("node", "state", "fingerprint")} for one in views]
        return {"name": "toy", "unobservable": [], "unsupported": [], "states": states}
    if kind == "crash":
        return {}
    if kind == "reset":
        disks[node] = {}
    if kind in ("reset", "restart"):
        start(node)
    elif kind == "election_timeout":
        servers[node].timeout()
    elif kind == "heartbeat_timeout":
        servers[node].heartbeat()
    elif kind == "propose":
        servers[node].propose(request["command"])
    else:
        servers[node].receive(json.loads(request["payload"]))
    return view(node)


for line in sys.stdin:
    request = json.loads(line)
    reply = {"type": request["type"] + "_ok", "in_reply_to": request["msg_id"]}
    if request.get("options", {}).get("bug", BUGS[0]) not in BUGS:
        reply.update(type="error", code=10, text="bug must be one of " + ", ".join(BUGS))
    else:
        try:
            reply.update(do(request))
        except Exception as error:  # whatever the implementation raises is its failure, not ours
            reply.update(type="error", code=13, text=repr(error))
    print(json.dumps(reply), flush=True)
