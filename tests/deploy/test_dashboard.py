"""Every expression of the Grafana dashboard, evaluated by a real Prometheus that scrapes a real exposition."""

import json
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest

from licd.server.exposition import serve_metrics
from tests.architecture.sources import ROOT
from tests.deploy.activity import BusyLicd
from tests.deploy.prometheus import Prometheus, running_prometheus

DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy" / "grafana" / "licd.json").read_text(encoding="utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = sorted(
    {target["expr"] for panel in PANELS for target in panel["targets"]}
    | {annotation["expr"] for annotation in DASHBOARD["annotations"]["list"]}
)
SCRAPES = 20


@pytest.fixture(scope="module")
def busy() -> BusyLicd:
    return BusyLicd()


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory, busy: BusyLicd) -> Iterator[Prometheus]:
    exposition = serve_metrics(busy.metrics.registry)
    try:
        with running_prometheus(tmp_path_factory.mktemp("prometheus"), exposition.port) as server:
            yield server
    finally:
        exposition.close()


def samples_of(prometheus: Prometheus, busy: BusyLicd, expression: str) -> list[dict[str, Any]]:
    """What Prometheus answers as soon as it answers with something, at most SCRAPES scrapes from now."""
    for _ in range(SCRAPES):
        if found := prometheus.samples(expression):
            return found
        assert busy.await_scrape(timeout=10), "Prometheus does not scrape"
    return []


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_of_the_dashboard_has_data(prometheus: Prometheus, busy: BusyLicd, expression: str) -> None:
    asked = expression.replace("$__rate_interval", "1m")
    found = samples_of(prometheus, busy, asked)
    assert found, f"no data for {asked}"
    assert not [sample for sample in found if sample["value"][1] == "NaN"], asked


def test_prometheus_takes_the_openmetrics_form_with_types_and_units(prometheus: Prometheus, busy: BusyLicd) -> None:
    assert samples_of(prometheus, busy, 'up{job="licd"} == 1')
    [known] = prometheus.ask("metadata", metric="licd_rpc_seconds")["data"]["licd_rpc_seconds"]
    assert known["type"] == "histogram"
    assert known["unit"] == "seconds"
    assert known["help"].startswith("Time from an RPC's arrival")


def test_prometheus_stores_no_created_series(prometheus: Prometheus, busy: BusyLicd) -> None:
    assert samples_of(prometheus, busy, 'up{job="licd"} == 1')
    names = prometheus.ask("label/__name__/values")["data"]
    assert "licd_decisions_total" in names
    assert [name for name in names if name.endswith("_created")] == []


def test_the_shipped_rules_fire_in_a_running_prometheus(prometheus: Prometheus, busy: BusyLicd) -> None:
    firing = 'ALERTS{alertstate="firing",alertname="LicdClockDoubted"}'
    [alert] = samples_of(prometheus, busy, firing)
    assert alert["metric"]["severity"] == "critical"


def test_every_panel_says_what_it_shows_and_lets_the_reader_choose_the_source() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    source = {"type": "prometheus", "uid": "${datasource}"}
    for panel in PANELS:
        assert panel["title"]
        assert panel["description"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert [panel["datasource"], *(target["datasource"] for target in panel["targets"])] == [source] * (
            1 + len(panel["targets"])
        )
    assert [variable["name"] for variable in DASHBOARD["templating"]["list"]] == ["datasource"]


def test_no_panel_covers_another() -> None:
    places = [(panel["id"], panel["gridPos"]) for panel in DASHBOARD["panels"]]
    assert [(a, b) for (a, one), (b, two) in combinations(places, 2) if overlap(one, two)] == []
    assert max(place["x"] + place["w"] for _, place in places) <= 24


def overlap(one: dict[str, int], two: dict[str, int]) -> bool:
    apart = one["x"] + one["w"] <= two["x"] or two["x"] + two["w"] <= one["x"]
    return not apart and one["y"] < two["y"] + two["h"] and two["y"] < one["y"] + one["h"]
