"""The cells of a spreadsheet that somebody else made: as values, and with every way of going wrong in one error."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import Final

from python_calamine import CalamineError, CalamineWorkbook

from licd.policy.indicators.edition import FileRefused
from licd.policy.indicators.workbook_bounds import refuse_boundless

MOST_BYTES: Final = 32 * 1024 * 1024

Row = Sequence[object]


class Spreadsheet:
    """A workbook's sheets by name, texts without the blanks around them. Row numbers are those a person sees."""

    def __init__(self, data: bytes) -> None:
        """Raises FileRefused for bytes that are no workbook, or unpack to too much."""
        self.sha256: Final = sha256(data).hexdigest()
        if len(data) > MOST_BYTES:
            raise FileRefused(f"over {MOST_BYTES >> 20} MiB: this is no table of countries")
        _refuse_boundless(data)
        with _read_by_calamine("no .xlsx workbook"):
            self._workbook: Final = CalamineWorkbook.from_filelike(io.BytesIO(data))
        if not self.sheets:
            raise FileRefused("no .xlsx workbook: it has no sheet")

    @property
    def sheets(self) -> list[str]:
        """The names of the sheets, in their order."""
        return list(self._workbook.sheet_names)

    def rows(self, sheet: str) -> list[Row]:
        """All rows from the first on; row N of a person is the N-1st. Raises FileRefused."""
        if sheet not in self.sheets:
            raise FileRefused(f"there is no sheet {sheet!r}; there are {', '.join(map(repr, self.sheets))}")
        with _read_by_calamine(f"sheet {sheet!r} cannot be read"):
            rows = self._workbook.get_sheet_by_name(sheet).to_python(skip_empty_area=False)
        width = max(map(len, rows), default=0)
        return [[*map(_plain, row), *[""] * (width - len(row))] for row in rows]


def column(heading: Row, wanted: str, row: int) -> int:
    """Where a column stands, by its heading, whatever the case. Raises FileRefused when it is not there once."""
    places = [at for at, cell in enumerate(heading) if isinstance(cell, str) and cell.casefold() == wanted.casefold()]
    if len(places) != 1:
        found = "is not there" if not places else "is there more than once"
        raise FileRefused(f"row {row}: the heading {wanted!r} {found}: this is not the publisher's form")
    return places[0]


def _plain(cell: object) -> object:
    return cell.strip() if isinstance(cell, str) else cell


def text(cell: object) -> str:
    """What a cell says."""
    return cell if isinstance(cell, str) else "" if cell is None else str(cell)


def _refuse_boundless(data: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            refuse_boundless(archive)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, OSError, EOFError, NotImplementedError, zlib.error) as error:
        raise FileRefused(f"no .xlsx workbook: {error}") from error
    except (ValueError, RuntimeError) as error:  # a member that is encrypted, or whose name is no name
        if isinstance(error, FileRefused):
            raise
        raise FileRefused(f"no .xlsx workbook: {error}") from error


@contextmanager
def _read_by_calamine(what: str) -> Iterator[None]:
    """Whatever the reader stumbles over, in the file's name: what its Rust panics over is no Exception to Python."""
    try:
        yield
    except (CalamineError, OSError, ValueError) as error:
        raise FileRefused(f"{what}: {error}") from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise FileRefused(f"{what}: the reader gave up: {error}") from error
