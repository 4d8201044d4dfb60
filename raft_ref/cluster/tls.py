"""Mutual TLS between servers: each proves by a certificate that it is ``server-ID``."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import NamedTuple, cast

from raft_ref.cluster.settings import Certificates, SettingsError
from raft_ref.types import NodeId


class _Tells(ssl.SSLObject):
    """The accepting end of a connection, which tells if it does not let the other in.

    A server of asyncio drops such a connection without a word.
    """

    def do_handshake(self) -> None:
        """As far as it goes."""
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            context = self.context
            if isinstance(context, AcceptingContext) and is_refusal(error):
                context.on_refusal(error)
            raise


class AcceptingContext(ssl.SSLContext):
    """Lets others in, and tells if it does not."""

    sslobject_class = _Tells
    on_refusal: Callable[[OSError], None] = staticmethod(lambda _error: None)


class Contexts(NamedTuple):
    """For the two ends of a connection."""

    accepting: AcceptingContext
    connecting: ssl.SSLContext


def contexts(certificates: Certificates) -> Contexts:
    """Contexts that let nobody in, and connect to nobody, without a certificate.

    Raises:
        SettingsError: if the files cannot be used.
    """
    both = Contexts(
        AcceptingContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
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


def require_own(certificates: Certificates, own: NodeId) -> None:
    """Have a server let itself in, as the others will have to.

    Raises:
        SettingsError: if its certificate is not signed by the authority, or by now no longer valid,
            or in another's name, or cannot be used at all.
    """
    both = contexts(certificates)
    to_one, to_other = ssl.MemoryBIO(), ssl.MemoryBIO()
    accepting = both.accepting.wrap_bio(to_one, to_other, server_side=True)
    connecting = both.connecting.wrap_bio(to_other, to_one, server_hostname=name_of(own))
    try:
        for _ in range(2):
            for end in (connecting, accepting):
                with suppress(ssl.SSLWantReadError):
                    end.do_handshake()
    except ssl.SSLError as error:
        raise SettingsError(
            f"no server would let this one in by {certificates.certificate}: {problem_of(error)}"
        ) from None


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
