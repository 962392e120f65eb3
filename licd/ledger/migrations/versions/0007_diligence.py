"""indicators, assessments with their checklists, and reviews"""

import sqlalchemy as sa
from alembic import op

revision = "0007_diligence"
down_revision = "0006_unvouched_time"
branch_labels = None
depends_on = None


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _long(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _bytes(name: str) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary(), nullable=False)


def upgrade() -> None:
    op.create_table(
        "indicators",
        _text("id"),
        _text("source"),
        _long("year"),
        _bytes("file_sha256"),
        _long("imported_at"),
        _text("imported_by"),
        _bytes("body"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("indicators_by_source", "indicators", ["source", "year"])
    op.create_table(
        "assessment",
        _text("id"),
        _text("customer"),
        _text("product"),
        _text("country"),
        _text("category"),
        _text("judged"),
        _long("term"),
        _text("policy_version"),
        _long("assessed_at"),
        _text("assessed_by"),
        _long("review_due"),
        _bytes("facts"),
        _bytes("judgement"),
        _text("overridden_by"),
        _long("overridden_at"),
        _text("override_reason"),
        _text("superseded_by"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("assessment_by_customer", "assessment", ["customer", "product"])
    op.create_table(
        "checklist_item",
        _text("assessment"),
        _text("item"),
        _text("accepts"),
        _text("state"),
        _text("evidence"),
        _text("note"),
        _text("actor"),
        _long("decided_at"),
        sa.PrimaryKeyConstraint("assessment", "item"),
    )
    op.create_table(
        "review",
        _text("id"),
        _text("licence"),
        _text("customer"),
        _text("assessment"),
        _text("cause"),
        _text("detail"),
        _long("opened_at"),
        _long("due_at"),
        _long("closed_at"),
        _text("closed_by"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("review_by_licence", "review", ["licence", "closed_at"])


def downgrade() -> None:
    op.drop_table("review")
    op.drop_table("checklist_item")
    op.drop_table("assessment")
    op.drop_table("indicators")
