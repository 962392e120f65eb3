"""continuity permits"""

import sqlalchemy as sa
from alembic import op

revision = "0005_continuity"
down_revision = "0004_turns"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("session", sa.Column("continuity", sa.Text(), server_default=sa.text("''"), nullable=False))
    op.add_column(
        "session", sa.Column("continuity_payload", sa.LargeBinary(), server_default=sa.text("''"), nullable=False)
    )
    op.add_column(
        "session", sa.Column("continuity_until", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
    )


def downgrade() -> None:
    op.drop_column("session", "continuity_until")
    op.drop_column("session", "continuity_payload")
    op.drop_column("session", "continuity")
