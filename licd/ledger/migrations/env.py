"""Alembic's entry: one connection, one transaction for all steps."""

from alembic import context
from sqlalchemy import create_engine

from licd.ledger.tables import metadata

engine = create_engine(context.config.get_main_option("sqlalchemy.url") or "")
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=False)
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
