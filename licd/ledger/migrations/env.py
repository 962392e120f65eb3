"""Alembic's entry: one connection, one transaction for all steps."""

from alembic import context

from licd.ledger.schema import engine_of, wait_alone
from licd.ledger.signal_tables import metadata

engine = engine_of(context.config.get_main_option("sqlalchemy.url") or "")
with engine.connect() as connection:
    wait_alone(connection)
    context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=False)
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
engine.dispose()
