"""What the rows say about somebody who comes to the gate: read in the deciding transaction, and before it is asked."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select

from licd.core.condition import Condition
from licd.core.gate import Assessment, Channel, ChecklistItem, Standing, refuse_obstacles
from licd.core.model import DeploymentStatus, LicenceStatus
from licd.core.terms import Terms
from licd.ledger import tables
from licd.ledger.database import Connection, Statement
from licd.ledger.records import Review
from licd.ledger.rows import ASSESSMENTS, CHECKLIST_ITEMS, CONDITIONS, REVIEWS
from licd.ledger.transaction import Transaction


def standing_of(connection: Connection, customer: str, product: str, licence: str = "") -> Standing:
    """What is known of customer and product; with a licence, also what is open about it."""
    found = current_assessment(connection, customer, product)
    return Standing(
        assessment=found,
        items=items_of(connection, found.id) if found else (),
        channels=channels_of(connection, customer),
        overdue=tuple(_review_words(each) for each in open_reviews(connection, licence)) if licence else (),
        conditions=conditions_of(connection, licence) if licence else (),
    )


def refuse_at_gate(tx: Transaction, verb: str, terms: Terms, licence: str = "") -> Assessment | None:
    """The assessment by which the gate let these terms through; None where it does not stand.

    Raises IllegalTransition with all that is in the way.
    """
    gate = tx.installation.gate
    if not gate.stands(verb):
        return None
    tx.flush()
    standing = standing_of(tx.connection, terms.customer, terms.product, licence)
    refuse_obstacles(gate, terms, standing, tx.now)
    return standing.assessment


def current_assessment(connection: Connection, customer: str, product: str) -> Assessment | None:
    """The assessment of customer and product that no other has taken the place of."""
    column = tables.assessment.c
    same = (column.customer == customer, column.product == product, column.superseded_by == "")
    return next(iter(ASSESSMENTS.where(connection, *same)), None)


def items_of(connection: Connection, assessment: str) -> list[ChecklistItem]:
    """The checklist of an assessment, by name."""
    return CHECKLIST_ITEMS.where(connection, tables.checklist_item.c.assessment == assessment)


def open_reviews(connection: Connection, licence: str) -> list[Review]:
    """The reviews of a licence that nothing has closed."""
    return REVIEWS.where(connection, tables.review.c.licence == licence, tables.review.c.closed_at == 0)


def conditions_of(connection: Connection, licence: str) -> list[Condition]:
    """What is owed for a licence, by name."""
    return CONDITIONS.where(connection, tables.condition.c.licence == licence)


def channels_of(connection: Connection, customer: str) -> list[Channel]:
    """Each enrolled system of a customer, with its last acknowledgement since it was enrolled."""
    deployment, licence, told = tables.deployment.c, tables.licence.c, tables.acknowledgement.c
    joined = tables.deployment.join(tables.licence, licence.id == deployment.licence).outerjoin(
        tables.acknowledgement, (told.deployment == deployment.id) & (told.acknowledged_at >= deployment.enrolled_at)
    )
    clause: Any = (
        select(deployment.id, deployment.licence, func.max(told.acknowledged_at))
        .select_from(joined)
        .where(
            deployment.customer == customer,
            deployment.status == DeploymentStatus.ENROLLED.value,
            licence.status != LicenceStatus.TERMINATED.value,
        )
        .group_by(deployment.id, deployment.licence)
        .order_by(deployment.id)
    )
    statement = Statement(clause, connection.dialect)
    rows = connection.execute(statement.text, statement.arguments({}))
    return [Channel(str(name), str(of), int(at or 0)) for name, of, at in rows]


def _review_words(review: Review) -> str:
    return f"review {review.id} is open ({review.cause}: {review.detail}); assess again"
