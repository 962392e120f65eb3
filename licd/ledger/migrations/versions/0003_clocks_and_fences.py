"""clocks kept over a restart, fences and expiries remembered"""

import sqlalchemy as sa
from alembic import op

revision = "0003_clocks_and_fences"
down_revision = "0002_both_frames"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "clock_anchor",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("known", sa.BigInteger(), nullable=False),
        sa.Column("boot_id", sa.Text(), nullable=False),
        sa.Column("boot", sa.BigInteger(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("doubt", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.add_column("deployment", sa.Column("fenced_at", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    op.add_column("licence", sa.Column("expired_at", sa.BigInteger(), server_default=sa.text("0"), nullable=False))


def downgrade() -> None:
    op.drop_column("licence", "expired_at")
    op.drop_column("deployment", "fenced_at")
    op.drop_table("clock_anchor")
