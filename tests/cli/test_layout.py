"""Tables fit the terminal they are shown on; what goes to a file stays as wide as it is."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licd.cli.layout import NARROWEST, pair_lines, table_lines
from tests.daemon import ROOT

HEADERS = ("APPROVAL", "STATUS", "SUMMARY")
ROWS = [
    ("A-0123456789abcdef", "pending", "issue licence north-1 to north, for 90 days from its issue, " * 3),
    ("A-2", "", "x"),
]

WORDS = st.lists(st.text("abc-", min_size=1, max_size=12), max_size=12).map(" ".join)


def test_a_table_that_fits_is_left_as_it_is():
    assert table_lines(("A", "B"), [("1", "two words")], 80) == ["A  B", "1  two words"]


def test_a_table_for_a_file_is_as_wide_as_it_is():
    assert [len(line) for line in table_lines(HEADERS, ROWS, None)][1] > 200


@pytest.mark.parametrize("width", [80, 120])
def test_a_long_text_is_broken_between_words_and_no_id_is(width: int):
    lines = table_lines(HEADERS, ROWS, width)
    assert max(map(len, lines)) <= width
    assert lines[1].startswith("A-0123456789abcdef  pending  issue licence")
    assert lines[-1].startswith("A-2 ")


def test_where_columns_cannot_fit_each_row_has_lines_of_its_own():
    lines = table_lines(("LEASE", "TARGET"), [("1", "ab" * 32), ("2", "cd" * 32)], 40)
    assert lines == ["LEASE   1", f"TARGET  {'ab' * 32}", "", "LEASE   2", f"TARGET  {'cd' * 32}"]


def test_a_value_that_does_not_fit_goes_on_below_itself():
    assert pair_lines([("you may", "one two three four five six")], 30) == [
        "you may  one two three four",
        "         five six",
    ]


@given(st.lists(st.tuples(WORDS, WORDS, WORDS), min_size=1, max_size=4), st.integers(NARROWEST + len("THREE") + 2, 130))
def test_nothing_is_lost_and_nothing_is_wider_than_the_longest_word_needs(rows: list[tuple[str, str, str]], width: int):
    headers = ("ONE", "TWO", "THREE")
    lines = table_lines(headers, rows, width)
    longest = max(len(word) for row in rows for cell in row for word in cell.split(" "))
    assert max(map(len, lines)) <= max(width, longest + len("THREE") + 2)
    found, wanted = "".join("".join(lines).split()), [word for row in rows for cell in row for word in cell.split()]
    assert all(word in found for word in wanted)


def shown_on_a_terminal(columns: int, *command: str) -> list[str]:
    """What a command writes to a terminal of so many columns."""
    upper, lower = pty.openpty()
    fcntl.ioctl(lower, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
    with subprocess.Popen(command, stdout=lower, cwd=ROOT, env=environment) as process:
        os.close(lower)
        data = b""
        try:
            while part := os.read(upper, 65536):
                data += part
        except OSError:  # the other side is closed: all has been read
            pass
        assert process.wait() == 0
    os.close(upper)
    return data.decode().replace("\r\n", "\n").splitlines()


@pytest.mark.parametrize("columns", [80, 120])
def test_a_terminal_is_asked_how_wide_it_is(columns: int, tmp_path: Path):
    program = (
        "from licd.cli.printing import Printer; from licd.cli.surroundings import Output;"
        f"Printer(Output.TABLE).table({HEADERS!r}, {ROWS!r})"
    )
    lines = shown_on_a_terminal(columns, sys.executable, "-c", program)
    assert columns - 25 < max(map(len, lines)) <= columns
    piped = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, cwd=ROOT, encoding="utf-8")
    assert max(map(len, piped.stdout.splitlines())) > 200
