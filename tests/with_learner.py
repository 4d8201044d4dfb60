"""The toy, each leader of which sends to server 9, a learner that is none of the nodes, whatever it
sends to server 2; with the argument ``lies``, more is committed there than in truth."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

TOY = Path(__file__).parent / "peers/toy/adapter.py"


def for_learner(message: dict[str, Any]) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(message)) | {"to": 9}
    if "lies" in sys.argv:
        copy["fields"]["leader_commit"] += 1
    return copy


def main() -> None:
    with subprocess.Popen(  # noqa: S603 - an adapter of our own
        [sys.executable, str(TOY)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as toy:
        assert toy.stdin is not None
        assert toy.stdout is not None
        for line in sys.stdin.buffer:
            toy.stdin.write(line)
            toy.stdin.flush()
            reply = json.loads(toy.stdout.readline())
            sent = reply.get("messages", [])
            copies = [
                for_learner(each)
                for each in sent
                if (each["kind"], each["to"]) == ("AppendEntries", 2)
            ]
            if copies:
                reply["messages"] = sent + copies
            print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
