"""Mutual TLS between servers: each proves by a certificate that it is ``server-ID``."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from typing import NamedTuple, cast

from raft_ref.cluster.settings import Certificates, SettingsError
from raft_ref.types import NodeId


class Contexts(NamedTuple):
    """For the two ends of a connection."""

    accepting: ssl.SSLContext
    connecting: ssl.SSLContext


def contexts(certificates: Certificates) -> Contexts:
    """Contexts that let nobody in, and connect to nobody, without a certificate.

    Raises:
        SettingsError: if the files cannot be used.
    """
    both = Contexts(
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    )
    try:
        for context in both:
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_cert_chain(certificates.certificate, certificates.key)
            context.load_verify_locations(certificates.authority)
    except OSError as error:  # of which those of ssl are
        raise SettingsError(
            f"cannot use the certificates {certificates.certificate}, {certificates.key}, "
            f"{certificates.authority}: {error}"
        ) from None
    return both


def name_of(server: NodeId) -> str:
    """The name in a server's certificate."""
    return f"server-{server}"


def is_certified(connection: ssl.SSLObject, server: NodeId) -> bool:
    """Whether the other end has proved to be this server."""
    found = connection.getpeercert() or {}
    names = cast("Iterable[tuple[str, str]]", found.get("subjectAltName", ()))
    return ("DNS", name_of(server)) in names


def is_refusal(error: OSError) -> bool:
    """Whether one end did not accept the certificate of the other, or had none to show."""
    return isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError)


def problem_of(error: OSError) -> str:
    """Why a certificate was not accepted, in words: those of OpenSSL."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    reason = error.reason if isinstance(error, ssl.SSLError) else None
    return str(error) if reason is None else reason.replace("_", " ").lower()
