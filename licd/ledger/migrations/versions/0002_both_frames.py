"""both frames: the last accepted link is kept as it came, so that a fork's evidence has it too"""

import sqlalchemy as sa
from alembic import op

revision = "0002_both_frames"
down_revision = "0001"
branch_labels = None
depends_on = None

EMPTY = sa.bindparam("empty", b"", sa.LargeBinary())


def upgrade() -> None:
    op.add_column("session", sa.Column("frame", sa.LargeBinary(), nullable=False, server_default=sa.text("''")))
    op.add_column("fork", sa.Column("enrolment", sa.Integer(), nullable=False, server_default=sa.text("0")))
    op.add_column("fork", sa.Column("accepted", sa.LargeBinary(), nullable=False, server_default=sa.text("''")))
    op.add_column("fork", sa.Column("reply_kind", sa.Text(), nullable=False, server_default=sa.text("''")))
    # SQLite takes the default as text, whatever the column's type.
    op.execute(sa.text("UPDATE session SET frame = :empty").bindparams(EMPTY))
    op.execute(sa.text("UPDATE fork SET accepted = :empty").bindparams(EMPTY))


def downgrade() -> None:
    op.drop_column("fork", "reply_kind")
    op.drop_column("fork", "accepted")
    op.drop_column("fork", "enrolment")
    op.drop_column("session", "frame")
