"""authorities and their overlays"""

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


def downgrade() -> None:
    op.drop_table("overlay")
    op.drop_table("authority")
