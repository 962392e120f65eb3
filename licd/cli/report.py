"""licctl report: the transparency report, counted from the log alone."""

import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Annotated, Final

import typer

from licd import __version__
from licd.cli.desk import Desk
from licd.cli.failure import Exit, Stopped
from licd.cli.options import new_file
from licd.cli.report_form import FORM, Report, report_of
from licd.cli.times import iso, parse_instant
from licd.cli.verb import verb
from licd.core.report import Reckoning
from licd.core.time import Instant
from licd.evidence.entry import Entry
from licd.evidence.export import MAX_LINE_CHARACTERS, entries_of
from licd.v1.log_service_pb2 import ExportLogRequest
from licd.v1.log_service_pb2_grpc import LogServiceStub
from licd.wire.report_entries import told_of

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="The transparency report: figures from the log alone."
)

LEAST: Final = 5


@verb(app, "build")
def build(
    desk: Desk,
    *,
    start: Annotated[Instant, typer.Option("--from", parser=parse_instant, metavar="INSTANT", help="From here.")],
    end: Annotated[Instant, typer.Option("--to", parser=parse_instant, metavar="INSTANT", help="Until here.")],
    log: Annotated[
        Path | None, typer.Option("--log", metavar="FILE", help="A log as `log export` wrote it; else licd's own.")
    ] = None,
    least: Annotated[
        int, typer.Option("--least", min=2, max=1000, help="Smaller cells of a breakdown are left out.")
    ] = LEAST,
    save: Annotated[
        Path | None, typer.Option("--save", metavar="FILE", callback=new_file, help="Write it to a new file.")
    ] = None,
) -> None:
    """Build the report of a period: JSON. Verify the log first: `log verify`."""
    if start >= end:
        raise Stopped(Exit.USAGE, f"--from {iso(start)} is not before --to {iso(end)}")
    reckoning, size = Reckoning(start, end, least), 0

    def counted() -> Iterator[tuple[int, Entry]]:
        nonlocal size
        for index, entry in entries_of(_licds_log(desk) if log is None else _lines(log)):
            size = index + 1
            yield index, entry

    reckoning.hear(told_of(counted()))
    text = report_of(reckoning.figures(), start, end, least, size, __version__).model_dump_json(indent=2) + "\n"
    if save is None:
        desk.printer.text(text)
    else:
        save.write_text(text, encoding="utf-8")


@verb(app, "schema")
def schema(desk: Desk) -> None:
    """Print the JSON schema of a report."""
    desk.printer.text(json.dumps({"$id": FORM, **Report.model_json_schema()}, indent=2))


def _licds_log(desk: Desk) -> Iterator[str]:
    parts = desk.stream(LogServiceStub(desk.channel).ExportLog, ExportLogRequest())
    return chain.from_iterable(part.lines for part in parts)


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from iter(lambda: file.readline(MAX_LINE_CHARACTERS + 2), b"")
