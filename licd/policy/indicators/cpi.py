"""Transparency International's Corruption Perceptions Index, as its own CPI<year>.xlsx has it.

A title in row 1, headings in row 3, below them a row for each country, an empty one and the world's mean, which is no
country. The first sheet has the edition's own year, "CPI historical data …" the years before, back to 2012. Until 2011
the scale was 0 to 10: such a table is refused, for its figures say something else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from licd.policy.indicators.edition import Edition, FileRefused, Found, edition_of
from licd.policy.indicators.sources import SOURCES
from licd.policy.indicators.spreadsheet import Row, Spreadsheet, column, text

SOURCE: Final = SOURCES["cpi"]
HEADING_ROW: Final = 3
FIRST_YEAR: Final = 2012
OLD_SCALE: Final = 10_000
_OWN_SHEET: Final = re.compile(r"CPI ?(20\d\d)")
_HISTORY: Final = "CPI historical data"


def read_cpi(data: bytes, aliases: Mapping[str, str], year: int | None = None) -> Edition:
    """One year of the file, the edition's own unless another is named. Raises FileRefused."""
    book = Spreadsheet(data)
    own = next((found for found in map(_OWN_SHEET.fullmatch, book.sheets) if found), None)
    if own is None:
        raise FileRefused(f"no sheet is called CPI and its year; there are {', '.join(map(repr, book.sheets))}")
    edition_year = int(own[1])
    wanted = edition_year if year is None else year
    if wanted < FIRST_YEAR:
        raise FileRefused(f"until {FIRST_YEAR - 1} the scale was another, 0 to 10: {wanted} says nothing on today's")
    rows = book.rows(own[0] if wanted == edition_year else _history(book))
    edition = edition_of(SOURCE, wanted, book.sha256, _found(rows, wanted), aliases, missing="")
    if max(one.value for one in edition.values) <= OLD_SCALE:
        raise FileRefused(f"no score above 10: these are of the scale until {FIRST_YEAR - 1}, 0 to 10")
    return edition


def _history(book: Spreadsheet) -> str:
    for sheet in book.sheets:
        if sheet.startswith(_HISTORY):
            return sheet
    raise FileRefused(f"there is no sheet {_HISTORY!r} with the years before; there are {', '.join(book.sheets)}")


def _found(rows: Sequence[Row], year: int) -> Iterator[Found]:
    if len(rows) < HEADING_ROW:
        raise FileRefused(f"no headings in row {HEADING_ROW}: this is not the publisher's form")
    heading = rows[HEADING_ROW - 1]
    name, code = column(heading, "Country", HEADING_ROW), column(heading, "ISO3", HEADING_ROW)
    score = column(heading, f"CPI score {year}", HEADING_ROW)
    for at, row in enumerate(rows[HEADING_ROW:], start=HEADING_ROW + 1):
        if any(cell != "" for cell in row):
            yield Found(at, text(row[code]), text(row[name]), "cpi", row[score])
