"""The HTTP server for Prometheus, with limits on the number of connections and their duration.

The server that `prometheus_client` brings starts a thread for each connection without a limit, and
waits for a request without a timeout.
"""

from __future__ import annotations

import socket
from socketserver import TCPServer, ThreadingMixIn
from threading import BoundedSemaphore, Thread
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app

from raft_ref.cluster.logs import Log
from raft_ref.cluster.settings import Address
from raft_ref.cluster.timers import Seconds

MAX_CONNECTIONS = 16
"""Further connections are closed at once."""

ANSWERED_WITHIN: Seconds = 5.0
"""How long a connection may be silent."""

_log = Log("metrics")


def serve_metrics(address: Address, registry: CollectorRegistry) -> WSGIServer:
    """Answer there in threads of their own, until the process ends. Raises `OSError`."""
    server = _Server(address, _Handler)
    server.set_app(make_wsgi_app(registry))
    Thread(target=server.serve_forever, daemon=True).start()
    return server


class _Handler(WSGIRequestHandler):
    timeout = ANSWERED_WITHIN

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - inherited
        """Log nothing."""


_Connected = socket.socket | tuple[bytes, socket.socket]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 100

    def __init__(self, address: Address, handler: type[WSGIRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        self._room = BoundedSemaphore(MAX_CONNECTIONS)
        super().__init__((address.host, address.port), handler)

    def server_bind(self) -> None:
        """Bind without looking up the name of the machine, which can take seconds."""
        TCPServer.server_bind(self)
        host, port = self.server_address[:2]
        self.server_name, self.server_port = str(host), port
        self.setup_environ()

    def process_request(self, request: _Connected, client_address: object) -> None:
        """Answer in a thread, unless there are too many."""
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: _Connected, client_address: object) -> None:
        """Answer, then release the place."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, _request: _Connected, client_address: object) -> None:
        """Log a connection that broke or timed out."""
        _log.warning("metrics not served", address=str(client_address))
