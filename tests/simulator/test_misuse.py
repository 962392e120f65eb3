"""Misbehaving systems in a scenario, each decision right by itself: the rules find them, and leave the honest alone."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from licd.core.misuse import TICK
from licd.core.time import MINUTE, SECOND
from licd.server.caller import Listener
from licd.v1 import operator_pb2, signal_pb2
from licd.v1 import signal_service_pb2 as pb
from simulator.clock import RealClock
from simulator.progress import Progress
from simulator.run import run_scenario
from simulator.scenario import SCENARIOS, load_scenario
from tests.daemon import Daemon, make_state, serving
from tests.office import Operator

pytestmark = pytest.mark.timeout(300)

OF_A_DAY = 'when = "distinct_targets >= 30 && distinct_targets > 10 * cap"'
OF_SECONDS = 'when = "distinct_targets >= 7 && distinct_targets > 3 * cap"'
"""The same rule with figures that half a minute comes to."""


class Quiet(Progress):
    """Says nothing."""

    def say(self, words: str) -> None: ...
    def told(self, told: object) -> None: ...
    def show(self, fleet: object, elapsed: int) -> None: ...
    def close(self) -> None: ...


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """licd with the scenarios' policies; its rules have been asked once."""
    state = make_state(tmp_path / "state", drain_seconds=1)
    policies = state.root / "policies"
    shutil.copytree(SCENARIOS / "policies", policies, dirs_exist_ok=True)
    text = (policies / "misuse.toml").read_text()
    assert OF_A_DAY in text
    (policies / "misuse.toml").write_text(text.replace(OF_A_DAY, OF_SECONDS))
    with serving(state) as made:
        made.on_loop(made.up.daemon.jobs.ask_rules)
        for settings in (state.root / "operators").glob("*/licctl.toml"):
            line = f'address = "{made.address(Listener.OPERATOR)}"'
            settings.write_text(re.sub(r'(?m)^address = ".*"$', line, settings.read_text()))
        yield made


def signals(alice: Operator) -> list[signal_pb2.Signal]:
    return list(alice.call("SignalService.ListSignals", pb.ListSignalsRequest()).signals)


async def test_volume_under_a_kept_cap_and_devices_elsewhere_are_caught_by_rules(daemon: Daemon):
    result = await run_scenario(load_scenario(SCENARIOS / "misuse.toml"), RealClock(), Quiet(), daemon.state.root)
    assert result.verdict.sound
    assert result.unmet == ()
    daemon.clock.passed += MINUTE
    daemon.on_loop(daemon.up.daemon.jobs.reap)
    daemon.clock.passed += TICK + 20 * SECOND
    daemon.on_loop(daemon.up.daemon.jobs.ask_rules)
    alice = Operator.of(daemon, "alice")
    told = {(each.rule, each.subject, each.done) for each in signals(alice)}
    assert told >= {
        ("volume-beyond-mission", "rotating-desk", "suspended"),
        ("device-outside", "straying-desk", "suspended"),
    }
    assert not any(subject.startswith("honest") for _, subject, _ in told)
    assert alice.licence_of("honest-desk").status == operator_pb2.LICENCE_STATUS_ACTIVE
    for licence, code in (("rotating-desk", "rule_volume"), ("straying-desk", "rule_region")):
        found = alice.licence_of(licence)
        assert (found.status, found.suspension_code) == (operator_pb2.LICENCE_STATUS_SUSPENDED, code)
