"""Register and withdraw authorities; lodge, withdraw and expire their overlays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from licd.core.errors import AlreadyExists, Conflict, Forbidden, IllegalTransition, Invalid, NotFound
from licd.core.model import LicenceStatus
from licd.core.overlay import Overlay, OverlayEffect, OverlayStatus, OverlayTerms, beyond_terms, widened_by
from licd.core.rights import overlay_licence
from licd.core.state import LicenceState
from licd.core.terms import Terms
from licd.core.time import Instant
from licd.keys.kinds import Kind
from licd.ledger import tables
from licd.ledger.records import Authority, AuthorityKind
from licd.ledger.rows import AUTHORITIES, CONTACTS, DEPLOYMENTS, LICENCES, OPERATORS, OVERLAYS
from licd.ledger.transaction import Transaction
from licd.ledger.verbs.licences import licences_of
from licd.v1.envelope_pb2 import Envelope
from licd.wire.overlay import overlay_payload

CODE: Final = "export_authority"
"""The reason code of orders that follow from an overlay; that of policies/suspension.toml for an authority's word."""


def known_authority(tx: Transaction, name: str) -> Authority:
    """One that may narrow rights now. Raises NotFound, IllegalTransition."""
    found = tx.get(AUTHORITIES, name)
    if found is None:
        raise NotFound(f"there is no authority {name}", field="authority")
    if found.withdrawn_at:
        raise IllegalTransition(f"authority {name} was withdrawn ({found.withdrawn_why})", field="authority")
    return found


@dataclass(frozen=True, slots=True)
class RegisterAuthority:
    """Lets somebody narrow rights from outside, by his key; gives one who is there a new key, also after withdrawal.

    Nobody else's key: whoever has an operator's or a system's could say for it what an authority has to say.
    """

    grants: ClassVar[bool] = True
    urgent: ClassVar[bool] = False

    authority: str
    name: str
    kind: AuthorityKind
    jurisdiction: str
    public_key: bytes
    key_id: str
    actor: str

    def run(self, tx: Transaction) -> Authority:
        self._refuse_anothers_key(tx)
        found = tx.get(AUTHORITIES, self.authority)
        made = Authority(
            id=self.authority,
            name=self.name,
            kind=self.kind,
            jurisdiction=self.jurisdiction,
            public_key=self.public_key,
            key_id=self.key_id,
            registered_at=tx.now,
            registered_by=self.actor,
            withdrawn_at=0,
            withdrawn_why="",
            version=found.version + 1 if found else 1,
        )
        tx.put(made)
        tx.log(
            "authority.registered",
            ("authority", made.id),
            ("actor", self.actor),
            ("name", made.name),
            ("ground", made.kind.value),
            ("jurisdiction", made.jurisdiction),
            ("key", made.public_key),
        )
        return made

    def _refuse_anothers_key(self, tx: Transaction) -> None:
        tx.flush()
        key = self.public_key
        for operator in OPERATORS.where(tx.connection, tables.operator.c.public_key == key):
            raise AlreadyExists(f"that is the signing key of operator {operator.id}", field="public_key")
        for system in DEPLOYMENTS.where(tx.connection, tables.deployment.c.system_key == key):
            raise AlreadyExists(f"that is the key of system {system.id}", field="public_key")
        for contact in CONTACTS.where(tx.connection, tables.contact.c.public_key == key):
            raise AlreadyExists(f"that is the key of contact {contact.id}", field="public_key")
        for other in AUTHORITIES.where(tx.connection, tables.authority.c.public_key == key):
            if other.id != self.authority:
                raise AlreadyExists(f"that is the key of authority {other.id}", field="public_key")


@dataclass(frozen=True, slots=True)
class WithdrawAuthority:
    """Takes its say back, and with it all that it permitted: what stands on it has no right any more."""

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = True

    authority: str
    detail: str
    actor: str

    def run(self, tx: Transaction) -> Authority:
        found = known_authority(tx, self.authority)
        withdrawn = replace(found, withdrawn_at=tx.now, withdrawn_why=self.detail, version=found.version + 1)
        tx.put(withdrawn)
        tx.log(
            "authority.withdrawn",
            ("authority", found.id),
            ("actor", self.actor),
            ("detail", self.detail),
            ("withdrawn_at", tx.now),
        )
        tx.flush()
        for overlay in OVERLAYS.where(tx.connection, tables.overlay.c.authority == found.id):
            if overlay.status in _BINDING:
                why = f"authority {found.id} was withdrawn: {self.detail}"
                _withdraw(tx, overlay, CODE, why, self.actor)
        return withdrawn


_BINDING: Final = (OverlayStatus.IN_FORCE, OverlayStatus.EXPIRED)


OWN: Final = "licd"
"""Whose overlays licd's own are: of late conditions, unsigned, lifted when they are met."""


def _refuse_own(authority: str) -> None:
    """What licd has narrowed by itself comes back by what it was narrowed for alone, not by somebody's ending it."""
    if authority == OWN:
        raise Forbidden("it is licd's own: it ends when its condition is met or waived", field="overlay")


def put_own_overlay(tx: Transaction, said: OverlayTerms, code: str, detail: str, actor: str) -> Overlay:
    """Puts an overlay of licd's own in force, or lifts it: its revision follows from what there is.

    One that permits nothing any more permits nothing under a further step either: that stays as it is.
    """
    before = tx.get(OVERLAYS, said.id)
    over = before is not None and before.status in (OverlayStatus.WITHDRAWN, OverlayStatus.EXPIRED)
    if before is not None and over and said.effect is OverlayEffect.PERMIT:
        return before
    said = replace(said, authority=OWN, revision=before.revision + 1 if before else 1)
    unsigned = Envelope(payload=overlay_payload(said), payload_type=Kind.OVERLAY.payload_type)
    overlay = LodgeOverlay(said, unsigned.SerializeToString(), "", may_widen=True, actor=actor).overlay(tx.now)
    states = list(_states_of(tx, said.customer))
    _put_lodged(tx, overlay, actor)
    _overlay_all(tx, states, overlay, code, detail, actor)
    return overlay


def _put_lodged(tx: Transaction, overlay: Overlay, actor: str) -> None:
    tx.put(overlay)
    tx.log(
        "overlay.lodged",
        ("overlay", overlay.id),
        ("authority", overlay.authority),
        ("customer", overlay.customer),
        ("actor", actor),
        ("revision", overlay.revision),
        ("status", overlay.status.value),
        ("ended_at", overlay.ended_at),
        ("token", overlay.token),
    )


@dataclass(frozen=True, slots=True)
class LodgeOverlay:
    """Takes what an authority has signed, whose signature was verified by the key of this id.

    may_widen: two persons have agreed that the licences may do more than under the revision before; never more than
    their terms.
    """

    said: OverlayTerms
    token: bytes
    key_id: str
    may_widen: bool
    actor: str

    @property
    def grants(self) -> bool:
        return self.may_widen

    @property
    def urgent(self) -> bool:
        return self.said.effect is OverlayEffect.WITHDRAW

    def run(self, tx: Transaction) -> Overlay:
        said = self.said
        _refuse_own(said.authority)
        if known_authority(tx, said.authority).key_id != self.key_id:
            raise Forbidden(f"authority {said.authority} has another key now", field="overlay")
        customer = tx.customer(said.customer)
        before = tx.get(OVERLAYS, said.id)
        refuse_out_of_turn(said, before)
        states = list(_states_of(tx, customer.id))
        self._refuse_wide(tx, states)
        overlay = self.overlay(tx.now)
        self._refuse_widening(states, overlay)
        _put_lodged(tx, overlay, self.actor)
        detail = f"revision {said.revision} of overlay {said.id} was lodged"
        _overlay_all(tx, states, overlay, CODE, detail, self.actor)
        return overlay

    def overlay(self, now: Instant) -> Overlay:
        """The overlay as it is once this is done."""
        return Overlay.of(self.said, token=self.token, at=now, by=self.actor)

    def _refuse_wide(self, tx: Transaction, states: list[LicenceState]) -> None:
        """An overlay about one licence is written against its terms: what goes beyond them is a try to widen."""
        if not self.said.licence:
            return
        named = tx.get(LICENCES, self.said.licence)
        if named is None or named.customer != self.said.customer:
            raise Invalid(
                f"overlay {self.said.id} is about licence {self.said.licence}, which is none of customer "
                f"{self.said.customer}",
                field="overlay.licence",
            )
        refuse_wide(self.said, named.terms)

    def _refuse_widening(self, states: list[LicenceState], overlay: Overlay) -> None:
        if self.may_widen:
            return
        standing = (state for state in states if state.licence.status is not LicenceStatus.TERMINATED)
        for state in standing:
            wider = widened_by(state.licence.terms, state.overlays.values(), overlay)
            if wider:
                raise Conflict(
                    f"revision {overlay.revision} of overlay {overlay.id} gives licence {state.licence.id} more "
                    f"{', '.join(wider)} by now than when it was asked for; ask again",
                    field="overlay",
                )


def refuse_out_of_turn(said: OverlayTerms, before: Overlay | None) -> None:
    """Raises AlreadyExists for what was lodged before, Invalid for what cannot follow what was."""
    if before is None:
        if said.effect is not OverlayEffect.PERMIT:
            raise Invalid(f"there is no overlay {said.id} to {said.effect.name.lower()}", field="overlay.effect")
        return
    if said.revision <= before.revision:
        raise AlreadyExists(
            f"overlay {said.id} is at revision {before.revision} ({before.status}); revision {said.revision} is not "
            "taken again",
            field="overlay.revision",
        )
    if said.customer != before.customer:
        raise Invalid(f"overlay {said.id} is about customer {before.customer}", field="overlay.customer")


def refuse_wide(said: OverlayTerms, terms: Terms) -> None:
    """Raises Invalid for an overlay about one licence that permits what the licence does not."""
    wide = beyond_terms(terms, said)
    if wide:
        raise Invalid(
            f"overlay {said.id} tries to widen licence {terms.licence} in {', '.join(wide)}; it can only narrow",
            field="overlay.constraints",
        )


@dataclass(frozen=True, slots=True)
class WithdrawOverlay:
    """Ends an overlay on its authority's word, however that came: from now on it permits nothing."""

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = True

    overlay: str
    code: str
    detail: str
    actor: str

    def run(self, tx: Transaction) -> Overlay:
        found = tx.get(OVERLAYS, self.overlay)
        if found is None:
            raise NotFound(f"there is no overlay {self.overlay}", field="overlay")
        _refuse_own(found.authority)
        if found.status not in _BINDING:
            raise IllegalTransition(f"overlay {self.overlay} was {found.status} already", field="overlay")
        return _withdraw(tx, found, self.code, self.detail, self.actor)


def _withdraw(tx: Transaction, overlay: Overlay, code: str, why: str, actor: str) -> Overlay:
    withdrawn = replace(overlay, status=OverlayStatus.WITHDRAWN, ended_at=tx.now, ended_why=why)
    tx.put(withdrawn)
    tx.log(
        "overlay.withdrawn",
        ("overlay", overlay.id),
        ("customer", overlay.customer),
        ("actor", actor),
        ("code", code),
        ("detail", why),
        ("ended_at", tx.now),
    )
    _overlay_all(tx, list(_states_of(tx, overlay.customer)), withdrawn, code, why, actor)
    return withdrawn


def _states_of(tx: Transaction, customer: str) -> Iterator[LicenceState]:
    """Every licence of a customer; any of his overlays may come to be about each."""
    for licence in licences_of(tx, customer):
        yield tx.state(licence.id)


def _overlay_all(
    tx: Transaction, states: list[LicenceState], overlay: Overlay, code: str, detail: str, actor: str
) -> None:
    for state in states:
        overlay_licence(state, tx.now, overlay=overlay, code=code, detail=detail, actor=actor)


def expire_overlays(tx: Transaction, at: Instant) -> int:
    """Writes down which overlays had run out by an instant. Returns how many."""
    in_force = OVERLAYS.where(tx.connection, tables.overlay.c.status == OverlayStatus.IN_FORCE.value)
    over = [each for each in in_force if each.terms.not_after <= at]
    for each in over:
        expired = replace(each, status=OverlayStatus.EXPIRED, ended_at=tx.now, ended_why="its time was over")
        tx.put(expired)
        tx.log("overlay.expired", ("overlay", each.id), ("customer", each.customer), ("ended_at", tx.now))
        for state in _states_of(tx, each.customer):
            state.put(expired)
    return len(over)
