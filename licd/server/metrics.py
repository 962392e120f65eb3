"""Every metric of licd: its name, its help text, its unit, its labels. Nowhere else is one made.

No label ever names a customer, licence, deployment, system, operator or target: whoever reads the metrics learns how
licd is, and not who is served. Gauges that tell what the whole installation holds are the same on every replica of one
database, so rules take their max; what a replica counts by itself is summed.
"""

from __future__ import annotations

import platform
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import grpc
import structlog
from prometheus_client import Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.metrics_core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from licd import __version__
from licd.core.misuse import Done
from licd.core.reasons import Reason
from licd.core.time import SECOND, Instant
from licd.server.exposition import OTHER, Bounded, ScrapeRegistry

logger = structlog.get_logger("licd.metrics")

NOT_DENIALS: Final = ("GRANTED", "RELEASED", "RENEWED", "STANDS")
"""The decisions that refuse nothing; every other reason of licd_decisions_total is a denial."""

BATCH_FAILURES: Final = ("database", "disk_full")
"""Why the database did not take a batch."""

IMPEDIMENTS: Final = ("behind", "clock", "disk", "hold")
"""What can stand in the way of granting. An impediment of any other name is shown as `other`."""

VALUES_LIMIT: Final = 64
METHODS_LIMIT: Final = 256
"""Different values that one label of one metric may take; what comes after is counted as `other`."""

RPC_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
COMMIT_SECONDS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
SIGN_SECONDS: Final = (0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1)
ACKNOWLEDGE_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600)
BATCH_COMMANDS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
HEARTBEAT_AGES: Final = (5, 10, 15, 30, 60, 120, 300, 900, 3600)


@dataclass(frozen=True, slots=True)
class Seats:
    """The seats of all licences of one category: held by a live lease, cooling, and allowed at most."""

    category: str
    live: int
    cooling: int
    cap: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is read anew at every scrape.

    An instant is unix milliseconds, and 0 means that it never comes: then the metric has no sample. heartbeat_ages are
    seconds since the last link of each system with an open session. impediments are as Ledger.impediments() words them:
    what stands before the colon is the kind. Suspensions are counted by system: unconfirmed while it may still act,
    past_bound when its last permit ran out and it never acknowledged. key_expiry is the earliest end of each purpose.
    Signals that nobody has acknowledged are counted by what came of them; oldest_signal_age is in seconds.
    """

    seats: tuple[Seats, ...]
    sessions_open: int
    heartbeat_ages: tuple[float, ...]
    suspensions_unconfirmed: int
    suspensions_past_bound: int
    log_entries: int
    disk_reserve_ok: bool
    impediments: tuple[str, ...]
    certificate_expiry: Mapping[str, Instant]
    key_expiry: Mapping[str, Instant]
    trust_bundle_expiry: Instant
    queue_waiting: int
    approvals_pending: int
    reviews_open: int
    reviews_overdue: int
    conditions_reminded: int
    conditions_overdue: int
    signals_unacknowledged: int
    signals_overdue: int
    signals_braked: int
    oldest_signal_age: float
    rules_asked_until: Instant
    cases_open: int
    cases_unacknowledged: int


class Metrics:
    """What licd counts and times. Every method may be called from any thread; none blocks, none raises."""

    def __init__(self) -> None:
        self.registry: Final = ScrapeRegistry()
        ProcessCollector(namespace="licd", registry=self.registry)
        self._rpc_metrics()
        self._decision_metrics()
        self._ledger_metrics()
        self._stream_metrics()

    def _rpc_metrics(self) -> None:
        self._answered = self._counter(
            "licd_rpc_answered", "RPCs answered: OK, or the code of the error.", method=METHODS_LIMIT, code=VALUES_LIMIT
        )
        self._rpc_seconds = self._histogram(
            "licd_rpc_seconds",
            "Time from an RPC's arrival to its answer, in seconds. Streams are not timed.",
            RPC_SECONDS,
            method=METHODS_LIMIT,
        )
        self._handshakes = self._counter(
            "licd_tls_handshakes",
            "TLS handshakes begun. Those that fail end inside gRPC, and licd hears no more of them.",
            listener=VALUES_LIMIT,
        )
        self._refused = self._counter(
            "licd_refused",
            "Callers refused before anything was decided: role, listener, withdrawn certificate, quota, unknown RPC.",
            listener=VALUES_LIMIT,
            why=VALUES_LIMIT,
        )

    def _decision_metrics(self) -> None:
        self._decided = self._counter(
            "licd_decisions",
            f"Decisions by verb and reason; all reasons but {', '.join(NOT_DENIALS)} are denials.",
            verb=VALUES_LIMIT,
            reason=VALUES_LIMIT,
        )
        for reason in ("GRANTED", *Reason.__members__):  # shown at 0, so that the very first one is a rise
            self._decided.of("acquire", reason)
        self._signed = self._histogram(
            "licd_sign_seconds", "Time to sign one payload, in seconds.", SIGN_SECONDS, kind=VALUES_LIMIT
        )

    def _ledger_metrics(self) -> None:
        self._batch_commands = self._histogram(
            "licd_batch_commands", "Commands decided in one durable batch.", BATCH_COMMANDS
        ).of()
        self._entries = self._counter("licd_entries_committed", "Log entries made durable by this replica.").of()
        self._commits = self._counter("licd_commits", "Batches made durable.").of()
        self._commit_seconds = self._histogram(
            "licd_commit_seconds", "Time to make one batch durable, in seconds.", COMMIT_SECONDS
        ).of()
        self._batches_failed = self._counter(
            "licd_batches_failed", "Batches that the database did not take.", why=VALUES_LIMIT
        )
        for why in BATCH_FAILURES:
            self._batches_failed.of(why)

    def _stream_metrics(self) -> None:
        self._streams_open = Gauge("licd_streams_open", "Session streams open on this replica.", registry=self.registry)
        self._streams_opened = self._counter("licd_streams_opened", "Session streams opened.").of()
        self._frames_dropped = self._counter(
            "licd_frames_dropped", "Frames of a session stream that were not judged.", why=VALUES_LIMIT
        )
        self._forks = self._counter("licd_forks", "Systems fenced because two copies of them were seen.").of()
        self._signals = self._counter(
            "licd_signals", "Signals that misuse rules raised on this replica, by what came of them.", done=VALUES_LIMIT
        )
        for done in Done:
            self._signals.of(done.value)
        self._directives_pushed = self._counter("licd_directives_pushed", "Directives sent down a stream.").of()
        self._acknowledged = self._histogram(
            "licd_suspension_acknowledged_seconds",
            "Time from the decision to suspend to a system's signed acknowledgement, in seconds.",
            ACKNOWLEDGE_SECONDS,
        ).of()

    def _counter(self, name: str, text: str, **labels: int) -> Bounded[Counter]:
        """A counter `<name>_total`; labels with how many values each may take."""
        return Bounded(Counter(name, text, tuple(labels), registry=self.registry), *labels.values())

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...], **labels: int) -> Bounded[Histogram]:
        unit = "seconds" if name.endswith("_seconds") else ""
        metric = Histogram(name, text, tuple(labels), unit=unit, buckets=buckets, registry=self.registry)
        return Bounded(metric, *labels.values())

    def answered(self, method: str, code: str, seconds: float) -> None:
        """An RPC was answered. method: "SessionService.AcquireLease"; code: "OK" or the error's.

        seconds 0 counts without timing: how long a stream lived says nothing about how fast licd is.
        """
        self._answered.of(method, code).inc()
        if seconds > 0:
            self._rpc_seconds.of(method).observe(seconds)

    def decided(self, verb: str, reason: str) -> None:
        """A verb was decided: one of NOT_DENIALS, or the name of the Reason it was denied for."""
        self._decided.of(verb, reason).inc()

    def batch(self, commands: int, entries: int, commit_seconds: float) -> None:
        """A batch was made durable."""
        self._commits.inc()
        self._entries.inc(entries)
        self._batch_commands.observe(commands)
        self._commit_seconds.observe(commit_seconds)

    def batch_failed(self, why: str) -> None:
        """The database did not take a batch; why: one of BATCH_FAILURES."""
        self._batches_failed.of(why).inc()

    def signed(self, kind: str, seconds: float) -> None:
        """A payload of this kind was signed."""
        self._signed.of(kind).observe(seconds)

    def handshake(self, listener: str) -> None:
        """Somebody has begun a TLS handshake."""
        self._handshakes.of(listener).inc()

    def refused(self, listener: str, why: str) -> None:
        """A caller was refused before anything was decided."""
        self._refused.of(listener, why).inc()

    def stream_opened(self) -> None:
        """A session stream was opened."""
        self._streams_opened.inc()
        self._streams_open.inc()

    def stream_closed(self) -> None:
        """A session stream ended."""
        self._streams_open.dec()

    def frame_dropped(self, why: str) -> None:
        """A frame was put aside unjudged."""
        self._frames_dropped.of(why).inc()

    def fork_seen(self) -> None:
        """Two copies of one system were seen."""
        self._forks.inc()

    def directive_pushed(self) -> None:
        """A directive was sent down one stream."""
        self._directives_pushed.inc()

    def signal_raised(self, done: str) -> None:
        """A misuse rule held, and this came of it."""
        self._signals.of(done).inc()

    def suspension_acknowledged(self, seconds: float) -> None:
        """A system's first acknowledgement of a suspension came so long after the decision."""
        self._acknowledged.observe(seconds)

    def watch(self, snapshot: Callable[[], Snapshot]) -> None:
        """From now on asks for a snapshot at every scrape: on the scrape's own thread, one at a time."""
        self.registry.register(_Watch(snapshot))


class _Watch(Collector):
    """Gauges made from one snapshot, so that they agree with one another."""

    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        self._snapshot: Final = snapshot
        self._one_at_a_time: Final = threading.Lock()

    def describe(self) -> Iterable[Metric]:
        """The names, so that the registry refuses a second watch."""
        return [_gauge("licd_snapshot_failed", "", 0)]

    def collect(self) -> Iterable[Metric]:
        """A snapshot that fails costs its own metrics only, and says so."""
        gauges: list[Metric] = []
        try:
            with self._one_at_a_time:
                gauges = _gauges(self._snapshot())
        except Exception:
            logger.exception("snapshot for metrics failed")
        failed = _gauge("licd_snapshot_failed", "1 while the state cannot be read for its metrics.", not gauges)
        return [_build_info(), failed, *gauges]


def _gauges(now: Snapshot) -> list[Metric]:
    return [
        _seats(now.seats),
        _gauge("licd_sessions_open", "Systems with an open session.", now.sessions_open),
        *_heartbeats(now.heartbeat_ages),
        _gauge(
            "licd_suspensions_unconfirmed",
            "Systems of suspended licences that have not acknowledged and may still act, bounded by W.",
            now.suspensions_unconfirmed,
        ),
        _gauge(
            "licd_suspensions_past_bound",
            "Systems of suspended licences whose last permit has run out and that never acknowledged.",
            now.suspensions_past_bound,
        ),
        _gauge("licd_log_entries", "Entries in licd's own log.", now.log_entries),
        _gauge(
            "licd_disk_reserve_ok", "1 while space for a suspension on a full disk is set aside.", now.disk_reserve_ok
        ),
        _impediments(now.impediments),
        _expiry(
            "licd_certificate_expiry", "End of a certificate that licd serves with.", "name", now.certificate_expiry
        ),
        _expiry("licd_key_expiry", "Earliest end of licd's signing keys of a purpose.", "purpose", now.key_expiry),
        _expiry("licd_trust_bundle_expiry", "End of the newest trust bundle.", "", {"": now.trust_bundle_expiry}),
        _gauge("licd_queue_waiting", "Commands that no batch has taken yet, on this replica.", now.queue_waiting),
        _gauge("licd_approvals_pending", "Changes that wait for a second person.", now.approvals_pending),
        _gauge("licd_reviews_open", "Licences' reviews that no newer assessment has closed.", now.reviews_open),
        _gauge("licd_reviews_overdue", "Those of them that are past their time.", now.reviews_overdue),
        _gauge("licd_conditions_reminded", "Conditions of licences that are due soon.", now.conditions_reminded),
        _gauge("licd_conditions_overdue", "Conditions that should have been met by now.", now.conditions_overdue),
        *_signals(now),
    ]


def _signals(now: Snapshot) -> list[Metric]:
    return [
        _gauge(
            "licd_signals_unacknowledged",
            "Signals of misuse rules that nobody has acknowledged.",
            now.signals_unacknowledged,
        ),
        _gauge("licd_signals_overdue", "Those of them that are past their time.", now.signals_overdue),
        _gauge(
            "licd_signals_braked",
            "Those of them for which nothing was suspended because rules had suspended enough.",
            now.signals_braked,
        ),
        GaugeMetricFamily(
            "licd_oldest_signal_age_seconds", "Age of the oldest of them.", value=now.oldest_signal_age, unit="seconds"
        ),
        _expiry("licd_rules_asked", "Until when misuse rules have been asked.", "", {"": now.rules_asked_until}),
        _gauge("licd_cases_open", "Cases that are neither closed nor stopped.", now.cases_open),
        _gauge(
            "licd_cases_unacknowledged",
            "Those of them that should have been acknowledged by now.",
            now.cases_unacknowledged,
        ),
    ]


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)


def _seats(seats: Iterable[Seats]) -> GaugeMetricFamily:
    text = "Seats by state (live, cooling; cap: how many there may be) over all licences of a category."
    found = GaugeMetricFamily("licd_seats", text, labels=("state", "category"))
    for at, each in enumerate(sorted(seats, key=lambda one: one.category)):
        # The categories are those of the policy: few. Should they ever be many, the rest is left out, not mixed up.
        if at == VALUES_LIMIT:
            logger.warning("more categories than metrics show", shown=VALUES_LIMIT)
            break
        for state, value in (("live", each.live), ("cooling", each.cooling), ("cap", each.cap)):
            found.add_metric((state, each.category), value)
    return found


def _heartbeats(ages: Iterable[float]) -> list[Metric]:
    within = [0] * (len(HEARTBEAT_AGES) + 1)
    oldest = GaugeMetricFamily(
        "licd_heartbeat_age_seconds", "Seconds since the last link of the system silent for longest.", unit="seconds"
    )
    longest = -1.0
    for age in ages:
        within[bisect_left(HEARTBEAT_AGES, age)] += 1
        longest = max(longest, age)
    if longest >= 0:
        oldest.add_metric((), longest)
    text = "Systems with an open session whose last link is at most `le` seconds old."
    systems, total = GaugeMetricFamily("licd_systems_by_heartbeat_age", text, labels=("le",)), 0
    for bound, count in zip([*map(str, HEARTBEAT_AGES), "+Inf"], within, strict=True):
        total += count
        systems.add_metric((bound,), total)
    return [oldest, systems]


def _impediments(found: Iterable[str]) -> GaugeMetricFamily:
    kinds = {text.partition(":")[0].strip() for text in found}
    gauge = GaugeMetricFamily("licd_impediment", "1 while it keeps licd from granting.", labels=("kind",))
    for kind in IMPEDIMENTS:
        gauge.add_metric((kind,), kind in kinds)
    gauge.add_metric((OTHER,), bool(kinds.difference(IMPEDIMENTS)))
    return gauge


def _expiry(name: str, text: str, label: str, ends: Mapping[str, Instant]) -> GaugeMetricFamily:
    full = f"{name}_timestamp_seconds"
    found = GaugeMetricFamily(full, f"{text} Unix time.", labels=(label,) if label else (), unit="seconds")
    for value, end in sorted(ends.items())[:VALUES_LIMIT]:
        if end:
            found.add_metric((value,) if label else (), end / SECOND)
    return found


def _build_info() -> InfoMetricFamily:
    value = {"version": __version__, "python": platform.python_version(), "grpc": grpc.__version__}
    return InfoMetricFamily("licd_build", "What runs.", value=value)
