"""A terminal: a program run in one, and what is to be read on it in the end."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Sequence

ROWS, WIDTH = 24, 80
CONTROL = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])")


def run_in_terminal(command: Sequence[str]) -> tuple[int, str]:
    """The exit code, and everything that was written to the terminal."""
    terminal, its_end = pty.openpty()
    fcntl.ioctl(its_end, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, WIDTH, 0, 0))
    process = subprocess.Popen(  # noqa: S603
        command, stdout=its_end, stderr=its_end, env=os.environ | {"TERM": "xterm"}
    )
    os.close(its_end)
    written = b""
    try:
        while chunk := os.read(terminal, 1 << 16):
            written += chunk
    except OSError:  # so it ends on Linux
        pass
    os.close(terminal)
    return process.wait(), written.decode()


def read_back(written: str) -> list[str]:
    """The lines that are left on the screen: those that were erased are not.

    Knows no more than is used: line feeds, carriage returns, the cursor one line up, a line erased.
    """
    lines, row, column, at = [""], 0, 0, 0
    while at < len(written):
        control = CONTROL.match(written, at)
        if control:
            at = control.end()
            match control[2]:
                case "A":
                    row = max(row - int(control[1] or 1), 0)
                case "K":
                    lines[row] = ""
                case "m" | "h" | "l":
                    pass
                case _:
                    raise NotImplementedError(control[0])
            continue
        character, at = written[at], at + 1
        if character == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif character == "\r":
            column = 0
        else:
            line = lines[row].ljust(column)
            lines[row] = line[:column] + character + line[column + 1 :]
            column += 1
    return [line.rstrip() for line in lines]
