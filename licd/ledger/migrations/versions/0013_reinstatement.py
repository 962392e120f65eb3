"""what was done to lift suspensions"""

import sqlalchemy as sa
from alembic import op

revision = "0013_reinstatement"
down_revision = "0012_allegations"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "reinstatement_item",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("licence", sa.Text(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("item", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("met_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("reinstatement_item_by_licence", "reinstatement_item", ["licence", "epoch"])


def downgrade() -> None:
    op.drop_index("reinstatement_item_by_licence", "reinstatement_item")
    op.drop_table("reinstatement_item")
