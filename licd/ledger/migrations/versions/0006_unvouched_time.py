"""how much time is known by the wall clock alone"""

import sqlalchemy as sa
from alembic import op

revision = "0006_unvouched_time"
down_revision = "0005_continuity"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("clock_anchor", sa.Column("unvouched", sa.BigInteger(), server_default=sa.text("0"), nullable=False))


def downgrade() -> None:
    op.drop_column("clock_anchor", "unvouched")
