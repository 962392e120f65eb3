"""How large a table a workbook says it holds, before anybody makes room for it.

A cell's place is written in the cell: a file of some hundred bytes can have one in the last column of the last row, and
the reader makes a table that reaches from the first cell to it. It can also say how many texts it has.
"""

from __future__ import annotations

import re
from typing import Final
from zipfile import ZipFile

from licd.policy.indicators.edition import FileRefused

MOST_UNPACKED: Final = 256 * 1024 * 1024
"""Bytes. The World Bank's file is 3 MB, and 17 MB unpacked."""
MOST_CELLS: Final = 4_000_000
"""Of a sheet, empty ones included. The World Bank's has 353 000."""
MOST_TEXTS: Final = 1_000_000

_PLACE: Final = re.compile(rb"""\sr\s*=\s*["']([^"']*)["']""")
_CELL: Final = re.compile(rb"([A-Za-z]{1,3})([0-9]{1,7})")
_ROW: Final = re.compile(rb"[0-9]{1,7}")
_COUNT: Final = re.compile(rb"""\s(?:uniqueCount|count)\s*=\s*["']([^"']*)["']""")
_TAG: Final = re.compile(rb"<(c|row)[\s/>]")


def refuse_boundless(archive: ZipFile) -> None:
    """Raises FileRefused for a workbook that unpacks to, or says that it holds, more than any table of countries."""
    if sum(part.file_size for part in archive.infolist()) > MOST_UNPACKED:
        raise FileRefused(f"unpacks to over {MOST_UNPACKED >> 20} MiB: this is no table of countries")
    for part in archive.infolist():
        name = part.filename.casefold()
        if not name.endswith((".xml", ".rels")):
            continue
        text = archive.read(part)
        if b"\x00" in text or b"<!DOCTYPE" in text.upper():
            raise FileRefused(f"{part.filename}: not the plain UTF-8 that spreadsheets are written in")
        if "worksheets/" in name:
            _refuse_wide(part.filename, text)
        elif name.endswith("sharedstrings.xml"):
            _refuse_many(part.filename, text)


def _refuse_wide(name: str, text: bytes) -> None:
    rows = columns = placed = 0
    for place in _PLACE.findall(text):
        placed += 1
        cell = _CELL.fullmatch(place)
        if cell is not None:
            columns, rows = max(columns, _column(cell[1])), max(rows, int(cell[2]))
        elif _ROW.fullmatch(place):
            rows = max(rows, int(place))
        else:
            raise FileRefused(f"{name}: {place[:30]!r} is no place in a sheet")
    # What says no place of its own stands behind what comes before it, to the right of it or below.
    unplaced = max(0, len(_TAG.findall(text)) - placed)
    if (rows + unplaced) * (columns + unplaced) > MOST_CELLS:
        raise FileRefused(f"{name}: reaches over {rows} rows and {columns} columns: this is no table of countries")


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - ord("A") + 1
    return number


def _refuse_many(name: str, text: bytes) -> None:
    for count in _COUNT.findall(text[:4096]):
        if not _ROW.fullmatch(count) or int(count) > MOST_TEXTS:
            raise FileRefused(f"{name}: {count[:30]!r} texts: this is no table of countries")
