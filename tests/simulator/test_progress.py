"""The live table can be read on the terminal that there is."""

import io

import pytest
from rich.console import Console

from simulator.progress import COLUMNS, drawn

ROWS = [
    (
        "acme-missing-persons-north-2026",
        "acme-search-and-rescue",
        "suspended",
        "250",
        "248",
        "9",
        "40/40",
        "104233",
        "9",
    ),
    ("beta-1", "beta", "active", "4", "0", "0", "1/2", "7", "0"),
]


def lines(width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(drawn("Demo: 12 of 60 s", ROWS, width))
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue().splitlines()


@pytest.mark.parametrize("width", [80, 100, 160])
def test_every_licence_has_one_line_with_every_figure(width: int):
    _, head, first, second = lines(width)
    shown = [name for name in COLUMNS if width >= 100 or name != "customer"]
    assert " ".join(head.split()) == " ".join(shown)
    for line, row in ((first, ROWS[0]), (second, ROWS[1])):
        assert line.split()[-7:] == list(row[2:])
        assert len(line) <= width


def test_a_wide_terminal_shows_whose_a_licence_is():
    assert "acme-search-and-rescue" in lines(160)[2]
    assert "acme-search" not in lines(80)[2]
