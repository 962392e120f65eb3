"""Columns as every table has them: none may be missing a value, and a later one has a default for rows from before."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Integer, LargeBinary, MetaData, Text, text

metadata = MetaData()


def text_column(name: str, *, primary_key: bool = False) -> Column[str]:
    """A text."""
    return Column(name, Text, nullable=False, primary_key=primary_key)


def later_text_column(name: str) -> Column[str]:
    """A text that came with a later migration."""
    return Column(name, Text, nullable=False, server_default=text("''"))


def long_column(name: str, *, primary_key: bool = False) -> Column[int]:
    """A number of 64 bits."""
    return Column(name, BigInteger, nullable=False, primary_key=primary_key, autoincrement=False)


def bytes_column(name: str, *, later: bool = False) -> Column[bytes]:
    """later: a column that came with a later migration; a replica of an earlier licd writes rows without it."""
    return Column(name, LargeBinary, nullable=False, server_default=text("''") if later else None)


def later_long_column(name: str) -> Column[int]:
    """A number that came with a later migration: rows from before it, and a licd of before, leave it out."""
    return Column(name, BigInteger, nullable=False, server_default=text("0"))


def flag_column(name: str) -> Column[bool]:
    """Yes or no."""
    return Column(name, Boolean, nullable=False)


def count_column(name: str) -> Column[int]:
    """A number of 32 bits."""
    return Column(name, Integer, nullable=False)
