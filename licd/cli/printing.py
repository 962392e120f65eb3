"""Answers on paper: tables and pairs for people, JSON for programs. Nothing a message says can steer the terminal."""

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from licd.cli.json_form import as_json
from licd.cli.layout import pair_lines, table_lines, terminal_width
from licd.cli.surroundings import Output

Pairs = Sequence[tuple[str, str]]
Columns = Sequence[tuple[str, Callable[[Any], str]]]


def clean(text: str) -> str:
    """The text with every character that is not printable written as an escape."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


@dataclass(frozen=True, slots=True)
class Printer:
    """Writes to standard output in the form that was asked for, remarks to standard error."""

    output: Output

    @property
    def is_json(self) -> bool:
        """Whether a program reads this."""
        return self.output is Output.JSON

    def line(self, text: str = "") -> None:
        """One line for people, in either form: for text whose lines are the answer."""
        sys.stdout.write(clean(text) + "\n")

    def text(self, text: str) -> None:
        """A text of several lines that the caller vouches for: armour, scripts."""
        sys.stdout.write(text if text.endswith("\n") else text + "\n")

    def remark(self, text: str) -> None:
        """One line beside the answer, on standard error."""
        sys.stderr.write(clean(text) + "\n")

    def value(self, value: Any) -> None:
        """A JSON value, in ASCII: a terminal shows what a program reads."""
        sys.stdout.write(json.dumps(value, indent=2) + "\n")

    def record(self, message: Message, pairs: Pairs) -> None:
        """One thing: the whole message as JSON, or what people look at."""
        if self.is_json:
            self.value(as_json(message))
        else:
            self.pairs(pairs)

    def records(self, name: str, messages: Iterable[Message], columns: Columns, next_page_token: str = "") -> None:
        """Many things: an object with the list and the token of the next page, or a table."""
        found = list(messages)
        if self.is_json:
            self.value({name: [as_json(one) for one in found], "next_page_token": next_page_token})
            return
        self.table([header for header, _ in columns], [[cell(one) for _, cell in columns] for one in found])
        if next_page_token:
            self.remark(f"there are more: --page-token {next_page_token}, or --all")

    def pairs(self, pairs: Pairs) -> None:
        """Names and values, a line each; a name that is empty goes on with the one above."""
        cleaned = [(clean(name), clean(value)) for name, value in pairs]
        sys.stdout.write("".join(f"{line}\n" for line in pair_lines(cleaned, terminal_width())))

    def table(self, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table that fits the terminal, where standard output is one."""
        cleaned = [[clean(cell) for cell in row] for row in rows]
        sys.stdout.write("".join(f"{line}\n" for line in table_lines(headers, cleaned, terminal_width())))


def rich_table(headers: Sequence[str], rows: Sequence[Sequence[str]], styles: Sequence[str] = ()) -> Any:
    """A table that a terminal redraws; `styles` has one style for each row, or is empty."""
    from rich import box  # noqa: PLC0415 -- only what is redrawn waits for it
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for header in headers:
        table.add_column(header, overflow="fold")
    for at, row in enumerate(rows):
        style = styles[at] if styles else ""
        table.add_row(*(Text(clean(cell), style=style) for cell in row))
    return table
