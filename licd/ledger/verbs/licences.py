"""Issue, amend, suspend, terminate."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from sqlalchemy import Select, bindparam

from licd.core.errors import AlreadyExists, Conflict, IllegalTransition, Invalid, NotFound
from licd.core.model import Customer, Licence, LicenceStatus
from licd.core.rights import amend_licence, drill_licence, suspend_licence, terminate_licence
from licd.core.state import LicenceState
from licd.core.terms import (
    GRACE_CEILING,
    PERMIT_CEILING,
    Terms,
    TermsInvalid,
    check_terms,
    rights_of,
    widened_terms,
)
from licd.core.time import Instant
from licd.keys.envelope import seal
from licd.keys.kinds import Kind
from licd.ledger import tables
from licd.ledger.load import overlays_of
from licd.ledger.records import Suspension, SuspensionSystem
from licd.ledger.rows import CUSTOMERS, LICENCES, LOG_ENTRIES
from licd.ledger.standing import refuse_at_gate
from licd.ledger.transaction import Transaction
from licd.wire.terms import terms_payload


def _checked(terms: Terms) -> None:
    try:
        check_terms(terms)
        rights_of(terms)
    except TermsInvalid as error:
        raise Invalid(error.problem, field=f"terms.{error.field}") from error


def sealed_terms(tx: Transaction, terms: Terms) -> bytes:
    """The token of these terms, by the key that signs licences now. Raises SigningHeld."""
    return seal(Kind.LICENCE, terms_payload(terms), tx.installation.licence_signer()).SerializeToString()


@dataclass(frozen=True, slots=True)
class IssueLicence:
    """Makes a licence of terms whose issuer, revision and issue time are filled in here."""

    grants: ClassVar[bool] = True
    urgent: ClassVar[bool] = False

    terms: Terms
    actor: str

    def run(self, tx: Transaction) -> Licence:
        identifier = self.terms.licence
        if tx.get(LICENCES, identifier) is not None:
            raise AlreadyExists(f"there is a licence {identifier} already", field="licence")
        if _was_lost(tx, identifier):
            raise AlreadyExists(f"licence {identifier} was lost in a restore; take another name", field="licence")
        customer = tx.customer(self.terms.customer)
        if customer.banned:
            raise IllegalTransition(f"customer {customer.id} is banned", field="customer")
        terms = replace(self.terms, issuer=tx.installation.trust_domain, revision=1, issued_at=tx.now)
        _checked(terms)
        assessment = refuse_at_gate(tx, "issued", terms)
        licence = Licence(
            id=identifier,
            customer=customer.id,
            lineage=terms.lineage,
            status=LicenceStatus.ACTIVE,
            epoch=1,
            version=1,
            token=sealed_terms(tx, terms),
            terms=terms,
            issued_at=tx.now,
            suspended_at=0,
            suspension="",
            suspension_code="",
            suspension_detail="",
        )
        tx.flush()
        overlays = overlays_of(tx.connection, customer.id)
        state = LicenceState(licence, banned=False, timing=tx.installation.timing, overlays=overlays)
        tx.adopt(state)
        state.put(licence)
        state.record(
            "licence.issued",
            ("customer", customer.id),
            ("actor", self.actor),
            ("category", terms.category),
            ("product", terms.product),
            ("policy", terms.policy_version),
            ("token", licence.token),
            *([("assessment", assessment.id)] if assessment else []),
        )
        return licence


def _was_lost(tx: Transaction, identifier: str) -> bool:
    column = tables.log_entry.c
    return bool(LOG_ENTRIES.where(tx.connection, column.kind == "licence.lost", column.licence == identifier))


@dataclass(frozen=True, slots=True)
class AmendLicence:
    """Puts changed terms in force, if the licence is still at the version the caller saw."""

    grants: ClassVar[bool] = True
    urgent: ClassVar[bool] = False

    licence: str
    version: int
    terms: Terms
    code: str
    detail: str
    actor: str
    verb: Literal["amended", "renewed"]

    def run(self, tx: Transaction) -> Licence:
        state = tx.state(self.licence)
        if state.licence.version != self.version:
            raise Conflict(f"the licence is at version {state.licence.version}, not {self.version}", field="version")
        old = state.licence.terms
        terms = replace(
            self.terms,
            licence=old.licence,
            customer=old.customer,
            lineage=old.lineage,
            issuer=tx.installation.trust_domain,
            revision=old.revision + 1,
            issued_at=tx.now,
        )
        _checked(terms)
        self._pass_gate(tx, old, terms)
        token = sealed_terms(tx, terms)
        amend_licence(
            state,
            tx.now,
            terms=terms,
            token=token,
            code=self.code,
            detail=self.detail,
            actor=self.actor,
            verb=self.verb,
        )
        return state.licence

    def _pass_gate(self, tx: Transaction, old: Terms, terms: Terms) -> None:
        """What only narrows is never held up."""
        if self.verb == "renewed":
            refuse_at_gate(tx, "renewed", terms, self.licence)
        elif widened_terms(old, terms):
            refuse_at_gate(tx, "widened", terms, self.licence)


@dataclass(frozen=True, slots=True)
class SuspensionScope:
    """One licence, all of a customer, or all: exactly one is set."""

    licence: str = ""
    customer: str = ""
    everything: bool = False

    def words(self) -> str:
        """The scope for logs and messages."""
        if self.licence:
            return f"licence/{self.licence}"
        return f"customer/{self.customer}" if self.customer else "all"


@dataclass(frozen=True, slots=True)
class Suspended:
    """One act of suspending, and the licences as they now are."""

    suspension: str
    decided_at: Instant
    licences: tuple[Licence, ...]


@dataclass(frozen=True, slots=True)
class SuspendLicence:
    """Stops every licence in scope, in one transaction; what is suspended already, once more for this reason.

    A scope that is wider than one licence is also said of the customers: what somebody agreed to give them before is
    to be looked at again.
    """

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = True

    scope: SuspensionScope
    code: str
    detail: str
    actor: str

    def run(self, tx: Transaction) -> Suspended:
        licences = scoped_licences(tx, self.scope)
        if not licences:
            raise NotFound(f"nothing to suspend in {self.scope.words()}", field="scope")
        suspension = Suspension(
            f"S-{tx.random(8).hex()}", tx.now, self.actor, self.code, self.detail, self.scope.words()
        )
        tx.put(suspension)
        for customer in self._customers(tx):
            tx.put(replace(customer, version=customer.version + 1))
        changed = tuple(self._suspend(tx, tx.state(each), suspension.id) for each in licences)
        return Suspended(suspension.id, tx.now, changed)

    def _customers(self, tx: Transaction) -> list[Customer]:
        if self.scope.customer:
            return [tx.customer(self.scope.customer)]
        if self.scope.licence:
            return []
        tx.flush()
        return CUSTOMERS.find(tx.connection, "all", CUSTOMERS.select)

    def _suspend(self, tx: Transaction, state: LicenceState, suspension: str) -> Licence:
        """While licd is behind, permits may be out that its rows do not hold, under terms that they do not hold."""
        lost_until = longest_use(tx.installation.silent_since or tx.now, state) if tx.behind() else 0
        if self.scope.licence or state.licence.status is not LicenceStatus.TERMINATED:
            suspend_licence(state, tx.now, suspension=suspension, code=self.code, detail=self.detail, actor=self.actor)
        for system in hit_systems(state, suspension, lost_until):
            tx.put(system)
        return state.licence


def scoped_licences(tx: Transaction, scope: SuspensionScope) -> list[str]:
    """The licences a suspension of this scope hits. Raises NotFound for an unknown licence or customer."""
    if scope.licence:
        return [tx.state(scope.licence).licence.id]
    if scope.customer:
        tx.customer(scope.customer)
        found = licences_of(tx, scope.customer)
    else:
        tx.flush()
        found = LICENCES.find(tx.connection, "all", LICENCES.select)
    return [licence.id for licence in found if licence.status is not LicenceStatus.TERMINATED]


def licences_of(tx: Transaction, customer: str) -> list[Licence]:
    """Every licence of a customer, tombstones included, as earlier commands have left them."""
    tx.flush()
    return LICENCES.find(tx.connection, "of_customer", _of_customer, customer=customer)


def _of_customer() -> Select[Any]:
    return LICENCES.select(tables.licence.c.customer == bindparam("customer"))


def longest_use(granted_at: Instant, state: LicenceState) -> Instant:
    """Until when a permit decided then may be acted on, whatever length and grace the licence had: they are lost."""
    return granted_at + PERMIT_CEILING + GRACE_CEILING + state.epsilon


def hit_systems(state: LicenceState, suspension: str, lost_until: Instant = 0) -> Iterable[SuspensionSystem]:
    """Each enrolled system of the licence, and when its last permit runs out; lost_until for permits that are lost."""
    for deployment in state.deployments.values():
        if not deployment.enrolled_at:
            continue
        held = state.seats.of(deployment.id).values()
        cooling = [lease for lease in state.seats.cooling.values() if lease.deployment == deployment.id]
        # A regained seat is free when the permits of the lease before have run out too: they bound its holder as well.
        free = [*map(state.free_at, held), *(lease.free_at for lease in cooling)]
        bound = max([*free, lost_until], default=0)
        yield SuspensionSystem(suspension, deployment.id, state.licence.id, state.licence.epoch, bound, len(held))


@dataclass(frozen=True, slots=True)
class TerminateLicence:
    """Ends a licence for good."""

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = True

    licence: str
    code: str
    detail: str
    actor: str

    def run(self, tx: Transaction) -> Licence:
        state = tx.state(self.licence)
        terminate_licence(state, tx.now, code=self.code, detail=self.detail, actor=self.actor)
        return state.licence


@dataclass(frozen=True, slots=True)
class DrillLicence:
    """Orders nothing, for every system of a licence to acknowledge."""

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = False

    licence: str
    actor: str

    def run(self, tx: Transaction) -> Licence:
        tx.refuse_behind()
        tx.refuse_full()
        state = tx.state(self.licence)
        drill_licence(state, tx.now, actor=self.actor)
        return state.licence
