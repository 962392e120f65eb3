"""How wide a table may be: what a terminal shows is fitted to it, what goes to a file is left as it is.

An id that is broken over two lines cannot be copied: text is broken between words alone.
"""

import shutil
import sys
from collections.abc import Sequence
from textwrap import wrap
from typing import Final

GAP: Final = 2
NARROWEST: Final = 20
"""Of a value beside its name; on a terminal that leaves it less, it is not broken."""

Rows = Sequence[Sequence[str]]


def terminal_width() -> int | None:
    """Columns of the terminal that standard output is; None when it is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def table_lines(headers: Sequence[str], rows: Rows, width: int | None) -> list[str]:
    """Columns side by side; where they do not fit, with long texts broken; where that is not enough, row by row."""
    widths = [max(map(len, column)) for column in zip(headers, *rows, strict=True)]
    if width is None or _total(widths) <= width:
        return _side_by_side([headers, *rows], widths)
    least = [max(map(_longest_word, column)) for column in zip(headers, *rows, strict=True)]
    if _total(least) <= width:
        return _side_by_side([headers, *rows], _narrowed(widths, least, width))
    blocks = [pair_lines(list(zip(headers, row, strict=True)), width) for row in rows]
    return [line for at, block in enumerate(blocks) for line in ([""] if at else []) + block]


def pair_lines(pairs: Sequence[tuple[str, str]], width: int | None) -> list[str]:
    """Names and values, a line each; a value that does not fit goes on below itself."""
    beside = max((len(name) for name, _ in pairs), default=0)
    room = None if width is None or width - beside - GAP < NARROWEST else width - beside - GAP
    return [
        f"{name if at == 0 else '':<{beside}}{' ' * GAP}{line}".rstrip()
        for name, value in pairs
        for at, line in enumerate(_broken(value, room))
    ]


def _side_by_side(rows: Rows, widths: Sequence[int]) -> list[str]:
    lines: list[str] = []
    for row in rows:
        cells = [_broken(cell, width) for cell, width in zip(row, widths, strict=True)]
        for at in range(max(map(len, cells))):
            parts = [
                (cell[at] if at < len(cell) else "").ljust(width) for cell, width in zip(cells, widths, strict=True)
            ]
            lines.append((" " * GAP).join(parts).rstrip())
    return lines


def _narrowed(widths: Sequence[int], least: Sequence[int], width: int) -> list[int]:
    """The widest column that can still give gives, until all fit."""
    narrowed = list(widths)
    while _total(narrowed) > width:
        at = max((at for at in range(len(narrowed)) if narrowed[at] > least[at]), key=narrowed.__getitem__)
        narrowed[at] -= 1
    return narrowed


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)


def _longest_word(text: str) -> int:
    return max(map(len, text.split(" ")))


def _broken(text: str, width: int | None) -> list[str]:
    if width is None or len(text) <= width:
        return [text]
    return wrap(text, width, break_long_words=False, break_on_hyphens=False) or [text]
