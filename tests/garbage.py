"""An adapter that garbles a share of what the toy says: ``garbage.py KIND SEED SHARE``.

The same reply is always garbled the same way: that is an implementation like any other, only a
strange one.
"""

import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Json = dict[str, Any]

TOY = Path(__file__).parent / "peers/toy/adapter.py"


def _state(name: str, change: Callable[[Any, random.Random], Any]) -> Callable[..., None]:
    def garble(reply: Json, chance: random.Random) -> None:
        reply["state"][name] = change(reply["state"][name], chance)

    return garble


def _first_message(change: Callable[[Json, random.Random], None]) -> Callable[..., None]:
    def garble(reply: Json, chance: random.Random) -> None:
        for message in reply["messages"][:1]:
            change(message, chance)

    return garble


def _field(message: Json, chance: random.Random) -> None:
    name = chance.choice(sorted(message["fields"]))
    value = message["fields"][name]
    message["fields"][name] = not value if isinstance(value, bool) else chance.choice([0, 1, 7, []])


HARMFUL = {
    "term": _state("current_term", lambda term, _: max(term - 1, 0)),
    "vote": _state("voted_for", lambda vote, _: None if vote is None else vote % 3 + 1),
    "role": _state("role", lambda role, _: "leader"),
    "log": _state("log", lambda log, _: [*log, {"term": 1, "command": "x"}]),
    "commit": _state("commit_index", lambda commit, _: commit + 1),
}
"""What no rule lets pass, if it is done to every reply but the first."""


def _misaddressed(message: Json, chance: random.Random) -> None:
    message["to"] = chance.choice([0, 1, 2, 9])


def _forged(message: Json, chance: random.Random) -> None:
    message["from"] = chance.choice([1, 2])


def _of_wrong_type(reply: Json, chance: random.Random) -> None:
    reply[chance.choice(sorted(reply))] = chance.choice([None, 7, "x", []])


STRANGE: dict[str, Callable[[Json, random.Random], object]] = {
    **HARMFUL,
    "field": _first_message(_field),
    "kind": _first_message(lambda message, _: message.update(kind="Unheard")),
    "misaddressed": _first_message(_misaddressed),
    "forged": _first_message(_forged),
    "payload": _first_message(lambda message, _: message.update(payload="{}")),
    "silent": lambda reply, _: reply.update(messages=[]),
    "twice": lambda reply, _: reply["messages"].extend(reply["messages"]),
    "alike": lambda reply, chance: reply.update(fingerprint=chance.choice("ab")),
    "missing": lambda reply, chance: reply.pop(chance.choice(sorted(reply))),
    "wrong-type": _of_wrong_type,
    "unasked": lambda reply, _: reply.update(more=1),
}


def main() -> None:
    """Stand between the one who asks and the toy."""
    kind, seed, share = sys.argv[1], sys.argv[2], float(sys.argv[3])
    toy = subprocess.Popen(  # noqa: S603 - our own
        [sys.executable, str(TOY)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert toy.stdin is not None
    assert toy.stdout is not None
    for line in sys.stdin:
        toy.stdin.write(line)
        toy.stdin.flush()
        reply = json.loads(toy.stdout.readline())
        said = json.dumps({name: reply[name] for name in reply if name != "in_reply_to"})
        chance = random.Random(f"{seed} {said}")  # noqa: S311 - no secret
        if "state" in reply and reply["type"] != "reset_ok" and chance.random() < share:
            STRANGE[kind](reply, chance)
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
