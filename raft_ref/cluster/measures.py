"""What a live server counts and measures, for Prometheus."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from raft_ref.cluster.metrics_port import serve_metrics
from raft_ref.cluster.server import Server
from raft_ref.cluster.settings import Address

_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)


class Measures:
    """Counters and histograms of one server; the rest is looked up when it is asked for."""

    def __init__(self, server: Server) -> None:
        self._registry = CollectorRegistry()
        self.steps = self._counter("steps", "Steps that the server took.")
        self.sent = self._counter("frames_sent", "Frames sent to other servers.")
        self.dropped = self._counter("frames_dropped", "Frames not sent: the queue was full.")
        self.rejections = self._counter(
            "append_entries_rejected", "AppendEntries of this server that others rejected."
        )
        self.malformed = self._counter(
            "frames_malformed", "Frames refused; each closed its connection."
        )
        self.untrusted = self._counter(
            "connections_untrusted", "Connections that failed for want of a certificate."
        )
        self.refused = self._counter("requests_refused", "Requests of clients refused as too many.")
        self.save_seconds = self._histogram("save_seconds", "Until a change was durable.")
        self.handle_seconds = self._histogram("handle_seconds", "To decide what a batch leads to.")
        self.encode_seconds = self._histogram("encode_seconds", "To encode a frame.")
        self.decode_seconds = self._histogram("decode_seconds", "To decode a frame, and check it.")
        self.request_seconds = self._histogram("request_seconds", "Until a client was answered.")
        self._gauges(server)

    def totals(self) -> Mapping[str, float]:
        """How often it was saved, and how long what took, since the server has started."""
        times = {
            "save_seconds": self.save_seconds,
            "handle_seconds": self.handle_seconds,
            "encode_seconds": self.encode_seconds,
            "decode_seconds": self.decode_seconds,
        }
        return {
            "saves": _sample(self.save_seconds, "_count"),
            "steps": _sample(self.steps, "_total"),
            "rejections": _sample(self.rejections, "_total"),
        } | {name: _sample(metric, "_sum") for name, metric in times.items()}

    def serve(self, address: Address) -> None:
        """Answer Prometheus there. Raises `OSError`."""
        serve_metrics(address, self._registry)

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(f"raft_{name}", text, registry=self._registry)

    def _histogram(self, name: str, text: str) -> Histogram:
        return Histogram(f"raft_{name}", text, registry=self._registry, buckets=_SECONDS)

    def _gauges(self, server: Server) -> None:
        looked_up = {
            "term": ("The current term.", lambda: server.state.current_term),
            "is_leader": ("1 if it takes itself for the leader.", lambda: server.is_leader),
            "commit_index": ("Up to where it is committed.", lambda: server.state.commit_index),
            "last_index": ("The last entry of the log.", lambda: server.state.log.last_index),
            "open_requests": ("Requests under way here.", lambda: server.open_requests),
        }
        for name, (text, look_up) in looked_up.items():
            Gauge(f"raft_{name}", text, registry=self._registry).set_function(look_up)


def _sample(metric: Counter | Histogram, suffix: str) -> float:
    """One number of a metric. The registry would go through all metrics to find it."""
    samples = (sample for family in metric.collect() for sample in family.samples)
    return next(sample.value for sample in samples if sample.name.endswith(suffix))
