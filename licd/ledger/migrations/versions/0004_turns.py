"""how often each licence was taken by a batch, so that replicas know whether what they remember still holds"""

import sqlalchemy as sa
from alembic import op

revision = "0004_turns"
down_revision = "0003_clocks_and_fences"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "licence_turn",
        sa.Column("licence", sa.Text(), nullable=False),
        sa.Column("turn", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("licence"),
    )


def downgrade() -> None:
    op.drop_table("licence_turn")
