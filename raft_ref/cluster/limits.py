"""Limits for clients of one server, named as in Redis.

============================  ==========================  ========================================
name                          default                     limits
============================  ==========================  ========================================
maxclients                    10000                       connections of clients at once
timeout                       0 (none)                    seconds that a client may be idle
tcp-keepalive                 300                         seconds between TCP keep-alives; 0: none
proto-max-bulk-len            1mb                         the longest word of a command
client-query-buffer-limit     2mb                         the longest command, as it is sent
client-output-buffer-limit    normal 64mb 16mb 60         answers that a client has not read: at
                                                          most, and for so many seconds
maxmemory-clients             256mb                       all clients' unfinished commands and
                                                          unread answers together
============================  ==========================  ========================================

Sizes are written as in Redis: ``1k`` is 1,000 bytes and ``1kb`` is 1,024; 0 means no limit. Redis'
defaults for the last four are 512mb, 1gb, none and none; here a command has at most 64 KiB as JSON,
so smaller buffers suffice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

Bytes: TypeAlias = int

_SIZE = re.compile(r"(\d{1,15})(b|k|kb|m|mb|g|gb)?", re.IGNORECASE | re.ASCII)
_UNITS = {"": 1, "b": 1, "k": 10**3, "kb": 2**10, "m": 10**6, "mb": 2**20, "g": 10**9, "gb": 2**30}

LEAST_BUFFER: Bytes = 128 * 2**10
"""The least for buffers of commands: any command that the store accepts fits."""


class OutputLimit(NamedTuple):
    """Limits on the unread answers of a client; 0 means no limit."""

    hard: Bytes = 64 * 2**20
    """More than the answers to all requests that one client can have under way."""
    soft: Bytes = 16 * 2**20
    seconds: int = 60
    """How long ``soft`` may be exceeded."""


_OUTPUT_LIMIT = OutputLimit()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientLimits:
    """The limits; see the table above."""

    maxclients: int = 10_000
    timeout: int = 0
    tcp_keepalive: int = 300
    proto_max_bulk_len: Bytes = 2**20
    client_query_buffer_limit: Bytes = 2 * 2**20
    client_output_buffer_limit: OutputLimit = _OUTPUT_LIMIT
    maxmemory_clients: Bytes = 256 * 2**20


NAMES: Mapping[str, str] = {
    "maxclients": "Connections of clients at once.",
    "timeout": "Close the connection of a client that has been idle for so many seconds; 0: never.",
    "tcp-keepalive": "Seconds between TCP keep-alives; 0: none.",
    "proto-max-bulk-len": "The longest word of a command.",
    "client-query-buffer-limit": "The longest command, as it is sent.",
    "client-output-buffer-limit": "'normal HARD SOFT SECONDS': unread answers of a client.",
    "maxmemory-clients": "The memory of all clients' unfinished commands and unread answers.",
}
"""The help text of each limit, by its name in the settings and on the command line."""


def client_limits(given: Mapping[str, int | str]) -> ClientLimits:
    """The given limits, and the defaults of all others.

    Raises:
        ValueError: if there is no such limit, or its value is invalid.
    """
    for name in given:
        if name not in NAMES:
            raise ValueError(f"a limit is one of {', '.join(NAMES)}, and not {name}")
    default = ClientLimits()

    def number(name: str, otherwise: int, least: int) -> int:
        return _at_least(least, name, _size(name, given.get(name, otherwise)))

    output = given.get("client-output-buffer-limit")
    return ClientLimits(
        maxclients=number("maxclients", default.maxclients, 1),
        timeout=number("timeout", default.timeout, 0),
        tcp_keepalive=number("tcp-keepalive", default.tcp_keepalive, 0),
        proto_max_bulk_len=number("proto-max-bulk-len", default.proto_max_bulk_len, LEAST_BUFFER),
        client_query_buffer_limit=number(
            "client-query-buffer-limit", default.client_query_buffer_limit, LEAST_BUFFER
        ),
        client_output_buffer_limit=_OUTPUT_LIMIT if output is None else _output_limit(output),
        maxmemory_clients=number("maxmemory-clients", default.maxmemory_clients, 0),
    )


def _output_limit(text: int | str) -> OutputLimit:
    name, words = "client-output-buffer-limit", str(text).split()
    if len(words) != 4 or words[0] != "normal":
        raise ValueError(f"{name} is 'normal HARD SOFT SECONDS', not {text!r}")
    return OutputLimit(*(_size(name, word) for word in words[1:]))


def _size(name: str, given: int | str) -> int:
    found = _SIZE.fullmatch(str(given))
    if found is None:
        raise ValueError(f"{name} is a number, such as 10000 or 64mb, not {given!r}")
    digits, unit = found.groups()
    return int(digits) * _UNITS[(unit or "").lower()]


def _at_least(least: int, name: str, number: int) -> int:
    if number < least:
        raise ValueError(f"{name} must be at least {least}, not {number}")
    return number
