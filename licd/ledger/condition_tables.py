"""What customers owe, who signs for it, what lifts suspensions: tables, a part of the schema in licd.ledger.tables."""

from __future__ import annotations

from sqlalchemy import Index, Table

from licd.ledger.columns import bytes_column, count_column, long_column, metadata, text_column

contact = Table(
    "contact",
    metadata,
    text_column("id", primary_key=True),
    text_column("customer"),
    text_column("name"),
    text_column("office"),
    bytes_column("public_key"),
    text_column("key_id"),
    long_column("registered_at"),
    text_column("registered_by"),
    long_column("withdrawn_at"),
    text_column("withdrawn_why"),
    long_column("version"),
    Index("contact_by_customer", "customer"),
)

condition = Table(
    "condition",
    metadata,
    text_column("id", primary_key=True),
    text_column("licence"),
    text_column("customer"),
    text_column("name"),
    text_column("contact"),
    long_column("period"),
    long_column("due_at"),
    long_column("opened_at"),
    long_column("met_at"),
    text_column("met_by"),
    text_column("evidence"),
    bytes_column("certification"),
    long_column("reminded_at"),
    count_column("steps"),
    long_column("suspended_at"),
    long_column("version"),
    Index("condition_by_licence", "licence"),
    Index("condition_by_due", "due_at"),
)

reinstatement_item = Table(
    "reinstatement_item",
    metadata,
    text_column("id", primary_key=True),
    text_column("licence"),
    long_column("epoch"),
    text_column("item"),
    text_column("evidence"),
    text_column("note"),
    text_column("actor"),
    long_column("met_at"),
    Index("reinstatement_item_by_licence", "licence", "epoch"),
)
