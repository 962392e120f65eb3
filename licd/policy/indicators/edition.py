"""What was read out of one file for one year: values, and everything in it that gave none, by name.

Rules
- A value belongs to an ISO 3166-1 country (or XK). A code that is none, and that the policy does not map to one, is
  unmapped: listed, never guessed by its likeness to another.
- A value the publisher left out is missing: listed, never filled in from another year.
- What cannot be the publisher's table (a heading that moved, two values for one thing, another scale, a merge's
  markers) refuses the file as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal

from licd.core.diligence import Thousandths
from licd.policy.indicators.economy_table import ALPHA_2
from licd.policy.indicators.sources import Source

MERGE_MARKERS = ("<<<<<<<", "=======", ">>>>>>>")


class FileRefused(ValueError):
    """This file is not what it is said to be; the message says where, and what would be right."""


@dataclass(frozen=True, slots=True)
class Value:
    """What the publisher says of one country. Rounded down: no floor of three decimals is met by rounding."""

    country: str
    dimension: str
    value: Thousandths


@dataclass(frozen=True, slots=True)
class Missing:
    """The publisher lists the country and gives no value."""

    country: str
    dimension: str


@dataclass(frozen=True, slots=True)
class Unmapped:
    """An economy with values, or places for them, that belongs to no country we know. code may be empty."""

    code: str
    name: str


@dataclass(frozen=True, slots=True)
class Edition:
    """One year of one publisher's file. rows counts the rows of that year; taken those that gave a value."""

    source: Source
    year: int
    sha256: str
    rows: int
    taken: int
    values: tuple[Value, ...]
    missing: tuple[Missing, ...]
    unmapped: tuple[Unmapped, ...]

    @property
    def rejected(self) -> int:
        """Rows that gave no value."""
        return self.rows - self.taken


@dataclass(frozen=True, slots=True)
class Found:
    """One cell of the table, with where it stands: what a reader of one publisher's form hands on."""

    row: int
    code: str
    name: str
    dimension: str
    cell: object


def edition_of(
    source: Source, year: int, sha256: str, found: Iterable[Found], aliases: Mapping[str, str], *, missing: str
) -> Edition:
    """Sorts what was found. missing is how the publisher writes that there is no value. Raises FileRefused."""
    values: dict[tuple[str, str], Value] = {}
    gaps: dict[tuple[str, str], Missing] = {}
    unmapped: dict[str, Unmapped] = {}
    rows = 0
    for one in found:
        rows += 1
        if one.code.startswith(MERGE_MARKERS) or one.name.startswith(MERGE_MARKERS):
            raise FileRefused(f"row {one.row}: a merge's markers: somebody has edited this file")
        country = country_for(one.code, aliases)
        if country is None:
            unmapped[one.code or one.name] = Unmapped(one.code, one.name)
            continue
        key = (country, one.dimension)
        if key in values or key in gaps:
            raise FileRefused(f"row {one.row}: {one.dimension} of {one.code} in {year} is there a second time")
        if one.cell in {missing, ""}:
            gaps[key] = Missing(*key)
        else:
            values[key] = Value(*key, _thousandths(one, source))
    if not values:
        raise FileRefused(f"no value of {year} in it")
    return Edition(
        source=source,
        year=year,
        sha256=sha256,
        rows=rows,
        taken=len(values),
        values=tuple(values[key] for key in sorted(values)),
        missing=tuple(gaps[key] for key in sorted(gaps)),
        unmapped=tuple(unmapped[key] for key in sorted(unmapped)),
    )


def country_for(code: str, aliases: Mapping[str, str]) -> str | None:
    """The country (two letters) of a publisher's code; None where neither ISO 3166-1 nor the policy knows it."""
    return ALPHA_2.get(code) or aliases.get(code)


def whole(cell: object, what: str, row: int) -> int:
    """A whole number as spreadsheets hold it. Raises FileRefused."""
    if isinstance(cell, int) and not isinstance(cell, bool):
        return cell
    if isinstance(cell, float) and cell.is_integer():  # infinity is none
        return int(cell)
    raise FileRefused(f"row {row}: {what} must be a whole number, got {cell!r}: has a column moved?")


def _thousandths(one: Found, source: Source) -> Thousandths:
    if not isinstance(one.cell, (int, float)) or isinstance(one.cell, bool):
        raise FileRefused(f"row {one.row}: {one.dimension} of {one.code} must be a number, got {one.cell!r}")
    try:
        value = int((Decimal(repr(one.cell)) * 1000).to_integral_value(ROUND_FLOOR))
    except (ArithmeticError, ValueError) as error:
        raise FileRefused(f"row {one.row}: {one.dimension} of {one.code} is {one.cell!r}") from error
    if not source.least <= value <= source.most:
        scale = f"{source.least / 1000:g} to {source.most / 1000:g}"
        raise FileRefused(f"row {one.row}: {one.dimension} of {one.code} is {one.cell!r}, and the scale is {scale}")
    return value
