"""The cells of a spreadsheet that somebody else made: as values, and with every way of going wrong in one error."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from python_calamine import CalamineError, CalamineWorkbook

from licd.policy.indicators.edition import FileRefused

MOST_BYTES: Final = 32 * 1024 * 1024
MOST_UNPACKED: Final = 256 * 1024 * 1024
"""The World Bank's file is 3 MB, and 17 MB unpacked. What unpacks to more than this is no table of countries."""

Row = Sequence[object]


class Spreadsheet:
    """A workbook's sheets by name, texts without the blanks around them. Row numbers are those a person sees."""

    def __init__(self, data: bytes) -> None:
        """Raises FileRefused for bytes that are no workbook, or unpack to too much."""
        self.sha256: Final = sha256(data).hexdigest()
        if len(data) > MOST_BYTES:
            raise FileRefused(f"over {MOST_BYTES >> 20} MiB: this is no table of countries")
        _refuse_swollen(data)
        try:
            self._workbook: Final = CalamineWorkbook.from_filelike(io.BytesIO(data))
        except (CalamineError, OSError, ValueError) as error:
            raise FileRefused(f"no .xlsx workbook: {error}") from error

    @property
    def sheets(self) -> list[str]:
        """The names of the sheets, in their order."""
        return list(self._workbook.sheet_names)

    def rows(self, sheet: str) -> list[Row]:
        """All rows from the first on; row N of a person is the N-1st. Raises FileRefused."""
        if sheet not in self.sheets:
            raise FileRefused(f"there is no sheet {sheet!r}; there are {', '.join(map(repr, self.sheets))}")
        try:
            rows = self._workbook.get_sheet_by_name(sheet).to_python(skip_empty_area=False)
        except (CalamineError, ValueError) as error:
            raise FileRefused(f"sheet {sheet!r} cannot be read: {error}") from error
        return [[cell.strip() if isinstance(cell, str) else cell for cell in row] for row in rows]


def column(heading: Row, wanted: str, row: int) -> int:
    """Where a column stands, by its heading, whatever the case. Raises FileRefused when it is not there once."""
    places = [at for at, cell in enumerate(heading) if isinstance(cell, str) and cell.casefold() == wanted.casefold()]
    if len(places) != 1:
        found = "is not there" if not places else "is there more than once"
        raise FileRefused(f"row {row}: the heading {wanted!r} {found}: this is not the publisher's form")
    return places[0]


def text(cell: object) -> str:
    """What a cell says."""
    return cell if isinstance(cell, str) else "" if cell is None else str(cell)


def _refuse_swollen(data: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            unpacked = sum(part.file_size for part in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise FileRefused(f"no .xlsx workbook: {error}") from error
    if unpacked > MOST_UNPACKED:
        raise FileRefused(f"unpacks to over {MOST_UNPACKED >> 20} MiB: this is no table of countries")
