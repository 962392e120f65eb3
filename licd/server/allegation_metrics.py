"""How many allegations wait and for how long, and what becomes of requests at the intake. Figures alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from licd.core.time import SECOND
from licd.ledger.allegations import AllegationsNow

OUTCOMES: Final = (
    "filed",
    "followed",
    "invalid",
    "messaged",
    "over_quota",
    "shown",
    "unavailable",
    "unknown_code",
)
"""What may become of a request. A message counts beside the look that it came with."""


class _Watch(Collector):
    def __init__(self, now: Callable[[], AllegationsNow]) -> None:
        self._now: Final = now

    def describe(self) -> Iterable[Metric]:
        """The names, without a look at anything."""
        return _gauges(AllegationsNow())

    def collect(self) -> Iterable[Metric]:
        """As they were when they were counted last."""
        return _gauges(self._now())


def watch_allegations(registry: CollectorRegistry, now: Callable[[], AllegationsNow]) -> None:
    """From now on each scrape shows them."""
    registry.register(_Watch(now))


class IntakeCounter:
    """Counts requests at the intake by what became of them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        counter = Counter(
            "licd_intake_requests", "Requests at the public intake, by outcome.", ("outcome",), registry=registry
        )
        self._counters: Final = {outcome: counter.labels(outcome) for outcome in OUTCOMES}

    def count(self, outcome: str) -> None:
        """One more; outcome is one of OUTCOMES."""
        self._counters[outcome].inc()


def _gauges(now: AllegationsNow) -> list[Metric]:
    figures = (
        ("licd_allegations_unacknowledged", "Allegations that nobody has acknowledged.", now.unacknowledged),
        (
            "licd_allegations_acknowledgement_overdue",
            "Those of them that should have been acknowledged by now.",
            now.acknowledgement_overdue,
        ),
        ("licd_allegations_unanswered", "Allegations that were not answered.", now.unanswered),
        ("licd_allegations_answer_overdue", "Those of them that should have been answered by now.", now.answer_overdue),
    )
    ages = (
        (
            "licd_oldest_unacknowledged_allegation_age_seconds",
            "Age of the oldest allegation that nobody has acknowledged.",
            now.oldest_unacknowledged,
        ),
        (
            "licd_oldest_unanswered_allegation_age_seconds",
            "Age of the oldest allegation that was not answered.",
            now.oldest_unanswered,
        ),
    )
    return [
        *(GaugeMetricFamily(name, text, value=value) for name, text, value in figures),
        *(GaugeMetricFamily(name, text, value=age / SECOND, unit="seconds") for name, text, age in ages),
    ]
