"""The schema's part about misuse rules and cases; whoever wants the whole schema takes metadata from here."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, Table, Text

from licd.ledger.tables import metadata

__all__ = ["case_file", "case_step", "metadata", "rules_asked", "signal"]


def _text(name: str, *, primary_key: bool = False) -> Column[str]:
    return Column(name, Text, nullable=False, primary_key=primary_key)


def _long(name: str, *, primary_key: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=False, primary_key=primary_key, autoincrement=False)


signal = Table(
    "signal",
    metadata,
    _text("id", primary_key=True),
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
    Column("body", LargeBinary, nullable=False),
    _text("acknowledged_by"),
    _long("acknowledged_at"),
    _text("note"),
    Index("signal_by_rule", "rule", "subject", "tick"),
    Index("signal_by_acknowledged", "acknowledged_at", "due_at"),
)

rules_asked = Table(
    "rules_asked",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    _long("until"),
    _text("policy_version"),
)

case_file = Table(
    "case_file",
    metadata,
    _text("id", primary_key=True),
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
    Index("case_by_customer", "customer", "state"),
)

case_step = Table(
    "case_step",
    metadata,
    _text("case", primary_key=True),
    _long("round", primary_key=True),
    _text("step", primary_key=True),
    Column("mandatory", Boolean, nullable=False),
    _text("state"),
    _text("evidence"),
    _text("note"),
    _text("actor"),
    _long("decided_at"),
)
