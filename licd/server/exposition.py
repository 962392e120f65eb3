"""The page that Prometheus scrapes, and what keeps it short."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Final, Generic, TypeVar
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric

LOOPBACK: Final = "127.0.0.1"
OTHER: Final = "other"

M = TypeVar("M", bound=MetricWrapperBase)


class ScrapeRegistry(CollectorRegistry):
    """A registry without the client's `_created` series, which double every counter and answer no question."""

    def collect(self) -> Iterable[Metric]:
        """Every metric, once."""
        for metric in super().collect():
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric


class Bounded(Generic[M]):
    """One metric by its label values, each label held to a number of different values."""

    def __init__(self, metric: M, *limits: int) -> None:
        self._metric: Final = metric
        self._limits: Final = limits
        self._seen: Final[tuple[set[str], ...]] = tuple(set() for _ in limits)
        self._children: Final[dict[tuple[str, ...], M]] = {}
        self._adding: Final = threading.Lock()

    def of(self, *values: str) -> M:
        """The child for these values. What is over a limit is not remembered, so it costs time and no memory."""
        return self._children.get(values) or self._add(values)

    def _add(self, values: tuple[str, ...]) -> M:
        with self._adding:
            kept = tuple(map(self._kept, values, self._seen, self._limits))
            child = self._metric.labels(*kept) if kept else self._metric
            if kept == values:
                self._children[values] = child
            return child

    @staticmethod
    def _kept(value: str, seen: set[str], limit: int) -> str:
        if value in seen:
            return value
        if len(seen) >= limit:
            return OTHER
        seen.add(value)
        return value


class Exposition:
    """A running page. port is the real one, also where 0 was asked for."""

    def __init__(self, server: WSGIServer, thread: threading.Thread) -> None:
        self._server: Final = server
        self._thread: Final = thread
        self.port: Final[int] = server.server_port

    def close(self) -> None:
        """Stops serving and frees the port; waits for at most half a second."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def serve_metrics(registry: CollectorRegistry, host: str = LOOPBACK, port: int = 0) -> Exposition:
    """Serves the registry at http://host:port/metrics, as OpenMetrics where the scraper asks for it.

    host is a name or an address; an IPv6 address may stand in brackets. The page has neither TLS nor callers: on any
    address but this machine's it belongs behind something that has both. Raises OSError when the address cannot be had.
    """
    server, thread = start_http_server(port, addr=host.strip("[]"), registry=registry)
    return Exposition(server, thread)
