"""The tables of allegations and of who looked at who reported them; a part of the schema in licd.ledger.tables."""

from __future__ import annotations

from sqlalchemy import Index, Table

from licd.ledger.columns import bytes_column, count_column, flag_column, long_column, metadata, text_column

allegation = Table(
    "allegation",
    metadata,
    text_column("id", primary_key=True),
    bytes_column("tracking"),
    bytes_column("reporter_key"),
    bytes_column("office_key"),
    bytes_column("number"),
    bytes_column("body"),
    flag_column("identified"),
    text_column("state"),
    long_column("filed_at"),
    long_column("acknowledge_by"),
    long_column("answer_by"),
    long_column("acknowledged_at"),
    text_column("acknowledged_by"),
    long_column("answered_at"),
    text_column("answered_by"),
    text_column("answer"),
    long_column("visible_at"),
    count_column("messages"),
    Index("allegation_by_tracking", "tracking", unique=True),
    Index("allegation_by_state", "state", "acknowledge_by", "answer_by"),
    Index("allegation_by_number", "number"),
)

reporter_identity = Table(
    "reporter_identity",
    metadata,
    text_column("allegation", primary_key=True),
    bytes_column("sealed"),
)

allegation_message = Table(
    "allegation_message",
    metadata,
    text_column("allegation", primary_key=True),
    long_column("number", primary_key=True),
    text_column("side"),
    bytes_column("for_office"),
    bytes_column("for_reporter"),
    long_column("written_at"),
    text_column("actor"),
)

allegation_case = Table(
    "allegation_case",
    metadata,
    text_column("allegation", primary_key=True),
    text_column("case", primary_key=True),
    long_column("linked_at"),
    text_column("actor"),
)

disclosure = Table(
    "disclosure",
    metadata,
    text_column("id", primary_key=True),
    text_column("allegation"),
    text_column("purpose"),
    text_column("detail"),
    text_column("actor"),
    long_column("permitted_at"),
    long_column("expires_at"),
    long_column("looks"),
    Index("disclosure_by_allegation", "allegation"),
)

number_key = Table(
    "number_key",
    metadata,
    long_column("id", primary_key=True),
    bytes_column("commitment"),
    long_column("committed_at"),
)
