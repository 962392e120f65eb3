"""The alerting rules: taken by promtool, tried on series, and about metrics that licd really has."""

import re
import subprocess

import pytest
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from licd.core.errors import Code
from licd.keys.kinds import KeyPurpose
from licd.server.exposition import OTHER
from licd.server.metrics import HEARTBEAT_AGES, IMPEDIMENTS, NOT_DENIALS
from licd.wire.errors import STATUS
from tests.architecture.sources import ROOT
from tests.deploy.activity import BusyLicd
from tests.deploy.prometheus import RULE_TESTS, RULES, program

TEXT = RULES.read_text(encoding="utf-8")
CASES = RULE_TESTS.read_text(encoding="utf-8")
DASHBOARD = (ROOT / "deploy" / "grafana" / "licd.json").read_text(encoding="utf-8").replace('\\"', '"')
ALERTS = dict(re.findall(r"^      - alert: (\w+)\n((?:        .*\n)+)", TEXT, re.MULTILINE))


def promtool(*arguments: str) -> str:
    done = subprocess.run(
        [program("promtool", "prometheus"), *arguments],
        capture_output=True,
        check=False,
        cwd=RULES.parent,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_takes_the_rules() -> None:
    assert "SUCCESS" in promtool("check", "rules", RULES.name)


def test_every_alert_fires_when_it_should_and_only_then() -> None:
    assert "SUCCESS" in promtool("test", "rules", RULE_TESTS.name)


def test_every_alert_is_tried_both_ways_and_no_case_is_about_none() -> None:
    fires = set(re.findall(r"alertname: (\w+)\n +exp_alerts:\n +- exp_labels", CASES))
    silent = set(re.findall(r"alertname: (\w+), exp_alerts: \[\]", CASES))
    assert len(ALERTS) == TEXT.count("- alert:")
    assert (ALERTS.keys() - fires, fires - ALERTS.keys()) == (set(), set())
    assert (ALERTS.keys() - silent, silent - ALERTS.keys()) == (set(), set())


def test_every_alert_has_a_severity_a_summary_and_its_own_page_in_the_runbook() -> None:
    headings = re.findall(r"^## (\w+)$", (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings == list(ALERTS)
    for name, body in ALERTS.items():
        assert re.search(r"severity: (critical|warning|info)\b", body), name
        assert re.search(r"summary: \S", body), name
        assert re.findall(r"runbook: (\S+)", body) == [f"docs/runbook.md#{name.lower()}"]


# --------------------------------------------------------------------- what they speak of is what licd has
@pytest.fixture(scope="module")
def shown() -> set[str]:
    """The name of every sample that a busy licd shows."""
    text = generate_latest(BusyLicd().metrics.registry).decode()
    return {sample.name for family in text_string_to_metric_families(text) for sample in family.samples}


@pytest.mark.parametrize("text", [TEXT, CASES, DASHBOARD], ids=["rules", "tests", "dashboard"])
def test_every_metric_that_is_asked_for_is_one_that_licd_shows(shown: set[str], text: str) -> None:
    asked = set(re.findall(r"\blicd_[a-z0-9_]+", text))
    assert asked
    assert asked - shown == set()


@pytest.mark.parametrize("text", [TEXT, DASHBOARD], ids=["rules", "dashboard"])
def test_every_recorded_series_that_is_asked_for_is_recorded(text: str) -> None:
    recorded = set(re.findall(r"record: (\S+)", TEXT))
    assert set(re.findall(r"\blicd:[a-z0-9_:]+", text)) - recorded == set()


@pytest.mark.parametrize("text", [TEXT, DASHBOARD], ids=["rules", "dashboard"])
def test_what_counts_as_a_denial_is_what_licd_means_by_it(text: str) -> None:
    excluded = set(re.findall(r'reason!~"([^"]+)"', text))
    assert excluded == {"|".join(NOT_DENIALS)}


def test_what_counts_as_licds_own_failure_is_what_callers_are_told_to_retry_or_report() -> None:
    own = {code.value for code, status in STATUS.items() if status.name in {"UNAVAILABLE", "INTERNAL"}}
    named = set(re.findall(r'code=~"([^"]+)"', TEXT))
    assert named == {"|".join(sorted(own - {Code.SHUTTING_DOWN.value}))}


def test_every_impediment_has_an_alert() -> None:
    assert set(re.findall(r'licd_impediment\{kind="(\w+)"\}', TEXT)) == {*IMPEDIMENTS, OTHER}


def test_bounds_and_purposes_in_the_rules_are_ones_that_licd_shows() -> None:
    bounds = {int(bound) for bound in re.findall(r'by_heartbeat_age\{le="(\d+)"\}', TEXT)}
    purposes = set(re.findall(r'purpose!?="([^"]+)"', TEXT))
    assert bounds
    assert bounds <= set(HEARTBEAT_AGES)
    assert purposes == {KeyPurpose.PERMIT_ONLINE.word}
