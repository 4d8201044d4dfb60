"""The toy behind an adapter that lets less happen, or less be seen: its argument says how.

Where that is too little, whatever the toy does wrong, no rule can be seen to be broken. With
``lacks-EVENT`` the event is declared unsupported, and the adapter fails if it is asked for it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

HOW = sys.argv[1] if len(sys.argv) > 1 else ""
TOY = Path(__file__).parent / "peers/toy/adapter.py"
FIELDS = ["current_term", "voted_for", "role", "log", "commit_index"]
EVENTS = ["election_timeout", "heartbeat_timeout", "propose", "restart"]
IGNORED = {"ignores-deliver": "deliver", "never-times-out": "election_timeout"}
RENAMED: dict[str, Callable[[str], str]] = {
    "misnames": lambda kind: f"My{kind}",
    "carries-acknowledgements": lambda kind: "Pong" if kind == "AppendEntriesReply" else kind,
    "carries-votes": lambda kind: "Slip" if kind == "RequestVoteReply" else kind,
}


def toy() -> dict[str, Any]:
    """The toy, without the loop that reads requests."""
    source, _, _ = TOY.read_text().partition("\nfor line in sys.stdin:")
    names: dict[str, Any] = {}
    exec(compile(source, str(TOY), "exec"), names)  # noqa: S102 - our own
    return names


def hidden() -> list[str]:
    if HOW == "hides":
        return FIELDS
    return [HOW.removeprefix("hides-")] if HOW.startswith("hides-") else []


def unsupported() -> list[str]:
    if HOW == "supports-nothing":
        return EVENTS
    return [HOW.removeprefix("lacks-")] if HOW.startswith("lacks-") else []


def shown(state: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in state.items() if name not in hidden()}


def reply(request: dict[str, Any], names: dict[str, Any]) -> dict[str, Any]:
    kind = request["type"]
    if kind in unsupported() or (kind == "crash" and "restart" in unsupported()):
        return {"type": "error", "code": 13, "text": f"{kind} was declared unsupported"}
    answer: dict[str, Any]
    answer = names["view"](request["node"]) if kind == IGNORED.get(HOW) else names["do"](request)
    answer["type"] = f"{kind}_ok"
    if kind == "init":
        answer |= {"unobservable": hidden(), "unsupported": unsupported()}
        for each in answer["states"]:
            each["state"] = shown(each["state"])
    elif kind != "crash":
        answer["state"] = shown(answer["state"])
        for message in answer["messages"]:
            message["kind"] = RENAMED.get(HOW, str)(message["kind"])
    return answer


def main() -> None:
    names = toy()
    for line in sys.stdin:
        request = json.loads(line)
        answer = reply(request, names)
        print(json.dumps(answer | {"in_reply_to": request["msg_id"]}), flush=True)


if __name__ == "__main__":
    main()
