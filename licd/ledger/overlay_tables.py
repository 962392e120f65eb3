"""The tables of authorities and of what they permit; a part of the schema in licd.ledger.tables."""

from __future__ import annotations

from sqlalchemy import Index, Table

from licd.ledger.columns import bytes_column, long_column, metadata, text_column

authority = Table(
    "authority",
    metadata,
    text_column("id", primary_key=True),
    text_column("name"),
    text_column("kind"),
    text_column("jurisdiction"),
    bytes_column("public_key"),
    text_column("key_id"),
    long_column("registered_at"),
    text_column("registered_by"),
    long_column("withdrawn_at"),
    text_column("withdrawn_why"),
    long_column("version"),
)

overlay = Table(
    "overlay",
    metadata,
    text_column("id", primary_key=True),
    text_column("authority"),
    text_column("customer"),
    long_column("revision"),
    text_column("status"),
    bytes_column("token"),
    bytes_column("terms"),
    long_column("lodged_at"),
    text_column("lodged_by"),
    long_column("ended_at"),
    text_column("ended_why"),
    Index("overlay_by_customer", "customer"),
    Index("overlay_by_authority", "authority"),
)
