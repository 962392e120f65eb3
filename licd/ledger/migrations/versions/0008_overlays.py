"""authorities and their overlays, contacts, and conditions"""

import sqlalchemy as sa
from alembic import op

revision = "0008_overlays"
down_revision = "0007_diligence"
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
        "authority",
        _text("id"),
        _text("name"),
        _text("kind"),
        _text("jurisdiction"),
        _bytes("public_key"),
        _text("key_id"),
        _long("registered_at"),
        _text("registered_by"),
        _long("withdrawn_at"),
        _text("withdrawn_why"),
        _long("version"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "overlay",
        _text("id"),
        _text("authority"),
        _text("customer"),
        _long("revision"),
        _text("status"),
        _bytes("token"),
        _bytes("terms"),
        _long("lodged_at"),
        _text("lodged_by"),
        _long("ended_at"),
        _text("ended_why"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("overlay_by_customer", "overlay", ["customer"])
    op.create_index("overlay_by_authority", "overlay", ["authority"])
    op.create_table(
        "contact",
        _text("id"),
        _text("customer"),
        _text("name"),
        _text("office"),
        _bytes("public_key"),
        _text("key_id"),
        _long("registered_at"),
        _text("registered_by"),
        _long("withdrawn_at"),
        _text("withdrawn_why"),
        _long("version"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("contact_by_customer", "contact", ["customer"])
    op.create_table(
        "condition",
        _text("id"),
        _text("licence"),
        _text("customer"),
        _text("name"),
        _text("contact"),
        _long("period"),
        _long("due_at"),
        _long("opened_at"),
        _long("met_at"),
        _text("met_by"),
        _text("evidence"),
        _bytes("certification"),
        _long("reminded_at"),
        sa.Column("steps", sa.Integer(), nullable=False),
        _long("suspended_at"),
        _long("version"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("condition_by_licence", "condition", ["licence"])
    op.create_index("condition_by_due", "condition", ["due_at"])


def downgrade() -> None:
    op.drop_table("condition")
    op.drop_table("contact")
    op.drop_table("overlay")
    op.drop_table("authority")
