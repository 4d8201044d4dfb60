"""An adapter that can do everything wrong: its argument says what.

It holds servers that count election timeouts as terms, and lead from the second term on.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import Any

FAULT = sys.argv[1] if len(sys.argv) > 1 else ""
terms: dict[int, int] = {}
FIRST = False
"""Whether it is the first process, where that matters."""
greeted: set[int] = set()
"""Who got a message: nobody is told, and nothing depends on it, unless state is to be hidden."""


def view(node: int) -> dict[str, Any]:
    term = terms[node]
    state: dict[str, Any] = {
        "current_term": term,
        "voted_for": None,
        "role": "follower",
        "log": [],
        "commit_index": 0,
    }
    fingerprint = str(term)
    match FAULT:
        case "lacks-a-field":
            del state["commit_index"]
        case "wrong-type":
            state["current_term"] = "one"
        case "huge":
            state["current_term"] = 10**30
        case "unknown-field":
            state["currentTerm"] = term
        case "same-fingerprint":
            fingerprint = "the same"
        case "chance":
            fingerprint += f" {time.perf_counter_ns()}" if term else ""
        case _:
            pass
    return {"state": state, "fingerprint": fingerprint}


def messages(node: int) -> list[dict[str, Any]]:
    sent = {"from": node, "to": node % 3 + 1, "kind": "hello", "fields": {}, "payload": "x"}
    match FAULT:
        case "forged":
            sent["from"] = node % 3 + 1
        case "to-itself":
            sent["to"] = node
        case "to-others":
            sent["to"] = 9
        case "not-its-fields":
            sent |= {"kind": "RequestVote", "fields": {"term": 1}}
        case "fields-no-object":
            sent["fields"] = [1]
        case _:
            pass
    return [sent]


def fail(kind: str, node: int) -> None:
    """Whatever ends the process, or seems to."""
    if kind == "reset" and FAULT == "ends-on-reset" and any(terms.values()):
        sys.exit(3)
    if kind != "election_timeout" or terms[node] != 1:
        return
    match FAULT:
        case "dies":
            print("about to die", file=sys.stderr)
            os.kill(os.getpid(), signal.SIGKILL)
        case "exits":
            sys.exit(3)
        case "hangs":
            time.sleep(60)
        case "dies-once" if not os.path.exists(sys.argv[2]):
            open(sys.argv[2], "w").close()
            os.abort()
        case "closes-stdout":
            os.close(1)
            time.sleep(60)
        case _:
            pass


def reply(request: dict[str, Any]) -> dict[str, Any]:
    kind, node = request["type"], request.get("node", 0)
    answer: dict[str, Any] = {"type": f"{kind}_ok", "in_reply_to": request["msg_id"]}
    if kind == "init":
        terms.update(dict.fromkeys(request["nodes"], 0))
        states = [{"node": each, **view(each)} for each in request["nodes"]]
        hidden = {"hides-terms": ["current_term"], "hides-votes": ["voted_for"]}.get(FAULT, [])
        for each in states:
            for field in hidden:
                del each["state"][field]
        answer |= {"name": "misbehaving", "unobservable": hidden, "unsupported": []}
        return answer | {"states": states[:-1] if FAULT == "lacks-a-server" else states}
    fail(kind, node)
    if kind == "election_timeout" and terms[node] == 1 and FAULT in ("error-10", "error-13"):
        error = {"type": "error", "code": int(FAULT[-2:]), "text": "not today"}
        return answer | error
    if kind == "crash":
        return answer
    if kind == "reset":
        terms[node] = 1 if FAULT == "resets-half" and terms[node] else 0
        greeted.discard(node)
    if kind == "deliver":
        greeted.add(node)
    sent: list[dict[str, Any]] = []
    if kind == "election_timeout":
        falls = terms[node] == 1 and (FIRST or (FAULT == "hides-state" and node in greeted))
        terms[node] += -1 if falls else 1
        sent = messages(node)
    seen = view(node)
    for field in {"hides-votes": ["voted_for"]}.get(FAULT, []):
        del seen["state"][field]
    return answer | {"messages": sent} | seen


PRINTED = {
    "prints": "server 1 becomes candidate",
    "prints-a-number": "42",
    "logs-json": '{"level": "info", "msg": "becomes candidate"}',
}
"""Debug output, by the fault."""


def spoil(text: str) -> str:
    """A line as it should not be."""
    if FAULT in PRINTED:
        return f"{PRINTED[FAULT]}\n{text}"
    match FAULT:
        case "not-json":
            return "Segmentation fault"
        case "half-a-line":
            return text[: len(text) // 2]
        case "not-utf-8":
            return text.replace("fingerprint", "\udcff")
        case "another-request":
            return text.replace('"in_reply_to": ', '"in_reply_to": 1')
        case "another-type":
            return text.replace("_ok", "_done")
        case "twice":
            return f"{text}\n{text}"
        case "nested":
            return "[" * 100_000
        case _:
            return text


def main() -> None:
    global FIRST
    if FAULT == "silent":
        time.sleep(60)
    if FAULT == "falls-in-the-first-process" and not os.path.exists(sys.argv[2]):
        open(sys.argv[2], "w").close()
        FIRST = True
    sys.stdout.reconfigure(errors="surrogateescape")  # type: ignore[union-attr] # it is a file
    for asked, line in enumerate(sys.stdin):
        text = json.dumps(reply(json.loads(line)))
        print(spoil(text) if asked > 2 else text, flush=True)
        if FAULT == "ends-between-runs" and any(terms.values()):
            sys.exit(3)


if __name__ == "__main__":
    main()
