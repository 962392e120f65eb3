"""The World Bank's Worldwide Governance Indicators, as its own wgidataset.xlsx has them.

One sheet, a row for each economy, year and dimension, headings in row 1; `..` where there is no value. Codes are ISO
3166-1's three letters apart from the Bank's own (ADO, KSV, ROM, TMP, WBG, ZAR); ANT is an economy that is no more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from licd.policy.indicators.edition import Edition, FileRefused, Found, edition_of, whole
from licd.policy.indicators.sources import SOURCES
from licd.policy.indicators.spreadsheet import Row, Spreadsheet, column, text

SOURCE: Final = SOURCES["wgi"]
MISSING: Final = ".."
HEADINGS: Final = ("code", "countryname", "year", "indicator", "estimate")


def read_wgi(data: bytes, aliases: Mapping[str, str], year: int | None = None) -> Edition:
    """One year of the file, the latest unless another is named. Raises FileRefused."""
    book = Spreadsheet(data)
    rows = book.rows(book.sheets[0])
    if not rows:
        raise FileRefused("its first sheet is empty")
    places = [column(rows[0], heading, 1) for heading in HEADINGS]
    years = {whole(row[places[2]], "year", at) for at, row in _filled(rows)}
    wanted = max(years, default=0) if year is None else year
    if wanted not in years:
        raise FileRefused(f"no row of {wanted}; there are {min(years, default=0)} to {max(years, default=0)}")
    found = _found(rows, places, wanted)
    return edition_of(SOURCE, wanted, book.sha256, found, aliases, missing=MISSING)


def _filled(rows: Sequence[Row]) -> Iterator[tuple[int, Row]]:
    """The rows below the heading that say anything, with the number a person sees."""
    return ((at, row) for at, row in enumerate(rows[1:], start=2) if any(cell != "" for cell in row))


def _found(rows: Sequence[Row], places: Sequence[int], year: int) -> Iterator[Found]:
    for at, row in _filled(rows):
        code, name, of, dimension, estimate = (row[place] for place in places)
        if whole(of, "year", at) != year:
            continue
        if dimension not in SOURCE.dimensions:
            raise FileRefused(f"row {at}: {dimension!r} is none of {', '.join(SOURCE.dimensions)}: has a column moved?")
        yield Found(at, text(code), text(name), text(dimension), estimate)
