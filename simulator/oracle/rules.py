"""What may be said of one permit by itself: its term, its hard ends, its place in the order of stops, its scope."""

from __future__ import annotations

from collections.abc import Iterator

from licd.v1 import session_pb2
from simulator.oracle.facts import STOPPING, Figures, Grant, Listed, Order, Permit, Rule, Violation
from simulator.oracle.record import Record
from simulator.oracle.scope import fault_of_length, faults
from simulator.oracle.terms import Terms

SENT_TOLERANCE = 100
"""How far wall and boot clock may drift apart in one run, milliseconds."""


class Rights:
    """The record by what rights derive from: leases by number, terms and orders by licence."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.grants: dict[int, Grant] = {}
        for permit in record.permits.values():
            for grant in permit.grants:
                known = self.grants.get(grant.lease)
                if known is None or known.existing:
                    self.grants[grant.lease] = grant

    def terms(self, permit: Permit) -> Terms | None:
        """The terms that a permit stands under."""
        return self.record.terms[permit.licence].get(permit.revision)

    def terms_at(self, licence: str, instant: int) -> Terms | None:
        """The newest terms issued by then."""
        issued = [each for each in self.record.terms[licence].values() if each.issued_at <= instant]
        return max(issued, key=lambda each: each.revision, default=None)

    def orders(self, licence: str) -> list[Order]:
        """The directives of a licence, in the order of their epochs."""
        return [order for _, order in sorted(self.record.orders[licence].items())]


def judge_permits(rights: Rights, figures: Figures) -> Iterator[Violation]:
    """Everything that is wrong with a permit whoever else may hold one."""
    for permit in rights.record.permits.values():
        terms = rights.terms(permit)
        yield from _stale(permit)
        yield from _stopped(rights, permit)
        if terms is None:
            yield _wrong(Rule.UNKNOWN_TERMS, permit, f"revision {permit.revision}")
            continue
        yield from _out_of_term(rights, permit, terms)
        yield from _out_of_place(permit, terms, figures)
        for lease, listed in permit.leases.items():
            yield from _too_long(rights, permit, terms, lease, listed)
            yield from _out_of_scope(rights, permit, terms, lease)


def _wrong(rule: Rule, permit: Permit, detail: str, lease: int | None = None) -> Violation:
    return Violation(rule, permit.licence, permit.system, detail, permit.digest, lease)


def _stale(permit: Permit) -> Iterator[Violation]:
    if permit.decided < permit.sent_at - SENT_TOLERANCE:
        yield _wrong(Rule.STALE, permit, f"decided {permit.decided}, first sent {permit.sent_at}")


def _out_of_term(rights: Rights, permit: Permit, terms: Terms) -> Iterator[Violation]:
    if not terms.begins <= permit.decided < terms.ends:
        yield _wrong(Rule.TERM, permit, f"decided {permit.decided}, term [{terms.begins}, {terms.ends})")
    if permit.decided < terms.issued_at:
        yield _wrong(Rule.TERM, permit, f"decided {permit.decided}, terms issued {terms.issued_at}")
    newer = rights.record.terms[permit.licence].get(permit.revision + 1)
    if newer is not None and permit.decided > newer.issued_at:
        yield _wrong(Rule.TERM, permit, f"revision {permit.revision} after {newer.revision} was issued")


def _too_long(rights: Rights, permit: Permit, terms: Terms, lease: int, listed: Listed) -> Iterator[Violation]:
    """Whether hard end <= min(decided + L + min(G, age), not_after, authorisation end); a unary permit has no grace."""
    grant = rights.grants.get(lease)
    age = max(0, permit.decided - grant.granted_at) if grant else terms.grace
    grace = 0 if permit.unary else min(terms.grace, age)
    latest = min(permit.decided + terms.length + grace, terms.ends)
    if grant and grant.ask.authorisation_end:
        latest = min(latest, grant.ask.authorisation_end)
    if listed.hard_end > latest:
        yield _wrong(Rule.HARD_END, permit, f"ends {listed.hard_end}, at the latest {latest}", lease)


def _stopped(rights: Rights, permit: Permit) -> Iterator[Violation]:
    """Epochs order stops and permits; time only has to agree with them."""
    stopped = False
    for order in rights.orders(permit.licence):
        later = order.epoch > permit.epoch
        if later and order.decided >= permit.decided:
            break
        if order.kind in STOPPING:
            stopped = True
        elif order.kind == session_pb2.DIRECTIVE_KIND_REINSTATE:
            stopped = stopped and later
        elif order.kind == session_pb2.DIRECTIVE_KIND_REVOKE and order.system == permit.system:
            yield _wrong(Rule.REVOKED, permit, f"decided {permit.decided}, withdrawn {order.decided}")
        elif order.kind == session_pb2.DIRECTIVE_KIND_FORCE_RELEASE:
            for lease in sorted(order.leases & permit.leases.keys()):
                yield _wrong(Rule.FORCE_RELEASED, permit, f"lease {lease}, released {order.decided}", lease)
    if stopped:
        yield _wrong(Rule.STOPPED, permit, f"decided {permit.decided} in epoch {permit.epoch}")


def _out_of_scope(rights: Rights, permit: Permit, terms: Terms, lease: int) -> Iterator[Violation]:
    grant = rights.grants.get(lease)
    if grant is None:
        return
    for rule, detail in faults(grant.ask, terms, permit.decided):
        yield _wrong(rule, permit, detail, lease)
    here = next((each for each in permit.grants if each.lease == lease), None)
    if here is None:
        return
    if here.region not in {region for region, _ in here.ask.claims}:
        yield _wrong(Rule.REGION, permit, f"granted for {here.region}, which was not claimed", lease)
    if (here.purpose, here.target) != (here.ask.purpose, here.ask.target):
        yield _wrong(Rule.PURPOSE, permit, "granted for another purpose or target than was asked for", lease)
    too_long = fault_of_length(here.ask, terms, permit.decided)
    if too_long and not here.existing:
        yield _wrong(Rule.AUTHORISATION, permit, too_long, lease)


def _out_of_place(permit: Permit, terms: Terms, figures: Figures) -> Iterator[Violation]:
    if not terms.permits_deployment(permit.place):
        yield _wrong(Rule.PLACE, permit, f"a system in {permit.place or 'no region'}")
    if not terms.permits_address(figures.address):
        yield _wrong(Rule.PLACE, permit, f"a system at {figures.address}")
