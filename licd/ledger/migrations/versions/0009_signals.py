"""signals of misuse rules, how far rules have been asked, and cases"""

import sqlalchemy as sa
from alembic import op

revision = "0009_signals"
down_revision = "0008_overlays"
branch_labels = None
depends_on = None


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _long(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def upgrade() -> None:
    op.create_table(
        "signal",
        _text("id"),
        _text("rule"),
        _text("subject"),
        _text("licence"),
        _text("done"),
        _long("tick"),
        _long("licences"),
        _text("suspension"),
        _text("case"),
        _long("raised_at"),
        _long("due_at"),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        _text("acknowledged_by"),
        _long("acknowledged_at"),
        _text("note"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("signal_by_rule", "signal", ["rule", "subject", "tick"])
    op.create_index("signal_by_acknowledged", "signal", ["acknowledged_at", "due_at"])
    op.create_table(
        "rules_asked",
        sa.Column("id", sa.Integer(), nullable=False),
        _long("until"),
        _text("policy_version"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "case_file",
        _text("id"),
        _text("customer"),
        _text("licence"),
        _text("code"),
        _text("summary"),
        _text("signal"),
        _text("state"),
        _long("state_since"),
        _long("opened_at"),
        _text("opened_by"),
        _long("acknowledge_by"),
        _long("round"),
        _long("version"),
        _text("determination"),
        _text("reasons"),
        _long("determined_at"),
        _text("remedies"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("case_by_customer", "case_file", ["customer", "state"])
    op.create_table(
        "case_step",
        _text("case"),
        _long("round"),
        _text("step"),
        sa.Column("mandatory", sa.Boolean(), nullable=False),
        _text("state"),
        _text("evidence"),
        _text("note"),
        _text("actor"),
        _long("decided_at"),
        sa.PrimaryKeyConstraint("case", "round", "step"),
    )


def downgrade() -> None:
    op.drop_table("case_step")
    op.drop_table("case_file")
    op.drop_table("rules_asked")
    op.drop_table("signal")
