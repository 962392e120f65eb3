"""Open, move, determine and reopen cases; do their steps, or refuse them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from licd.core.case import (
    ENDED,
    WORKING,
    Case,
    CaseState,
    CaseStep,
    Determination,
    StepState,
    refuse_move,
    refuse_undecided,
)
from licd.core.errors import Conflict, IllegalTransition, Invalid, NotFound
from licd.core.time import Millis
from licd.ledger import signal_tables
from licd.ledger.database import Connection
from licd.ledger.rows import CASE_STEPS, CASES, SIGNALS
from licd.ledger.transaction import Transaction
from licd.ledger.verbs.conditions import AddCondition
from licd.ledger.verbs.diligence import fresh_id
from licd.ledger.verbs.licences import AmendLicence, TerminateLicence

Steps = Sequence[tuple[str, bool]]
"""Names, and whether each is mandatory."""


def case_of(tx: Transaction, identifier: str) -> Case:
    """Raises NotFound."""
    found = tx.get(CASES, identifier)
    if found is None:
        raise NotFound(f"there is no case {identifier}", field="case")
    return found


def steps_of(connection: Connection, case: Case) -> list[CaseStep]:
    """The steps of its present round, by name."""
    column = signal_tables.case_step.c
    return CASE_STEPS.where(connection, column.case == case.id, column.round == case.round)


def _steps(tx: Transaction, case: Case) -> list[CaseStep]:
    tx.flush()
    return steps_of(tx.connection, case)


def _begin_round(tx: Transaction, case: Case, steps: Steps) -> None:
    for name, mandatory in steps:
        tx.put(CaseStep(case.id, case.round, name, mandatory, StepState.PENDING, "", "", "", 0))


@dataclass(frozen=True, slots=True)
class OpenCase:
    """Takes a suspicion in. A signal says about whom; a licence must be the customer's."""

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = False

    customer: str
    licence: str
    code: str
    summary: str
    signal: str
    steps: Steps
    acknowledge: Millis
    actor: str

    def run(self, tx: Transaction) -> Case:
        tx.refuse_behind()
        tx.refuse_full()
        customer, licence = self._about(tx)
        made = Case(
            id=fresh_id(tx, "C"),
            customer=customer,
            licence=licence,
            code=self.code,
            summary=self.summary,
            signal=self.signal,
            state=CaseState.RECEIVED,
            state_since=tx.now,
            opened_at=tx.now,
            opened_by=self.actor,
            acknowledge_by=tx.now + self.acknowledge,
            round=1,
            version=1,
            determination="",
            reasons="",
            determined_at=0,
            remedies="",
        )
        tx.put(made)
        _begin_round(tx, made, self.steps)
        tx.log(
            "case.opened",
            ("case", made.id),
            ("customer", customer),
            ("licence", licence),
            ("actor", self.actor),
            ("code", self.code),
            ("summary", self.summary),
            ("signal", self.signal),
            ("steps", ",".join(name for name, mandatory in self.steps if mandatory)),
        )
        return made

    def _about(self, tx: Transaction) -> tuple[str, str]:
        customer, licence = self.customer, self.licence
        if self.signal:
            signal = tx.get(SIGNALS, self.signal)
            if signal is None:
                raise NotFound(f"there is no signal {self.signal}", field="signal")
            licence = licence or signal.licence
            customer = customer or ("" if licence else signal.subject)
        if licence:
            owner = tx.state(licence).licence.customer
            if customer and customer != owner:
                raise Invalid(f"licence {licence} is {owner}'s, not {customer}'s", field="licence")
            return owner, licence
        if not customer:
            raise Invalid("say about whom: a customer, a licence or a signal about one", field="customer")
        return tx.customer(customer).id, ""


@dataclass(frozen=True, slots=True)
class MoveCase:
    """Takes a case on. Into determination only when every mandatory step is decided; out of it by DetermineCase."""

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = False

    case: str
    to: CaseState
    note: str
    actor: str

    def run(self, tx: Transaction) -> Case:
        tx.refuse_behind()
        tx.refuse_full()
        found = case_of(tx, self.case)
        refuse_move(found, self.to, _steps(tx, found))
        moved = replace(found, state=self.to, state_since=tx.now, version=found.version + 1)
        tx.put(moved)
        tx.log(
            "case.moved",
            *_about(moved, self.actor),
            ("from", found.state.value),
            ("to", self.to.value),
            ("note", self.note),
        )
        return moved


@dataclass(frozen=True, slots=True)
class DecideStep:
    """Records that a step is done, by the hash of what shows it, or refused, with a reason."""

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = False

    case: str
    step: str
    state: StepState
    evidence: str
    note: str
    actor: str

    def run(self, tx: Transaction) -> Case:
        tx.refuse_behind()
        tx.refuse_full()
        found = case_of(tx, self.case)
        if found.state not in WORKING:
            raise IllegalTransition(f"case {found.id} is in {found.state}: no steps are taken there", field="case")
        step = tx.get(CASE_STEPS, found.id, found.round, self.step)
        if step is None:
            raise NotFound(f"{self.step} is no step of case {found.id}", field="step")
        if step.state is not StepState.PENDING:
            raise Conflict(f"{self.step} of {found.id} is {step.state} since {step.actor} said so", field="step")
        tx.put(
            replace(
                step,
                state=self.state,
                evidence=self.evidence,
                note=self.note,
                actor=self.actor,
                decided_at=tx.now,
            )
        )
        changed = replace(found, version=found.version + 1)
        tx.put(changed)
        if self.state is StepState.DONE:
            fields = (("step", self.step), ("evidence", bytes.fromhex(self.evidence)), ("note", self.note))
            tx.log("case.step-completed", *_about(changed, self.actor), *fields)
        else:
            tx.log("case.step-refused", *_about(changed, self.actor), ("step", self.step), ("reason", self.note))
        return changed


@dataclass(frozen=True, slots=True)
class Remedy:
    """What is done to one licence: it is ended, its terms are amended, or its customer owes something more."""

    name: str
    command: TerminateLicence | AmendLicence | AddCondition


@dataclass(frozen=True, slots=True)
class DetermineCase:
    """Finds what was the case and does what follows from it, in one transaction: all of it or nothing."""

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = False

    case: str
    determination: Determination
    reasons: str
    remedies: Sequence[Remedy]
    actor: str

    def run(self, tx: Transaction) -> Case:
        tx.refuse_behind()
        tx.refuse_full()
        found = case_of(tx, self.case)
        if found.state is not CaseState.DETERMINATION:
            raise IllegalTransition(f"case {found.id} is in {found.state}, not in determination", field="case")
        refuse_undecided(found, _steps(tx, found))
        for remedy in self.remedies:
            self._refuse_foreign(tx, found, remedy)
            remedy.command.run(tx)
        told = ",".join(f"{each.name}:{each.command.licence}" for each in self.remedies)
        determined = replace(
            found,
            state=CaseState.REMEDIES,
            state_since=tx.now,
            version=found.version + 1,
            determination=self.determination.value,
            reasons=self.reasons,
            determined_at=tx.now,
            remedies=told,
        )
        tx.put(determined)
        tx.log(
            "case.determined",
            *_about(determined, self.actor),
            ("determination", self.determination.value),
            ("reasons", self.reasons),
            ("remedies", told),
            ("round", found.round),
        )
        return determined

    def _refuse_foreign(self, tx: Transaction, case: Case, remedy: Remedy) -> None:
        licence = tx.state(remedy.command.licence).licence
        if licence.customer != case.customer or case.licence not in ("", licence.id):
            raise Invalid(f"case {case.id} is not about licence {licence.id}", field="remedies")


@dataclass(frozen=True, slots=True)
class ReopenCase:
    """Begins a new round of a case that was closed or stopped. What was determined stays on record and in force."""

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = False

    case: str
    reason: str
    steps: Steps
    actor: str

    def run(self, tx: Transaction) -> Case:
        tx.refuse_behind()
        tx.refuse_full()
        found = case_of(tx, self.case)
        if found.state not in ENDED:
            raise IllegalTransition(f"case {found.id} is in {found.state}; it is not over", field="case")
        again = replace(
            found,
            state=CaseState.INVESTIGATION,
            state_since=tx.now,
            round=found.round + 1,
            version=found.version + 1,
        )
        tx.put(again)
        _begin_round(tx, again, self.steps)
        tx.log("case.reopened", *_about(again, self.actor), ("round", again.round), ("reason", self.reason))
        return again


def _about(case: Case, actor: str) -> tuple[tuple[str, str], ...]:
    """The fields that every entry about a case begins with."""
    return (("case", case.id), ("customer", case.customer), ("licence", case.licence), ("actor", actor))
