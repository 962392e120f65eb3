"""What misuse rules have found becomes signals, and suspensions, in one transaction; and signals are acknowledged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

from sqlalchemy import func, select

from licd.core.case import ENDED
from licd.core.errors import Conflict, NotFound
from licd.core.misuse import Brake, Done, Finding, Outcome, Rule, Subject, is_braked, is_news
from licd.core.model import Licence, LicenceStatus
from licd.core.time import Instant, Millis
from licd.ledger import signal_tables
from licd.ledger.database import Statement
from licd.ledger.records import RulesAsked, Signal
from licd.ledger.rows import CASES, LICENCES, LOG_ENTRIES, RULES_ASKED, SIGNALS
from licd.ledger.transaction import Transaction
from licd.ledger.verbs.cases import OpenCase, Steps
from licd.ledger.verbs.licences import SuspendLicence, SuspensionScope, licences_of
from licd.v1 import signal_pb2 as pb

ASKED_ID: Final = 1


def principal(rule: str) -> str:
    """Who suspends when a rule does."""
    return f"rule/{rule}"


@dataclass(frozen=True, slots=True)
class AdoptRules:
    """From now on the rules of this policy are asked: from the last tick that others were asked at, or from `since`."""

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = False

    policy_version: str
    rules: Sequence[str]
    since: Instant

    def run(self, tx: Transaction) -> RulesAsked:
        tx.refuse_behind()
        tx.refuse_full()
        asked = tx.get(RULES_ASKED, ASKED_ID)
        if asked is not None and asked.policy_version == self.policy_version:
            return asked
        adopted = RulesAsked(ASKED_ID, asked.until if asked else self.since, self.policy_version)
        tx.put(adopted)
        tx.log(
            "rules.adopted",
            ("policy", self.policy_version),
            ("rules", ",".join(self.rules)),
            ("since", adopted.until),
        )
        return adopted


@dataclass(frozen=True, slots=True)
class RaiseSignals:
    """Makes signals of what rules found at the ticks up to until, unless somebody has done so already.

    Everybody who asks the same rules of the same log finds the same, so the first one's findings are as good as any
    other's. What a rule suspends is suspended here: no crash comes between a signal and what follows from it.
    """

    grants: ClassVar[bool] = False

    findings: Sequence[Finding]
    until: Instant
    policy_version: str
    brake: Brake
    acknowledge: Millis
    steps: Steps
    acknowledge_case: Millis

    @property
    def urgent(self) -> bool:
        """Whether it stops somebody."""
        return any(each.rule.outcome is Outcome.SUSPEND for each in self.findings)

    def run(self, tx: Transaction) -> list[Signal]:
        """Raises Conflict when other rules were adopted meanwhile."""
        tx.refuse_behind()
        if not self.urgent:
            tx.refuse_full()
        asked = tx.get(RULES_ASKED, ASKED_ID)
        if asked is None or asked.policy_version != self.policy_version:
            raise Conflict("the rules of another policy were adopted", field="policy_version")
        if asked.until >= self.until:
            return []
        tx.put(replace(asked, until=self.until))
        tx.flush()
        round_ = _Round(tx, self)
        new = [each for each in self.findings if asked.until < each.tick <= self.until]
        return [signal for finding in new for signal in round_.raised(finding)]


@dataclass(frozen=True, slots=True)
class _Follows:
    """What came of a signal: the suspension or the case if there is one, and how many licences it stopped."""

    done: Done
    suspension: str = ""
    case: str = ""
    licences: int = 0


class _Round:
    """One transaction's signals, as they follow from one another."""

    def __init__(self, tx: Transaction, asked: RaiseSignals) -> None:
        self._tx: Final = tx
        self._asked: Final = asked
        self._brake: Final = asked.brake
        self._policy_version: Final = asked.policy_version
        self._raised: Final[list[Signal]] = []

    def raised(self, finding: Finding) -> Iterator[Signal]:
        """The signal, if it is news. Ids are in the order in which signals are raised: lists go by it."""
        if not is_news(finding, self._last(finding)):
            return
        identifier = f"G-{self._tx.now:012x}{len(self._raised):04x}{self._tx.random(4).hex()}"
        follows = self._follow(finding, identifier)
        signal = Signal(
            id=identifier,
            rule=finding.rule.name,
            subject=finding.subject,
            licence=finding.licence,
            done=follows.done.value,
            tick=finding.tick,
            licences=follows.licences,
            suspension=follows.suspension,
            case=follows.case,
            raised_at=self._tx.now,
            due_at=self._tx.now + self._asked.acknowledge,
            body=self._body(finding).SerializeToString(deterministic=True),
            acknowledged_by="",
            acknowledged_at=0,
            note="",
        )
        self._tx.put(signal)
        self._log(signal, finding)
        self._raised.append(signal)
        yield signal

    def _last(self, finding: Finding) -> Instant:
        column = signal_tables.signal.c
        same = (column.rule == finding.rule.name, column.subject == finding.subject)
        before = self._number(select(func.max(column.tick)).where(*same))
        here = [each.tick for each in self._raised if (each.rule, each.subject) == (finding.rule.name, finding.subject)]
        return max([before, *here])

    def _number(self, clause: Any) -> int:
        statement = Statement(clause, self._tx.connection.dialect)
        return int(self._tx.connection.execute(statement.text, statement.arguments({}))[0][0] or 0)

    def _follow(self, finding: Finding, signal: str) -> _Follows:
        match finding.rule.outcome:
            case Outcome.ALERT:
                return _Follows(Done.ALERTED)
            case Outcome.CASE:
                return self._open_case(finding, signal)
            case Outcome.SUSPEND:
                return self._suspend(finding, signal)

    def _open_case(self, finding: Finding, signal: str) -> _Follows:
        """One case for a rule and whom it is about, until that is over."""
        meant = self._meant(finding)
        if not meant:
            return _Follows(Done.STANDS)
        rule, code = finding.rule, principal(finding.rule.name)
        column = signal_tables.case_file.c
        same = (column.customer == meant[0].customer, column.licence == finding.licence, column.code == code)
        before = [each.id for each in CASES.where(self._tx.connection, *same) if each.state not in ENDED]
        before += [each.case for each in self._raised if each.rule == rule.name and each.licence == finding.licence]
        if before:
            return _Follows(Done.STANDS, case=before[0])
        words = f"{rule.description} (rule {rule.name}, signal {signal})"
        steps, time = self._asked.steps, self._asked.acknowledge_case
        opening = OpenCase(meant[0].customer, finding.licence, code, words, "", steps, time, code)
        made = replace(opening.run(self._tx), signal=signal)
        self._tx.put(made)
        return _Follows(Done.CASE_OPENED, case=made.id)

    def _suspend(self, finding: Finding, signal: str) -> _Follows:
        hit = [each for each in self._meant(finding) if _can_be_stopped(each, finding.rule)]
        if not hit:
            return _Follows(Done.STANDS)
        if is_braked(self._brake, self._suspended_since(finding.tick - self._brake.period), len(hit)):
            return _Follows(Done.BRAKED)
        is_customer = finding.rule.subject is Subject.CUSTOMER
        scope = SuspensionScope(customer=finding.subject) if is_customer else SuspensionScope(licence=finding.licence)
        rule = finding.rule
        # The customer is told what for, and not how much of it would have gone unnoticed.
        words = f"{rule.description} (rule {rule.name}, signal {signal})"
        suspended = SuspendLicence(scope, rule.code, words, principal(rule.name)).run(self._tx)
        return _Follows(Done.SUSPENDED, suspended.suspension, licences=len(hit))

    def _meant(self, finding: Finding) -> list[Licence]:
        if finding.rule.subject is Subject.CUSTOMER:
            return [self._tx.state(each.id).licence for each in licences_of(self._tx, finding.subject)]
        # One that was lost in a restore is in the log and nowhere else.
        known = self._tx.get(LICENCES, finding.licence) is not None
        return [self._tx.state(finding.licence).licence] if known else []

    def _suspended_since(self, since: Instant) -> int:
        column = signal_tables.signal.c
        before = self._number(select(func.sum(column.licences)).where(column.tick > since))
        return before + sum(each.licences for each in self._raised if each.tick > since)

    def _body(self, finding: Finding) -> pb.Signal:
        rule = finding.rule
        found = [(index, LOG_ENTRIES.get(self._tx.connection, index)) for index in finding.evidence]
        return pb.Signal(
            rule=rule.name,
            policy_version=self._policy_version,
            subject_kind=rule.subject.value,
            subject=finding.subject,
            licence=finding.licence,
            outcome=rule.outcome.value,
            code=rule.code,
            window_end_ms=finding.tick,
            window_ms=rule.window,
            facts=[pb.SignalFact(name=name, value=value) for name, value in finding.facts],
            evidence=[pb.SignalEvidence(index=index, leaf_hash=line.leaf_hash) for index, line in found if line],
            log_size=finding.size,
            description=rule.description,
            condition=rule.when,
        )

    def _log(self, signal: Signal, finding: Finding) -> None:
        self._tx.log(
            "signal.raised",
            ("signal", signal.id),
            ("licence", signal.licence),
            ("rule", signal.rule),
            ("policy", self._policy_version),
            ("subject_kind", finding.rule.subject.value),
            ("subject", signal.subject),
            ("window_end", signal.tick),
            ("outcome", finding.rule.outcome.value),
            ("done", signal.done),
            ("suspension", signal.suspension),
            ("case", signal.case),
            ("body", signal.body),
        )


def _can_be_stopped(licence: Licence, rule: Rule) -> bool:
    """Not what has ended, what was never in force, and what is stopped for this reason already."""
    if licence.status in (LicenceStatus.TERMINATED, LicenceStatus.DRAFT):
        return False
    return licence.status is not LicenceStatus.SUSPENDED or licence.suspension_code != rule.code


@dataclass(frozen=True, slots=True)
class AcknowledgeSignal:
    """Somebody has seen a signal, and says what he makes of it."""

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = False

    signal: str
    note: str
    actor: str

    def run(self, tx: Transaction) -> Signal:
        tx.refuse_behind()
        tx.refuse_full()
        found = tx.get(SIGNALS, self.signal)
        if found is None:
            raise NotFound(f"there is no signal {self.signal}", field="signal")
        if found.acknowledged_at:
            raise Conflict(f"{self.signal} was acknowledged by {found.acknowledged_by}", field="signal")
        seen = replace(found, acknowledged_by=self.actor, acknowledged_at=tx.now, note=self.note)
        tx.put(seen)
        tx.log(
            "signal.acknowledged",
            ("signal", found.id),
            ("licence", found.licence),
            ("actor", self.actor),
            ("note", self.note),
        )
        return seen
