"""Import indicators, assess, override, work a checklist off, open and close reviews."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from licd.core.errors import AlreadyExists, Conflict, IllegalTransition, Invalid, NotFound
from licd.core.gate import Assessment, ChecklistItem, ItemState
from licd.core.model import LicenceStatus
from licd.core.time import Millis
from licd.ledger import tables
from licd.ledger.records import Review, StoredIndicators
from licd.ledger.rows import ASSESSMENTS, CHECKLIST_ITEMS, INDICATORS
from licd.ledger.standing import current_assessment, open_reviews
from licd.ledger.transaction import Transaction
from licd.ledger.verbs.licences import licences_of
from licd.v1.diligence_pb2 import Indicators


def fresh_id(tx: Transaction, letter: str) -> str:
    """An id whose order is that of time: lists go by it."""
    return f"{letter}-{tx.now:012x}{tx.random(4).hex()}"


@dataclass(frozen=True, slots=True)
class ImportIndicators:
    """Keeps one year of a publisher's file; file is a message without the parts that are filled in here."""

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = False

    file: Indicators
    actor: str

    def run(self, tx: Transaction) -> StoredIndicators:
        tx.refuse_behind()
        tx.refuse_full()
        column = tables.indicators.c
        tx.flush()
        same = INDICATORS.where(
            tx.connection,
            column.source == self.file.source,
            column.year == self.file.year,
            column.file_sha256 == self.file.file_sha256,
        )
        if same:
            raise AlreadyExists(f"the same year of the same file is there as {same[0].id}", field="file")
        body = Indicators()
        body.CopyFrom(self.file)
        body.indicators, body.imported_at_ms, body.imported_by = fresh_id(tx, "I"), tx.now, self.actor
        stored = StoredIndicators(
            id=body.indicators,
            source=body.source,
            year=body.year,
            file_sha256=body.file_sha256,
            imported_at=tx.now,
            imported_by=self.actor,
            body=body.SerializeToString(deterministic=True),
        )
        tx.put(stored)
        tx.log(
            "indicators.imported",
            ("indicators", stored.id),
            ("actor", self.actor),
            ("source", stored.source),
            ("year", stored.year),
            ("file", stored.file_sha256),
            ("body", stored.body),
        )
        return stored


@dataclass(frozen=True, slots=True)
class AssessedItem:
    """Something on the checklist of a new assessment, and the evidence that came along."""

    item: str
    accepts: frozenset[str]
    evidence: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class AssessCustomer:
    """Records a judgement. It takes the place of the last one, and closes the reviews that asked for it."""

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = False

    customer: str
    product: str
    country: str
    category: str
    term: Millis
    policy_version: str
    review_interval: Millis
    facts: bytes
    judgement: bytes
    checklist: Sequence[AssessedItem]
    actor: str

    def run(self, tx: Transaction) -> Assessment:
        tx.refuse_behind()
        tx.refuse_full()
        customer = tx.customer(self.customer)
        tx.flush()
        before = current_assessment(tx.connection, self.customer, self.product)
        made = Assessment(
            id=fresh_id(tx, "D"),
            customer=self.customer,
            product=self.product,
            country=self.country,
            category=self.category,
            judged=self.category,
            term=self.term,
            policy_version=self.policy_version,
            assessed_at=tx.now,
            assessed_by=self.actor,
            review_due=tx.now + self.review_interval,
            facts=self.facts,
            judgement=self.judgement,
            overridden_by="",
            overridden_at=0,
            override_reason="",
            superseded_by="",
        )
        tx.put(made)
        tx.put(replace(customer, version=customer.version + 1))
        if before is not None:
            tx.put(replace(before, superseded_by=made.id))
        tx.log(
            "diligence.assessed",
            ("assessment", made.id),
            ("customer", made.customer),
            ("actor", self.actor),
            ("product", made.product),
            ("country", made.country),
            ("category", made.category),
            ("policy", made.policy_version),
            ("facts", made.facts),
            ("judgement", made.judgement),
            ("supersedes", before.id if before else ""),
        )
        add_items(tx, made.id, self.checklist, self.actor)
        _close_reviews(tx, made)
        return made


def add_items(tx: Transaction, assessment: str, items: Sequence[AssessedItem], actor: str) -> None:
    """Puts items on a checklist, done where evidence came along; what is on it already stays as it is."""
    for each in items:
        if tx.get(CHECKLIST_ITEMS, assessment, each.item) is not None:
            continue
        accepts = ",".join(sorted(each.accepts))
        pending = ChecklistItem(assessment, each.item, accepts, ItemState.PENDING, "", "", "", 0)
        tx.put(pending)
        if each.evidence:
            _complete(tx, pending, each.evidence, each.note, actor)


def _close_reviews(tx: Transaction, made: Assessment) -> None:
    for licence in licences_of(tx, made.customer):
        if licence.terms.product != made.product:
            continue
        for review in open_reviews(tx.connection, licence.id):
            tx.put(replace(review, closed_at=tx.now, closed_by=made.id))
            tx.log("review.closed", ("review", review.id), ("licence", licence.id), ("assessment", made.id))


@dataclass(frozen=True, slots=True)
class OverrideAssessment:
    """Puts another category in the place of the judged one. items: what the other category's checklist has more."""

    grants: ClassVar[bool] = True
    urgent: ClassVar[bool] = False

    assessment: str
    category: str
    review_interval: Millis
    items: Sequence[AssessedItem]
    reason: str
    actor: str

    def run(self, tx: Transaction) -> Assessment:
        found = in_force(tx, self.assessment)
        customer = tx.customer(found.customer)
        overridden = replace(
            found,
            category=self.category,
            review_due=min(found.review_due, found.assessed_at + self.review_interval),
            overridden_by=self.actor,
            overridden_at=tx.now,
            override_reason=self.reason,
        )
        tx.put(overridden)
        tx.put(replace(customer, version=customer.version + 1))
        tx.log(
            "diligence.overridden",
            ("assessment", found.id),
            ("customer", found.customer),
            ("actor", self.actor),
            ("from", found.category),
            ("category", self.category),
            ("reason", self.reason),
        )
        add_items(tx, found.id, self.items, self.actor)
        return overridden


def in_force(tx: Transaction, identifier: str) -> Assessment:
    """An assessment that no other has taken the place of. Raises NotFound, IllegalTransition."""
    found = tx.get(ASSESSMENTS, identifier)
    if found is None:
        raise NotFound(f"there is no assessment {identifier}", field="assessment")
    if found.superseded_by:
        raise IllegalTransition(f"assessment {identifier} was superseded by {found.superseded_by}", field="assessment")
    return found


@dataclass(frozen=True, slots=True)
class CompleteItem:
    """Records that something on a checklist is done, by the hash of the file that shows it."""

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = False

    assessment: str
    item: str
    evidence: str
    note: str
    actor: str

    def run(self, tx: Transaction) -> Assessment:
        tx.refuse_behind()
        tx.refuse_full()
        found, item = _open_item(tx, self.assessment, self.item)
        _complete(tx, item, self.evidence, self.note, self.actor)
        return found


@dataclass(frozen=True, slots=True)
class RefuseItem:
    """Records that something on a checklist will not be done, and why; it stands in the way of a licence from then."""

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = False

    assessment: str
    item: str
    reason: str
    actor: str

    def run(self, tx: Transaction) -> Assessment:
        tx.refuse_behind()
        tx.refuse_full()
        found, item = _open_item(tx, self.assessment, self.item)
        tx.put(replace(item, state=ItemState.REFUSED, note=self.reason, actor=self.actor, decided_at=tx.now))
        tx.log(
            "diligence.item-refused",
            ("assessment", found.id),
            ("actor", self.actor),
            ("item", self.item),
            ("reason", self.reason),
        )
        return found


def _open_item(tx: Transaction, assessment: str, name: str) -> tuple[Assessment, ChecklistItem]:
    found = in_force(tx, assessment)
    item = tx.get(CHECKLIST_ITEMS, assessment, name)
    if item is None:
        raise NotFound(f"{name} is not on the checklist of {assessment}", field="item")
    if item.state is not ItemState.PENDING:
        raise Conflict(f"{name} of {assessment} is {item.state} since {item.actor} said so", field="item")
    return found, item


def _complete(tx: Transaction, item: ChecklistItem, evidence: str, note: str, actor: str) -> None:
    if item.accepts and evidence not in item.accepts.split(","):
        raise Invalid(
            f"{item.item}: policy accepts only a file with SHA-256 {item.accepts}, and this one has {evidence}",
            field="evidence",
        )
    done = replace(item, state=ItemState.DONE, evidence=evidence, note=note, actor=actor, decided_at=tx.now)
    tx.put(done)
    tx.log(
        "diligence.item-completed",
        ("assessment", item.assessment),
        ("actor", actor),
        ("item", item.item),
        ("evidence", bytes.fromhex(evidence)),
        ("note", note),
    )


@dataclass(frozen=True, slots=True)
class Finding:
    """Why a licence has to be looked at again."""

    licence: str
    assessment: str
    cause: str
    detail: str


@dataclass(frozen=True, slots=True)
class OpenReviews:
    """Opens a review for each finding about a licence in force that has none open for the same cause.

    Found outside the transaction, each is looked at again in it: an assessment may have come in between.
    """

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = False

    findings: Sequence[Finding]
    time: Millis

    def run(self, tx: Transaction) -> list[Review]:
        tx.refuse_behind()
        tx.refuse_full()
        return [self._open(tx, finding) for finding in self.findings if self._is_news(tx, finding)]

    def _is_news(self, tx: Transaction, finding: Finding) -> bool:
        licence = tx.state(finding.licence).licence
        tx.flush()
        found = current_assessment(tx.connection, licence.customer, licence.terms.product)
        if licence.status is LicenceStatus.TERMINATED or (found.id if found else "") != finding.assessment:
            return False
        return not any(review.cause == finding.cause for review in open_reviews(tx.connection, finding.licence))

    def _open(self, tx: Transaction, finding: Finding) -> Review:
        review = Review(
            id=fresh_id(tx, "R"),
            licence=finding.licence,
            customer=tx.state(finding.licence).licence.customer,
            assessment=finding.assessment,
            cause=finding.cause,
            detail=finding.detail,
            opened_at=tx.now,
            due_at=tx.now + self.time,
            closed_at=0,
            closed_by="",
        )
        tx.put(review)
        tx.log(
            "review.opened",
            ("review", review.id),
            ("licence", review.licence),
            ("cause", review.cause),
            ("detail", review.detail),
            ("assessment", review.assessment),
            ("due_at", review.due_at),
        )
        return review
