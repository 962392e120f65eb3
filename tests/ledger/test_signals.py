"""Misuse rules over a real log, on both databases: raised once, with what follows, through crashes and replicas."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from licd.core.errors import Behind, Conflict, DiskFull, LicdError, NotFound
from licd.core.happenings import Happening
from licd.core.misuse import TICK, Brake, Outcome, Rule, Subject
from licd.core.model import LicenceStatus
from licd.core.reasons import Denied, Reason
from licd.core.rehearsal import Rehearsal
from licd.core.time import DAY, HOUR, MINUTE, Millis
from licd.evidence.entry import decode
from licd.ledger.database import Connection
from licd.ledger.log import read_entries
from licd.ledger.records import RulesAsked, Signal
from licd.ledger.rows import RULES_ASKED, SIGNALS, SUSPENSIONS
from licd.ledger.signals import signals_now
from licd.ledger.transaction import Command, Transaction
from licd.ledger.verbs.denials import log_denial
from licd.ledger.verbs.licences import TerminateLicence
from licd.ledger.verbs.reinstatement import ReinstateLicence
from licd.ledger.verbs.signals import AcknowledgeSignal, RaiseSignals
from licd.policy import Policies, load
from licd.policy.misuse import MisusePolicy
from licd.server.metrics import Metrics
from licd.server.reader import InlineReader
from licd.server.rules import SETTLE, Rules
from licd.v1 import signal_pb2
from licd.wire.happenings import happening_of
from tests.core.misuse_rules import rule
from tests.ledger.rig import Rig
from tests.policy.folder import SHIPPED

SHIPPED_POLICIES = load(SHIPPED)


def many(facts: Mapping[str, int]) -> bool:
    return facts["denied"] >= 3


SUSPENDING = rule("denied", many, name="region", window=HOUR, quiet=DAY, outcome=Outcome.SUSPEND, code="rule_region")
ALERTING = replace(SUSPENDING, name="alert", outcome=Outcome.ALERT, code="", quiet=HOUR)


def policies(*rules: Rule, brake: Brake = Brake(3, DAY), version: str = "p1") -> Policies:  # noqa: B008 - frozen
    return replace(SHIPPED_POLICIES, version=version, misuse=MisusePolicy(True, rules, brake, DAY))


@dataclass(frozen=True, slots=True)
class Deny:
    """Somebody is refused so many times."""

    licence: str
    times: int
    grants: bool = False
    urgent: bool = False

    def run(self, tx: Transaction) -> None:
        tx.state(self.licence)
        for _ in range(self.times):
            log_denial(tx, self.licence, f"{self.licence}/a", Denied(Reason.REGION_UNKNOWN, "unknown"), b"t" * 32)


class Direct:
    """The ledger without a queue."""

    waiting = 0

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.commands: list[Command[Any]] = []

    async def execute(self, command: Command[Any]) -> Any:
        self.commands.append(command)
        return self.rig.do(command)

    async def close(self) -> None: ...


class Desk:
    """A replica's rules over a rig's log; the licence north-1 is there, and the rules are adopted."""

    def __init__(self, rig: Rig, given: Policies) -> None:
        self.rig = rig
        self.writer = Direct(rig)
        self.metrics = Metrics()
        reader = InlineReader(rig.connection)
        self.rules = Rules(self.writer, reader, given, self.metrics, rig.ledger.timekeeper.now)

    def round(self) -> list[Signal]:
        """One round; every signal there is then."""
        asyncio.run(self.rules.round())
        return self.signals()

    def signals(self) -> list[Signal]:
        return SIGNALS.where(self.rig.connection)

    def later(self, by: Millis = TICK + SETTLE) -> list[Signal]:
        self.rig.clock.advance(by)
        return self.round()


def desk(rig: Rig, *rules: Rule, **more: Any) -> Desk:
    rig.licence("north-1")
    made = Desk(rig, policies(*rules, **more))
    made.round()
    return made


def status(rig: Rig, licence: str = "north-1") -> LicenceStatus:
    return rig.look(lambda tx: tx.state(licence).licence.status)


# ---------------------------------------------------------------------------------------------- what a rule does


def test_a_rule_that_holds_suspends_as_the_rules_own_principal_with_its_evidence(rig: Rig):
    made = desk(rig, SUSPENDING)
    rig.do(Deny("north-1", 3))
    [signal] = made.later()
    assert (signal.rule, signal.subject, signal.licence, signal.done) == ("region", "north-1", "north-1", "suspended")
    assert status(rig) is LicenceStatus.SUSPENDED
    suspension = SUSPENSIONS.get(rig.connection, signal.suspension)
    assert suspension is not None
    assert (suspension.actor, suspension.code) == ("rule/region", "rule_region")
    assert signal.id in suspension.detail
    assert "3" not in suspension.detail.replace(signal.id, "")  # how many go unnoticed is nothing for the customer
    body = signal_pb2.Signal.FromString(signal.body)
    denials = [line for line in read_entries(rig.connection) if line.kind == "denied"]
    assert [(each.index, each.leaf_hash) for each in body.evidence] == [
        (each.index, each.leaf_hash) for each in denials
    ]
    assert [(each.name, each.value) for each in body.facts] == [("denied", 3)]
    assert (body.policy_version, body.log_size) == ("p1", denials[-1].index + 1)
    [entry] = rig.entries("signal.raised")
    assert (entry["signal"], entry["suspension"], entry["body"]) == (
        signal.id.encode(),
        signal.suspension.encode(),
        signal.body,
    )
    [stopped] = rig.entries("licence.suspended")
    assert stopped["actor"] == b"rule/region"


def test_the_ordinary_reinstatement_brings_it_back(rig: Rig):
    made = desk(rig, SUSPENDING)
    rig.do(Deny("north-1", 3))
    made.later()
    epoch = rig.look(lambda tx: tx.state("north-1").licence.epoch)
    rig.do(ReinstateLicence("north-1", epoch, "comfort_full", "explained", "bob"))
    assert status(rig) is LicenceStatus.ACTIVE
    assert len(made.later()) == 1  # what two persons have judged counts no more
    rig.do(Deny("north-1", 3))
    assert [each.done for each in made.later()] == ["suspended", "suspended"]
    assert status(rig) is LicenceStatus.SUSPENDED


@pytest.mark.parametrize(
    ("outcome", "done"), [(Outcome.ALERT, "alerted"), (Outcome.CASE, "case-opened")], ids=["alert", "case"]
)
def test_what_suspends_nobody_only_tells(rig: Rig, outcome: Outcome, done: str):
    made = desk(rig, replace(ALERTING, outcome=outcome))
    rig.do(Deny("north-1", 3))
    [signal] = made.later()
    assert (signal.done, signal.suspension, status(rig)) == (done, "", LicenceStatus.ACTIVE)


def test_a_customer_is_suspended_with_all_his_licences(rig: Rig):
    made = desk(rig, replace(SUSPENDING, subject=Subject.CUSTOMER))
    rig.licence("north-2")
    rig.licence("south-1", customer="south")
    rig.do(Deny("north-1", 2))
    rig.do(Deny("north-2", 1))
    [signal] = made.later()
    assert (signal.subject, signal.licence, signal.licences) == ("north", "", 2)
    assert [status(rig, each) for each in ("north-1", "north-2", "south-1")] == [
        LicenceStatus.SUSPENDED,
        LicenceStatus.SUSPENDED,
        LicenceStatus.ACTIVE,
    ]


def test_what_has_ended_is_told_of_and_left_alone(rig: Rig):
    made = desk(rig, SUSPENDING)
    rig.do(Deny("north-1", 3))
    rig.do(TerminateLicence("north-1", "misuse", "over", "alice"))
    assert [each.done for each in made.later()] == ["stands"]


def test_a_flood_that_was_only_counted_counts(rig: Rig):
    made = desk(rig, replace(ALERTING, holds=lambda facts: facts["denied"] >= 500))
    rig.do(Deny("north-1", 600))
    rig.clock.advance(MINUTE)
    rig.do(Deny("north-1", 1))  # closes the minute before
    [signal] = made.later()
    assert signal_pb2.Signal.FromString(signal.body).facts[0].value == 601


# ------------------------------------------------------------------------------------------------------- the brake


def test_the_brake_holds_across_rounds_and_says_so_loudly(rig: Rig):
    made = desk(rig, SUSPENDING, brake=Brake(2, DAY))
    for number in range(1, 6):
        if number > 1:
            rig.licence(f"north-{number}")
    for number in range(1, 4):
        rig.do(Deny(f"north-{number}", 3))
    with capture_logs() as lines:
        assert [each.done for each in made.later()] == ["suspended", "suspended", "braked"]
    [loud] = [line for line in lines if line["log_level"] == "error"]
    assert "HELD BACK" in loud["event"]
    assert not any("north" in str(line) for line in lines)
    assert made.metrics.registry.get_sample_value("licd_signals_total", {"done": "braked"}) == 1
    rig.do(Deny("north-4", 3))
    assert made.later()[-1].done == "braked"
    assert status(rig, "north-3") is LicenceStatus.ACTIVE
    assert signals_now(rig.connection, rig.clock.wall()).braked == 2
    rig.clock.advance(DAY)
    rig.do(Deny("north-5", 3))
    assert made.later()[-1].done == "suspended"


# ----------------------------------------------------------------------------------- once, whatever happens in between


def test_rules_are_asked_from_their_adoption_on(rig: Rig):
    rig.licence("north-1")
    rig.do(Deny("north-1", 3))
    made = Desk(rig, policies(ALERTING))
    rig.clock.advance(30 * MINUTE)
    assert made.round() == []
    [adopted] = rig.entries("rules.adopted")
    assert (adopted["policy"], adopted["rules"]) == (b"p1", b"alert")
    assert int(adopted["since"]) % TICK == 0
    [signal] = made.later()  # what is still in the window counts
    assert signal.tick == int(adopted["since"]) + TICK


@pytest.mark.parametrize("where", ["commit", "committed"])
def test_a_crash_between_finding_and_entry_loses_nothing_and_doubles_nothing(rig: Rig, where: str):
    made = desk(rig, SUSPENDING)
    rig.do(Deny("north-1", 3))
    rig.clock.advance(TICK + SETTLE)
    rig.connection.fail(where)
    with pytest.raises(LicdError):
        made.round()
    restarted = Desk(rig, policies(SUSPENDING))
    assert [each.done for each in restarted.round()] == ["suspended"]
    assert len(rig.entries("signal.raised")) == len(rig.entries("licence.suspended")) == 1


def test_the_same_replica_goes_on_after_a_batch_that_failed(rig: Rig):
    made = desk(rig, SUSPENDING)
    rig.do(Deny("north-1", 3))
    rig.clock.advance(TICK + SETTLE)
    rig.connection.fail("commit")
    with pytest.raises(LicdError):
        made.round()
    assert [each.done for each in made.round()] == ["suspended"]


def test_two_replicas_raise_one_signal(rig: Rig):
    one = desk(rig, SUSPENDING)
    other = Desk(rig, policies(SUSPENDING))
    rig.do(Deny("north-1", 3))
    rig.clock.advance(TICK + SETTLE)
    assert len(one.round()) == len(other.round()) == 1
    rig.clock.advance(2 * TICK)
    assert len(other.round()) == len(one.round()) == 1
    assert len(rig.entries("licence.suspended")) == 1


def test_findings_that_come_late_from_a_slow_replica_are_not_news(rig: Rig):
    one = desk(rig, ALERTING)
    rig.do(Deny("north-1", 3))
    [signal] = one.later()
    late = next(each for each in reversed(one.writer.commands) if isinstance(each, RaiseSignals) and each.findings)
    assert rig.do(late) == []
    asked = RULES_ASKED.get(rig.connection, 1)
    assert rig.do(replace(late, until=late.until + TICK, findings=late.findings)) == []
    assert asked == RulesAsked(1, signal.tick, "p1")


def test_a_restart_in_the_middle_goes_on_where_it_stood(store: Path | str):
    rig = Rig(store)
    made = desk(rig, ALERTING)
    rig.do(Deny("north-1", 2))
    assert made.later() == []
    again = rig.reopened()
    again.do(Deny("north-1", 1))
    assert [each.done for each in Desk(again, policies(ALERTING)).later()] == ["alerted"]
    again.close()


def test_rounds_that_were_missed_are_made_up(rig: Rig):
    made = desk(rig, ALERTING)
    rig.do(Deny("north-1", 3))
    [signal] = made.later(3 * DAY)
    assert rig.clock.wall() - signal.tick > 2 * DAY
    asked = RULES_ASKED.get(rig.connection, 1)
    assert asked is not None
    assert asked.until == (rig.clock.wall() - SETTLE) // TICK * TICK


def test_other_rules_go_on_where_the_last_ones_stood(rig: Rig):
    desk(rig, ALERTING)
    rig.do(Deny("north-1", 3))
    rig.clock.advance(TICK + SETTLE)
    newer = Desk(rig, policies(replace(ALERTING, name="newer"), version="p2"))
    assert [each.rule for each in newer.round()] == ["newer"]
    first, second = rig.entries("rules.adopted")
    assert (second["policy"], second["since"]) == (b"p2", first["since"])


def test_rules_of_another_policy_are_refused_while_these_stand(rig: Rig):
    made = desk(rig, ALERTING)
    command = RaiseSignals((), rig.clock.wall() + DAY, "other", Brake(1, DAY), DAY, (), DAY)
    with pytest.raises(Conflict):
        rig.do(command)
    assert made.later() == []


# ------------------------------------------------------------------------------------------------------- determinism


def happenings(connection: Connection) -> list[Happening]:
    heard = [happening_of(line.index, decode(line.body)) for line in read_entries(connection)]
    return [each for each in heard if each is not None]


def test_a_rehearsal_over_the_log_comes_to_the_signals_that_were_raised(rig: Rig):
    given = policies(SUSPENDING, ALERTING, brake=Brake(1, DAY))
    rig.licence("north-1")
    rig.licence("north-2")
    made = Desk(rig, given)
    made.round()
    started = int(rig.entries("rules.adopted")[0]["since"])
    for step in range(40):
        if step % 3:
            rig.do(Deny(f"north-{1 + step % 2}", 1 + step % 4))
        made.later(4 * MINUTE + 17)
    asked = RULES_ASKED.get(rig.connection, 1)
    assert asked is not None
    rehearsal = Rehearsal(given.misuse.rules, given.misuse.brake, started, asked.until)
    told = [
        (each.finding.rule.name, each.finding.subject, each.finding.tick, each.done.value, each.finding.evidence)
        for each in rehearsal.over(happenings(rig.connection))
    ]
    raised = [
        (
            each.rule,
            each.subject,
            each.tick,
            each.done,
            tuple(one.index for one in signal_pb2.Signal.FromString(each.body).evidence),
        )
        for each in made.signals()
    ]
    assert sorted(told) == sorted(raised)
    assert {each[3] for each in raised} >= {"suspended", "alerted", "braked"}


def test_reading_the_log_anew_in_small_portions_finds_the_same(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    made = desk(rig, ALERTING)
    for _ in range(30):
        rig.do(Deny("north-1", 2))
        made.later()
    raised = [replace(each, id="", raised_at=0, due_at=0) for each in made.signals()]
    asked = RULES_ASKED.get(rig.connection, 1)
    assert asked is not None
    monkeypatch.setattr("licd.server.rules.AT_ONCE", 7)
    fresh = Desk(rig, policies(ALERTING))
    since = int(rig.entries("rules.adopted")[0]["since"])
    asyncio.run(fresh.rules._find(replace(asked, until=since), asked.until))
    found = {(each.subject, each.tick) for each in fresh.rules._found}
    assert found >= {(each.subject, each.tick) for each in raised}


# ------------------------------------------------------------------------------------- behind, full disk, acknowledging


def test_a_licd_that_is_behind_its_log_asks_nothing(store: Path | str):
    rig = Rig(store)
    made = desk(rig, SUSPENDING)
    rig.do(Deny("north-1", 3))
    rig.close()
    behind = Rig(store, made.rig.clock, behind="the ratchet remembers more", seed=9)
    behind.clock.advance(TICK + SETTLE)
    with pytest.raises(Behind):
        Desk(behind, policies(SUSPENDING)).round()
    behind.close()


def test_on_a_full_disk_rules_still_suspend_and_say_nothing_else(database: Path):
    rig = Rig(database)
    alerting, suspending = desk(rig, ALERTING), Desk(rig, policies(SUSPENDING, version="p1"))
    rig.do(Deny("north-1", 3))
    rig.clock.advance(TICK + SETTLE)
    rig.file.fail("executemany", rig.file.full)
    rig.space.room = False
    with pytest.raises(DiskFull):
        alerting.round()
    with pytest.raises(DiskFull):
        alerting.round()
    assert [each.done for each in suspending.round()] == ["suspended"]
    rig.close()


def test_a_signal_is_acknowledged_once_with_a_note(rig: Rig):
    made = desk(rig, ALERTING)
    rig.do(Deny("north-1", 3))
    [signal] = made.later()
    rig.clock.advance(HOUR)
    now = signals_now(rig.connection, rig.clock.wall())
    assert (now.unacknowledged, now.overdue, now.oldest_age) == (1, 0, HOUR)
    late = signals_now(rig.connection, signal.due_at)
    assert (late.unacknowledged, late.overdue) == (1, 1)
    seen = rig.do(AcknowledgeSignal(signal.id, "a training day; see mail", "bob"))
    assert (seen.acknowledged_by, seen.acknowledged_at) == ("bob", rig.clock.wall())
    [entry] = rig.entries("signal.acknowledged")
    assert (entry["signal"], entry["actor"], entry["note"]) == (
        signal.id.encode(),
        b"bob",
        b"a training day; see mail",
    )
    assert signals_now(rig.connection, rig.clock.wall()).unacknowledged == 0
    with pytest.raises(Conflict, match="was acknowledged by bob"):
        rig.do(AcknowledgeSignal(signal.id, "again", "carol"))
    with pytest.raises(NotFound):
        rig.do(AcknowledgeSignal("G-0", "what", "carol"))


def test_no_rules_no_rounds(rig: Rig):
    rig.licence("north-1")
    made = Desk(rig, replace(SHIPPED_POLICIES, misuse=MisusePolicy(False, (), Brake(0, DAY), DAY)))
    assert made.round() == []
    assert rig.entries("rules.adopted") == []
