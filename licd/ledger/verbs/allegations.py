"""File allegations, acknowledge and answer them, write to and fro, open cases from them, look at who reported.

Filing looks at nothing but what it writes: whoever and whatever an allegation names, the same work is done.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256
from typing import ClassVar, Final

from licd.core.allegation import (
    MESSAGES_MOST,
    Allegation,
    AllegationCase,
    AllegationMessage,
    AllegationState,
    Deadlines,
    Disclosure,
    NumberKey,
    ReporterIdentity,
    Side,
    refuse_acknowledged,
    refuse_answer,
)
from licd.core.case import Case
from licd.core.errors import Conflict, Forbidden, IllegalTransition, NotFound
from licd.core.time import Millis
from licd.ledger.rows import ALLEGATION_CASES, ALLEGATIONS, DISCLOSURES, NUMBER_KEYS, REPORTER_IDENTITIES
from licd.ledger.transaction import Transaction
from licd.ledger.verbs.cases import OpenCase, case_of
from licd.ledger.verbs.diligence import fresh_id

THE_KEY: Final = 1


def allegation_of(tx: Transaction, identifier: str) -> Allegation:
    """Raises NotFound."""
    found = tx.get(ALLEGATIONS, identifier)
    if found is None:
        raise NotFound(f"there is no allegation {identifier}", field="allegation")
    return found


@dataclass(frozen=True, slots=True)
class CommitNumberKey:
    """Commits to the key that numbers are blinded with, before the first of them. Raises Conflict for another key."""

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = False

    commitment: bytes

    def run(self, tx: Transaction) -> NumberKey:
        tx.refuse_behind()
        known = tx.get(NUMBER_KEYS, THE_KEY)
        if known is not None:
            if known.commitment != self.commitment:
                raise Conflict("numbers were blinded with another key; bring that key here", field="intake")
            return known
        made = NumberKey(THE_KEY, self.commitment, tx.now)
        tx.put(made)
        tx.log("number-key.committed", ("commitment", self.commitment))
        return made


@dataclass(frozen=True, slots=True)
class FileAllegation:
    """Takes an allegation in. All that is in it has been sealed before, and its number blinded."""

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = False

    tracking: bytes
    reporter_key: bytes
    office_key: bytes
    number: bytes
    body: bytes
    identity: bytes
    deadlines: Deadlines

    def run(self, tx: Transaction) -> Allegation:
        tx.refuse_behind()
        tx.refuse_full()
        made = Allegation(
            id=fresh_id(tx, "AL"),
            tracking=self.tracking,
            reporter_key=self.reporter_key,
            office_key=self.office_key,
            number=self.number,
            body=self.body,
            identified=bool(self.identity),
            state=AllegationState.RECEIVED,
            filed_at=tx.now,
            acknowledge_by=tx.now + self.deadlines.acknowledge,
            answer_by=tx.now + self.deadlines.answer,
            acknowledged_at=0,
            acknowledged_by="",
            answered_at=0,
            answered_by="",
            answer="",
            visible_at=tx.now + self.deadlines.show_after,
            messages=0,
        )
        tx.put(made)
        if self.identity:
            tx.put(ReporterIdentity(made.id, self.identity))
        tx.log(
            "allegation.filed",
            ("allegation", made.id),
            ("body", sha256(self.body).digest()),
            ("identity", sha256(self.identity).digest() if self.identity else b""),
            ("acknowledge_by", made.acknowledge_by),
            ("answer_by", made.answer_by),
        )
        return made


@dataclass(frozen=True, slots=True)
class AcknowledgeAllegation:
    """Somebody has read it."""

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = False

    allegation: str
    actor: str

    def run(self, tx: Transaction) -> Allegation:
        tx.refuse_behind()
        tx.refuse_full()
        found = allegation_of(tx, self.allegation)
        refuse_acknowledged(found)
        seen = replace(found, state=AllegationState.ACKNOWLEDGED, acknowledged_at=tx.now, acknowledged_by=self.actor)
        tx.put(seen)
        tx.log("allegation.acknowledged", ("allegation", found.id), ("actor", self.actor))
        return seen


@dataclass(frozen=True, slots=True)
class AnswerAllegation:
    """Answers in words of policy; the reporter sees them when everybody would see his."""

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = False

    allegation: str
    answer: str
    actor: str

    def run(self, tx: Transaction) -> Allegation:
        tx.refuse_behind()
        tx.refuse_full()
        found = allegation_of(tx, self.allegation)
        refuse_answer(found)
        answered = replace(
            found,
            state=AllegationState.ANSWERED,
            answered_at=tx.now,
            answered_by=self.actor,
            answer=self.answer,
            visible_at=max(found.visible_at, tx.now),
        )
        tx.put(answered)
        tx.log(
            "allegation.answered",
            ("allegation", found.id),
            ("actor", self.actor),
            ("answer", self.answer),
            ("visible_at", answered.visible_at),
        )
        return answered


@dataclass(frozen=True, slots=True)
class WriteMessage:
    """Adds a message of either side, sealed for both. Raises Conflict when there are as many as one allegation holds.

    A reporter's own are bounded apart: he cannot keep the office from writing to him.
    """

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = False

    allegation: str
    side: Side
    for_office: bytes
    for_reporter: bytes
    actor: str

    def run(self, tx: Transaction) -> AllegationMessage:
        tx.refuse_behind()
        tx.refuse_full()
        found = allegation_of(tx, self.allegation)
        most = MESSAGES_MOST if self.side is Side.REPORTER else 2 * MESSAGES_MOST
        if found.messages >= most:
            raise Conflict(f"{found.id} has as many messages as it can hold", field="message")
        changed = replace(found, messages=found.messages + 1)
        made = AllegationMessage(
            found.id, changed.messages, self.side, self.for_office, self.for_reporter, tx.now, self.actor
        )
        tx.put(changed)
        tx.put(made)
        tx.log(
            "allegation.messaged",
            ("allegation", found.id),
            ("number", made.number),
            ("side", self.side.value),
            ("actor", self.actor),
            ("for_office", sha256(self.for_office).digest()),
            ("for_reporter", sha256(self.for_reporter).digest()),
        )
        return made


@dataclass(frozen=True, slots=True)
class JoinCase:
    """Says that an allegation belongs to a case that there is. It may belong to several, each about one customer."""

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = False

    allegation: str
    case: str
    actor: str

    def run(self, tx: Transaction) -> Case:
        tx.refuse_behind()
        tx.refuse_full()
        found, case = allegation_of(tx, self.allegation), case_of(tx, self.case)
        if found.state is AllegationState.RECEIVED:
            raise IllegalTransition(f"{found.id} is not acknowledged yet", field="allegation")
        if tx.get(ALLEGATION_CASES, found.id, case.id) is not None:
            raise Conflict(f"{found.id} belongs to {case.id} already", field="case")
        tx.put(AllegationCase(found.id, case.id, tx.now, self.actor))
        tx.log("allegation.linked", ("allegation", found.id), ("case", case.id), ("actor", self.actor))
        return case


@dataclass(frozen=True, slots=True)
class OpenCaseFrom:
    """Opens a case and joins the allegation to it: both, or neither."""

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = False

    allegation: str
    opening: OpenCase

    def run(self, tx: Transaction) -> Case:
        case = self.opening.run(tx)
        JoinCase(self.allegation, case.id, self.opening.actor).run(tx)
        return case


@dataclass(frozen=True, slots=True)
class PermitDisclosure:
    """Lets one person look at who reported, for one purpose and for a time."""

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = False

    allegation: str
    purpose: str
    detail: str
    life: Millis
    actor: str

    def run(self, tx: Transaction) -> Disclosure:
        tx.refuse_behind()
        tx.refuse_full()
        found = allegation_of(tx, self.allegation)
        if not found.identified:
            raise NotFound(f"whoever filed {found.id} did not say who he is", field="allegation")
        made = Disclosure(
            id=fresh_id(tx, "L"),
            allegation=found.id,
            purpose=self.purpose,
            detail=self.detail,
            actor=self.actor,
            permitted_at=tx.now,
            expires_at=tx.now + self.life,
            looks=0,
        )
        tx.put(made)
        tx.log(
            "disclosure.permitted",
            ("disclosure", made.id),
            ("allegation", found.id),
            ("purpose", self.purpose),
            ("detail", self.detail),
            ("actor", self.actor),
            ("expires_at", made.expires_at),
        )
        return made


@dataclass(frozen=True, slots=True)
class DiscloseIdentity:
    """One look, by the person it was permitted to, while it is. Every look is an entry."""

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = False

    disclosure: str
    actor: str

    def run(self, tx: Transaction) -> tuple[Disclosure, Allegation, ReporterIdentity]:
        tx.refuse_behind()
        tx.refuse_full()
        found = tx.get(DISCLOSURES, self.disclosure)
        if found is None:
            raise NotFound(f"there is no disclosure {self.disclosure}", field="disclosure")
        if found.actor != self.actor:
            raise Forbidden(f"{found.id} was permitted to {found.actor}, and to nobody else")
        if tx.now >= found.expires_at:
            raise IllegalTransition(f"{found.id} is over; ask for another", field="disclosure")
        identity = tx.get(REPORTER_IDENTITIES, found.allegation)
        if identity is None:
            raise NotFound(f"nothing is kept of who filed {found.allegation}", field="disclosure")
        looked = replace(found, looks=found.looks + 1)
        tx.put(looked)
        tx.log(
            "identity.disclosed",
            ("disclosure", found.id),
            ("allegation", found.allegation),
            ("purpose", found.purpose),
            ("actor", self.actor),
            ("look", looked.looks),
        )
        return looked, allegation_of(tx, found.allegation), identity
