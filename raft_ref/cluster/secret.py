"""The secret that all servers of a cluster share, in a file readable only by its owner."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from raft_ref.cluster.settings import SettingsError

LEAST = 32
"""Characters; 256 bits in base64 are 43, in hexadecimal 64."""


def make_secret(path: Path) -> None:
    """Write a new random secret, unless the file exists. Raises `SettingsError`."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    except OSError as error:
        raise SettingsError(f"cannot write the secret {path}: {error.strerror}") from None
    with os.fdopen(file, "w", encoding="ascii") as opened:
        opened.write(secrets.token_hex(32) + "\n")


def read_secret(path: Path) -> bytes:
    """The secret in a file, without surrounding whitespace.

    Raises:
        SettingsError: if it cannot be read, can be read by others, or is too short.
    """
    try:
        others = path.stat().st_mode & 0o077
        secret = path.read_bytes().strip()
    except OSError as error:
        raise SettingsError(f"cannot read the secret {path}: {error.strerror}") from None
    if others:
        raise SettingsError(f"the secret {path} can be read by others: chmod 600 {path}")
    if len(secret) < LEAST:
        raise SettingsError(
            f"the secret {path} has {len(secret)} characters; it must have {LEAST}, at random"
        )
    return secret
