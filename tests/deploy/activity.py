"""A licd that is busy in every way its metrics can show: something of everything, more of it at every scrape."""

import threading

from licd.core.time import DAY
from licd.ledger.allegations import AllegationsNow
from licd.server.allegation_metrics import watch_allegations
from licd.server.metrics import IMPEDIMENTS, Metrics, Seats, Snapshot

FAR = 4_000_000_000_000


def make_snapshot(*, log_entries: int = 1_000, impediments: tuple[str, ...] = ()) -> Snapshot:
    return Snapshot(
        seats=(Seats("low", 7, 1, 10), Seats("moderate", 2, 2, 5)),
        sessions_open=3,
        heartbeat_ages=(1.0, 7.5, 70.0),
        suspensions_unconfirmed=2,
        suspensions_past_bound=1,
        log_entries=log_entries,
        disk_reserve_ok=True,
        impediments=impediments,
        certificate_expiry={"customer": FAR, "operator": FAR + 1},
        key_expiry={"permit-online": FAR, "evidence": FAR},
        trust_bundle_expiry=FAR,
        queue_waiting=4,
        approvals_pending=5,
        reviews_open=6,
        reviews_overdue=1,
        conditions_reminded=8,
        conditions_overdue=7,
        signals_unacknowledged=9,
        signals_overdue=2,
        signals_braked=1,
        oldest_signal_age=90.0,
        rules_asked_until=1_700_000_000_000,
        cases_open=3,
        cases_unacknowledged=1,
    )


def act(metrics: Metrics) -> None:
    """One of everything."""
    metrics.answered("SessionService.AcquireLease", "OK", 0.0004)
    metrics.answered("SessionService.AcquireLease", "DATABASE", 0.02)
    metrics.answered("LicenceService.SuspendLicence", "FORBIDDEN", 0.001)
    metrics.decided("acquire", "GRANTED")
    metrics.decided("acquire", "CONCURRENT_CAP")
    metrics.decided("renew", "RENEWED")
    metrics.decided("link", "LICENCE_SUSPENDED")
    metrics.batch(5, 7, 0.0003)
    metrics.batch_failed("database")
    metrics.signed("permit", 0.00004)
    metrics.refused("operator", "FORBIDDEN")
    metrics.stream_opened()
    metrics.stream_opened()
    metrics.stream_closed()
    metrics.frame_dropped("stale")
    metrics.fork_seen()
    metrics.directive_pushed()
    metrics.suspension_acknowledged(0.3)


class BusyLicd:
    """Acts at every scrape, and tells those who wait that one has come."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.scrapes = 0
        self._scraped = threading.Condition()
        act(self.metrics)
        self.metrics.watch(self.snapshot)
        watch_allegations(self.metrics.registry, lambda: AllegationsNow(3, 1, 4, 1, DAY, DAY))

    def snapshot(self) -> Snapshot:
        act(self.metrics)
        with self._scraped:
            self.scrapes += 1
            self._scraped.notify_all()
        return make_snapshot(log_entries=1_000 + self.scrapes, impediments=(f"{IMPEDIMENTS[1]}: jumped",))

    def await_scrape(self, timeout: float) -> bool:
        """Whether another scrape has come within so many seconds."""
        with self._scraped:
            seen = self.scrapes
            return self._scraped.wait_for(lambda: self.scrapes > seen, timeout)
