"""allegations, who reported them, messages, cases they belong to, looks at identities, and the key of numbers"""

import sqlalchemy as sa
from alembic import op

revision = "0012_allegations"
down_revision = "0009_signals"
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
        "allegation",
        _text("id"),
        _bytes("tracking"),
        _bytes("reporter_key"),
        _bytes("office_key"),
        _bytes("number"),
        _bytes("body"),
        sa.Column("identified", sa.Boolean(), nullable=False),
        _text("state"),
        _long("filed_at"),
        _long("acknowledge_by"),
        _long("answer_by"),
        _long("acknowledged_at"),
        _text("acknowledged_by"),
        _long("answered_at"),
        _text("answered_by"),
        _text("answer"),
        _long("visible_at"),
        sa.Column("messages", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("allegation_by_tracking", "allegation", ["tracking"], unique=True)
    op.create_index("allegation_by_state", "allegation", ["state", "acknowledge_by", "answer_by"])
    op.create_index("allegation_by_number", "allegation", ["number"])
    op.create_table("reporter_identity", _text("allegation"), _bytes("sealed"), sa.PrimaryKeyConstraint("allegation"))
    op.create_table(
        "allegation_message",
        _text("allegation"),
        _long("number"),
        _text("side"),
        _bytes("for_office"),
        _bytes("for_reporter"),
        _long("written_at"),
        _text("actor"),
        sa.PrimaryKeyConstraint("allegation", "number"),
    )
    op.create_table(
        "allegation_case",
        _text("allegation"),
        _text("case"),
        _long("linked_at"),
        _text("actor"),
        sa.PrimaryKeyConstraint("allegation", "case"),
    )
    op.create_table(
        "disclosure",
        _text("id"),
        _text("allegation"),
        _text("purpose"),
        _text("detail"),
        _text("actor"),
        _long("permitted_at"),
        _long("expires_at"),
        _long("looks"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("disclosure_by_allegation", "disclosure", ["allegation"])
    op.create_table(
        "number_key",
        _long("id"),
        _bytes("commitment"),
        _long("committed_at"),
        sa.PrimaryKeyConstraint("id"),
    )


def downgrade() -> None:
    for name in ("number_key", "disclosure", "allegation_case", "allegation_message", "reporter_identity"):
        op.drop_table(name)
    op.drop_table("allegation")
