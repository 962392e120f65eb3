"""`licd doctor`."""

from __future__ import annotations

import json
from collections.abc import Iterator

import typer

from licd.server.clock import SystemClock
from licd.server.command.exits import Exit, one_line
from licd.server.command.options import Output, OutputForm, State, single
from licd.server.doctor.examine import Examined, examine, verdict
from licd.server.doctor.finding import Level


def doctor(state: State, output: OutputForm = Output.TABLE) -> None:
    """Say how a state directory is and what to do: clock, disk, SQLite, keys, certificates, log, ratchet, policies.

    Changes nothing; works while licd serves. Exit 0 when nothing fails, 1 when something does.
    """
    clock = SystemClock()
    found = examine(state, clock.wall(), clock)
    result = verdict(found)
    if output is Output.JSON:
        typer.echo(json.dumps({"verdict": result, "findings": [_fields(each) for each in found]}, indent=2))
    else:
        typer.echo("\n".join(_lines(found)))
        typer.echo(f"{len(found)} findings; {result}")
    if result is Level.FAIL:
        raise typer.Exit(Exit.REFUSED)


def _fields(examined: Examined) -> dict[str, str]:
    finding = examined.finding
    return {"check": examined.check, "level": finding.level, "what": finding.what, "todo": finding.todo}


def _lines(found: list[Examined]) -> Iterator[str]:
    width = max(len(each.check) for each in found)
    for each in found:
        finding = each.finding
        yield f"{finding.level:<4}  {each.check:<{width}}  {one_line(finding.what)}"
        if finding.todo:
            yield f"{'':<4}  {'':<{width}}  → {one_line(finding.todo)}"


app = single(doctor)
