"""What licd counts, and that it tells nothing about whom it serves."""

import http.client
import re
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.parser import text_string_to_metric_families as parse_plain
from structlog.testing import capture_logs

from licd.core.reasons import Reason
from licd.server.exposition import Exposition, serve_metrics
from licd.server.methods import METHODS
from licd.server.metrics import METHODS_LIMIT, VALUES_LIMIT, Metrics, Snapshot
from tests.deploy.activity import BusyLicd, act, make_snapshot

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(metrics: Metrics) -> Samples:
    text = generate_latest(metrics.registry).decode()
    families = text_string_to_metric_families(text)  # the strict parser: types, units, order
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def value(metrics: Metrics, sample: str, **labels: str) -> float | None:
    return samples(metrics).get((sample, frozenset(labels.items())))


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def test_counts_an_answer_by_method_and_code_and_times_it_by_method(metrics: Metrics) -> None:
    metrics.answered("SessionService.AcquireLease", "OK", 0.002)
    metrics.answered("SessionService.AcquireLease", "FORBIDDEN", 0.02)
    method = {"method": "SessionService.AcquireLease"}
    assert value(metrics, "licd_rpc_answered_total", code="OK", **method) == 1
    assert value(metrics, "licd_rpc_answered_total", code="FORBIDDEN", **method) == 1
    assert value(metrics, "licd_rpc_seconds_count", **method) == 2
    assert value(metrics, "licd_rpc_seconds_bucket", le="0.0025", **method) == 1
    assert value(metrics, "licd_rpc_seconds_sum", **method) == pytest.approx(0.022)


def test_counts_handshakes_begun_by_listener(metrics: Metrics) -> None:
    metrics.handshake("customer")
    metrics.handshake("customer")
    assert value(metrics, "licd_tls_handshakes_total", listener="customer") == 2


def test_counts_the_end_of_a_stream_and_does_not_time_it(metrics: Metrics) -> None:
    metrics.answered("SessionService.Session", "FORKED", 0)
    assert value(metrics, "licd_rpc_answered_total", code="FORKED", method="SessionService.Session") == 1
    assert value(metrics, "licd_rpc_seconds_count", method="SessionService.Session") is None


def test_counts_decisions_by_verb_and_reason(metrics: Metrics) -> None:
    metrics.decided("renew", "RENEWED")
    metrics.decided("acquire", "CONCURRENT_CAP")
    metrics.decided("acquire", "CONCURRENT_CAP")
    assert value(metrics, "licd_decisions_total", verb="renew", reason="RENEWED") == 1
    assert value(metrics, "licd_decisions_total", verb="acquire", reason="CONCURRENT_CAP") == 2


@pytest.mark.parametrize("reason", ["GRANTED", *Reason.__members__])
def test_shows_every_outcome_of_an_acquire_at_zero_so_that_the_first_one_is_a_rise(reason: str) -> None:
    assert value(Metrics(), "licd_decisions_total", verb="acquire", reason=reason) == 0


def test_shows_failed_batches_at_zero_so_that_the_first_one_is_a_rise(metrics: Metrics) -> None:
    assert value(metrics, "licd_batches_failed_total", why="database") == 0
    metrics.batch_failed("disk_full")
    assert value(metrics, "licd_batches_failed_total", why="disk_full") == 1


def test_counts_what_a_batch_held_and_what_its_commit_took(metrics: Metrics) -> None:
    metrics.batch(3, 5, 0.0004)
    metrics.batch(1, 0, 0.3)
    assert value(metrics, "licd_commits_total") == 2
    assert value(metrics, "licd_entries_committed_total") == 5
    assert value(metrics, "licd_batch_commands_sum") == 4
    assert value(metrics, "licd_batch_commands_bucket", le="2.0") == 1
    assert value(metrics, "licd_commit_seconds_bucket", le="0.25") == 1


def test_counts_open_streams_up_and_down(metrics: Metrics) -> None:
    for _ in range(3):
        metrics.stream_opened()
    metrics.stream_closed()
    assert value(metrics, "licd_streams_open") == 2
    assert value(metrics, "licd_streams_opened_total") == 3


def test_counts_every_other_event_where_it_belongs(metrics: Metrics) -> None:
    metrics.signed("permit", 0.00004)
    metrics.refused("operator", "FORBIDDEN")
    metrics.frame_dropped("stale")
    metrics.fork_seen()
    metrics.directive_pushed()
    metrics.suspension_acknowledged(45)
    assert value(metrics, "licd_sign_seconds_bucket", kind="permit", le="5e-05") == 1
    assert value(metrics, "licd_refused_total", listener="operator", why="FORBIDDEN") == 1
    assert value(metrics, "licd_frames_dropped_total", why="stale") == 1
    assert value(metrics, "licd_forks_total") == 1
    assert value(metrics, "licd_directives_pushed_total") == 1
    assert value(metrics, "licd_suspension_acknowledged_seconds_bucket", le="30.0") == 0
    assert value(metrics, "licd_suspension_acknowledged_seconds_bucket", le="60.0") == 1


def test_two_daemons_in_one_process_count_apart() -> None:
    one, other = Metrics(), Metrics()
    one.fork_seen()
    assert value(other, "licd_forks_total") == 0


def test_counts_from_many_threads_lose_nothing(metrics: Metrics) -> None:
    def count() -> None:
        for number in range(500):
            metrics.decided("acquire", f"REASON_{number % 20}")

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counted = [n for (name, labels), n in samples(metrics).items() if name == "licd_decisions_total" and n]
    assert sum(counted) == 2_000


# ------------------------------------------------------------------------------------------ bounded, and telling nobody
def test_counts_as_other_what_comes_after_the_limit_of_a_label(metrics: Metrics) -> None:
    for number in range(VALUES_LIMIT + 10):
        metrics.frame_dropped(f"why-{number}")
    shown = {
        dict(labels)["why"]: n for (name, labels), n in samples(metrics).items() if name == "licd_frames_dropped_total"
    }
    assert len(shown) == VALUES_LIMIT + 1
    assert shown["other"] == 10
    metrics.frame_dropped("why-3")
    assert value(metrics, "licd_frames_dropped_total", why="why-3") == 2


def test_one_label_over_its_limit_leaves_the_other_as_it_is(metrics: Metrics) -> None:
    for number in range(VALUES_LIMIT + 1):
        metrics.refused("customer", f"why-{number}")
    metrics.refused("operator", "why-beyond")
    assert value(metrics, "licd_refused_total", listener="operator", why="other") == 1


def test_a_flood_of_label_values_takes_no_memory(metrics: Metrics) -> None:
    for number in range(5_000):
        metrics.answered(f"Made.Up{number}", f"CODE_{number}", 0.001)
    assert len(samples(metrics)) < 5_000
    assert len(metrics._answered._children) <= METHODS_LIMIT


def test_the_limits_hold_all_methods_and_reasons_there_are() -> None:
    assert len(METHODS) < METHODS_LIMIT
    assert len(Reason) < VALUES_LIMIT - 10


# All there are. Never among them: customer, licence, deployment, system, target, operator, lease, session, address.
LABELS = {
    "method", "code", "verb", "reason", "kind", "listener", "why", "state", "category", "name", "purpose", "le",
    "version", "python", "grpc", "done",
}  # fmt: skip


def test_no_label_says_whom_licd_serves_and_every_metric_is_licds_own() -> None:
    busy = BusyLicd()
    found = samples(busy.metrics)
    assert {label for _, pairs in found for label, _ in pairs} == LABELS
    assert {name for name, _ in found if not name.startswith("licd_")} == set()


def test_every_metric_has_a_help_text_and_a_unit_where_its_name_has_one() -> None:
    text = generate_latest(BusyLicd().metrics.registry).decode()
    for family in text_string_to_metric_families(text):
        if family.name.startswith("licd_process_"):
            continue
        assert family.documentation.endswith("."), family.name
        assert (family.unit == "seconds") == family.name.endswith("_seconds"), family.name


def test_shows_no_created_series() -> None:
    busy = BusyLicd()
    assert [name for name, _ in samples(busy.metrics) if name.endswith("_created")] == []


# ------------------------------------------------------------------------------------------------ the state at a scrape
def watched(snapshot: Snapshot) -> Metrics:
    metrics = Metrics()
    metrics.watch(lambda: snapshot)
    return metrics


def test_shows_seats_by_state_and_category() -> None:
    metrics = watched(make_snapshot())
    assert value(metrics, "licd_seats", state="live", category="low") == 7
    assert value(metrics, "licd_seats", state="cooling", category="low") == 1
    assert value(metrics, "licd_seats", state="cap", category="moderate") == 5


def test_shows_the_oldest_heartbeat_and_how_many_systems_are_younger_than_a_bound() -> None:
    metrics = watched(make_snapshot())  # 1 s, 7.5 s, 70 s
    assert value(metrics, "licd_heartbeat_age_seconds") == 70
    expected = {"5": 1, "10": 2, "60": 2, "120": 3, "3600": 3, "+Inf": 3}
    assert {le: value(metrics, "licd_systems_by_heartbeat_age", le=le) for le in expected} == expected


def test_has_no_oldest_heartbeat_when_nobody_is_there() -> None:
    metrics = watched(replace(make_snapshot(), heartbeat_ages=()))
    assert value(metrics, "licd_heartbeat_age_seconds") is None
    assert value(metrics, "licd_systems_by_heartbeat_age", le="+Inf") == 0


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("clock: the wall clock jumped by 9000 ms", "clock"),
        ("disk: full, running on the reserve", "disk"),
        ("behind: a reply that nobody knows", "behind"),
        ("hold: signing is held on this machine", "hold"),
        ("moon: it is full", "other"),
    ],
)
def test_an_impediment_is_shown_by_its_kind(words: str, kind: str) -> None:
    metrics = watched(make_snapshot(impediments=(words,)))
    kinds = {dict(labels)["kind"]: n for (name, labels), n in samples(metrics).items() if name == "licd_impediment"}
    assert kinds == {**dict.fromkeys(("behind", "clock", "disk", "hold", "other"), 0), kind: 1}


def test_an_end_is_shown_in_seconds_and_one_that_never_comes_is_not_shown() -> None:
    ends = {"customer": 1_700_000_000_500, "operator": 0}
    metrics = watched(replace(make_snapshot(), certificate_expiry=ends, trust_bundle_expiry=0))
    assert value(metrics, "licd_certificate_expiry_timestamp_seconds", name="customer") == 1_700_000_000.5
    assert value(metrics, "licd_certificate_expiry_timestamp_seconds", name="operator") is None
    assert value(metrics, "licd_trust_bundle_expiry_timestamp_seconds") is None


def test_shows_the_rest_of_the_state_as_it_is() -> None:
    metrics = watched(make_snapshot(log_entries=77))
    expected = {
        "licd_sessions_open": 3,
        "licd_suspensions_unconfirmed": 2,
        "licd_suspensions_past_bound": 1,
        "licd_log_entries": 77,
        "licd_disk_reserve_ok": 1,
        "licd_queue_waiting": 4,
        "licd_approvals_pending": 5,
        "licd_reviews_open": 6,
        "licd_reviews_overdue": 1,
        "licd_conditions_reminded": 8,
        "licd_conditions_overdue": 7,
        "licd_signals_unacknowledged": 9,
        "licd_signals_overdue": 2,
        "licd_signals_braked": 1,
        "licd_oldest_signal_age_seconds": 90,
        "licd_rules_asked_timestamp_seconds": 1_700_000_000,
        "licd_cases_open": 3,
        "licd_cases_unacknowledged": 1,
        "licd_snapshot_failed": 0,
    }
    assert {name: value(metrics, name) for name in expected} == expected


def test_a_snapshot_that_fails_says_so_is_logged_and_leaves_the_counters(metrics: Metrics) -> None:
    def broken() -> Snapshot:
        raise OSError("the disk is gone")

    act(metrics)
    metrics.watch(broken)
    with capture_logs() as logs:
        found = samples(metrics)
    assert found[("licd_snapshot_failed", frozenset())] == 1
    assert found[("licd_forks_total", frozenset())] == 1
    assert "licd_log_entries" not in {name for name, _ in found}
    [line] = logs
    assert line["event"] == "snapshot for metrics failed"
    assert line["exc_info"]


def test_refuses_a_second_watch(metrics: Metrics) -> None:
    metrics.watch(make_snapshot)
    with pytest.raises(ValueError, match="licd_snapshot_failed"):
        metrics.watch(make_snapshot)


def test_shows_what_runs() -> None:
    [labels] = [dict(labels) for name, labels in samples(watched(make_snapshot())) if name == "licd_build_info"]
    assert labels.keys() == {"version", "python", "grpc"}
    assert all(re.fullmatch(r"\d+(\.\w+)+", text) for text in labels.values())


# ------------------------------------------------------------------------------------------------------------- the page
@pytest.fixture
def page() -> Iterator[Exposition]:
    exposition = serve_metrics(BusyLicd().metrics.registry)
    yield exposition
    exposition.close()


def fetch(port: int, accept: str) -> tuple[str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/metrics", headers={"Accept": accept})
        response = connection.getresponse()
        return response.headers["Content-Type"], response.read().decode()
    finally:
        connection.close()


def test_the_page_is_openmetrics_for_those_who_ask_and_plain_text_for_others(page: Exposition) -> None:
    kind, text = fetch(page.port, "application/openmetrics-text; version=1.0.0")
    assert kind.startswith("application/openmetrics-text")
    assert "licd_forks" in {family.name for family in text_string_to_metric_families(text)}
    kind, text = fetch(page.port, "text/plain")
    assert kind.startswith("text/plain")
    assert "licd_forks" in {family.name for family in parse_plain(text)}


def test_the_page_is_on_loopback_unless_told_otherwise(page: Exposition) -> None:
    assert page._server.server_address[0] == "127.0.0.1"


def test_an_address_may_stand_in_brackets_as_ipv6_ones_do_in_the_settings() -> None:
    exposition = serve_metrics(Metrics().registry, "[127.0.0.1]")
    assert exposition._server.server_address[0] == "127.0.0.1"
    exposition.close()


def test_a_closed_page_gives_its_port_back() -> None:
    registry = Metrics().registry
    first = serve_metrics(registry)
    with pytest.raises(OSError, match="in use"):
        serve_metrics(registry, port=first.port)
    first.close()
    second = serve_metrics(registry, port=first.port)
    assert second.port == first.port
    second.close()
