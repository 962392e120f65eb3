"""`python -m simulator`: run a scenario, or the demonstration."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import Coroutine
from dataclasses import asdict, dataclass
from enum import IntEnum
from json import dumps
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from simulator.clock import RealClock
from simulator.crowd.figures import to_json as to_crowd_json
from simulator.crowd.phase import CrowdFailed
from simulator.crowd.run import all_hold, run_crowd
from simulator.crowd.scenario import is_crowd, load_crowd
from simulator.daemon import DaemonFailed
from simulator.deterministic.many import replay, run_many
from simulator.deterministic.run import Outcome
from simulator.deterministic.world import Shape
from simulator.progress import console_to_stdout, progress_on
from simulator.run import Result, RunFailed, run_scenario
from simulator.scenario import Scenario, ScenarioInvalid, load_scenario, scenario_file
from simulator.summary import in_words, to_json

T = TypeVar("T")


class Exit(IntEnum):
    """How a run ends."""

    OK = 0
    VIOLATION = 1
    UNUSABLE = 2
    """The scenario cannot be read, or the run could not be carried out."""
    NOT_SHOWN = 3
    """No violation, but the run did not show what the scenario expects it to."""
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Place:
    """Where licd is or is to be: an own one on a file, on this database, or the one that serves this directory."""

    state: Path | None = None
    database: str = ""


app = typer.Typer(
    name="simulator",
    help="A fleet of simulated customers, honest and cheating, against a real daemon on loopback.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

SEEDS = (1 << 63) - 1


def _writable(path: Path | None) -> Path | None:
    """Before a run of a minute, and not after it."""
    if path is not None and (path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK)):
        raise typer.BadParameter(f"{path} cannot be written")
    return path


Seed = Annotated[
    int | None, typer.Option(min=0, max=SEEDS, help="Another seed than the scenario's.", show_default=False)
]
Json = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", callback=_writable, help="Write all figures there.")
]
State = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Use the daemon that serves this state directory, not one of its own."),
]
Database = Annotated[
    str,
    typer.Option(
        metavar="URL",
        envvar="SIMULATOR_DATABASE",
        help="An empty PostgreSQL database, for a scenario with replicas.",
        show_default=False,
        show_envvar=True,
    ),
]
Plain = Annotated[bool, typer.Option("--plain", help="Lines instead of a live table.")]


@app.command()
def run(
    scenario: Annotated[
        str, typer.Argument(metavar="SCENARIO", help="A TOML file, or demo, replicas, smoke, fleet-200, fleet-10k.")
    ],
    seed: Seed = None,
    *,
    json: Json = None,
    state: State = None,
    database: Database = "",
    plain: Plain = False,
) -> None:
    """Run a scenario and print what came of it. Exit code 0 only when the oracle found no violation."""
    raise typer.Exit(_run(scenario, seed, json, Place(state, database), plain=plain))


@app.command()
def demo(*, seed: Seed = None, json: Json = None, plain: Plain = False) -> None:
    """About a minute with licences from the example policies, and two suspensions on the way."""
    raise typer.Exit(_run("demo", seed, json, Place(), plain=plain))


@app.command()
def seeds(
    first: Annotated[int, typer.Argument(min=0, metavar="SEED", help="The first seed.")] = 0,
    number: Annotated[int, typer.Option(min=1, help="How many seeds to run.")] = 1,
    processes: Annotated[int, typer.Option(min=1, help="How many at once.")] = 1,
    replicas: Annotated[
        int, typer.Option(min=0, max=9, help="So many licds on one database server; 0: one that has its rows alone.")
    ] = 0,
    shard: Annotated[str, typer.Option(metavar="I/N", help="Only the I-th of N equal parts of them.")] = "1/1",
    *,
    trace: Annotated[bool, typer.Option("--trace", help="Show all that happens.")] = False,
    json: Json = None,
) -> None:
    """Run licd, its SDK and their misfortunes on a virtual clock. Exit code 0 only when no promise was broken."""

    def tell(outcome: Outcome) -> None:
        if trace:
            typer.echo("\n".join(outcome.trace))
        for violation in outcome.violations:
            typer.echo(f"seed {outcome.seed}: {violation}\n    {replay(outcome.seed, shape)}")

    shape = Shape(replicas=replicas)
    first, number = _part(first, number, shard)
    tally = run_many(first, number, processes, tell, shape)
    typer.echo(
        f"{tally.seeds} seeds, {sum(tally.misfortunes.values())} misfortunes, {tally.lives} lives of licd, "
        f"{tally.permits} permits, {tally.refusals} refusals, {tally.acts} acts: {tally.violations} violations"
    )
    if json is not None:
        told = asdict(tally) | {"misfortunes": dict(tally.misfortunes)}  # asdict makes pairs of a Counter's keys
        json.write_text(dumps(told, indent=2) + "\n", encoding="utf-8")
    raise typer.Exit(Exit.VIOLATION if tally.violations else Exit.OK)


def _part(first: int, number: int, shard: str) -> tuple[int, int]:
    """The seeds of one part: where they begin, and how many they are."""
    found = re.fullmatch(r"([1-9]\d{0,3})/([1-9]\d{0,3})", shard)
    part, parts = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= part <= parts:
        raise typer.BadParameter("write I/N, as 1/10, with I from 1 to N", param_hint="--shard")
    begins, ends = number * (part - 1) // parts, number * part // parts
    return first + begins, ends - begins


def _run(name: str, seed: int | None, json: Path | None, place: Place, *, plain: bool) -> Exit:
    if is_crowd(scenario_file(name)):
        if place.state is not None:
            raise typer.BadParameter(f"{name} has phases, each with a daemon of its own", param_hint="--state")
        return _run_crowd(scenario_file(name), json)
    try:
        scenario = load_scenario(scenario_file(name))
        result = asyncio.run(_until_interrupted(scenario if seed is None else scenario.with_seed(seed), place, plain))
    except (ScenarioInvalid, RunFailed, DaemonFailed, OSError) as error:
        typer.echo(f"simulator: {error}", err=True)
        return Exit.UNUSABLE
    except (KeyboardInterrupt, asyncio.CancelledError):
        typer.echo("simulator: interrupted; the daemon is stopped and its directory removed", err=True)
        return Exit.INTERRUPTED
    sys.stdout.write("\n" + in_words(result) + "\n")
    if json is not None:
        json.write_text(to_json(result), encoding="utf-8")
    if not result.verdict.sound:
        return Exit.VIOLATION
    return Exit.NOT_SHOWN if result.trouble else Exit.OK


def _run_crowd(path: Path, json: Path | None) -> Exit:
    """Phases with thousands of systems, each against a daemon of its own."""
    try:
        scenario = load_crowd(path)
        phases = asyncio.run(_interrupted_alike(run_crowd(scenario, RealClock(), _say)))
    except (ScenarioInvalid, CrowdFailed, DaemonFailed, OSError) as error:
        typer.echo(f"simulator: {error}", err=True)
        return Exit.UNUSABLE
    except (KeyboardInterrupt, asyncio.CancelledError):
        typer.echo("simulator: interrupted; what was started is stopped, what was made is removed", err=True)
        return Exit.INTERRUPTED
    if json is not None:
        json.write_text(to_crowd_json(scenario, phases), encoding="utf-8")
    held = all_hold(scenario, phases)
    typer.echo("Everything held." if held else "Not everything held.")
    return Exit.OK if held else Exit.VIOLATION


def _say(words: str) -> None:
    typer.echo(words)
    sys.stdout.flush()


async def _until_interrupted(scenario: Scenario, place: Place, plain: bool) -> Result:  # noqa: FBT001 -- private
    return await _interrupted_alike(
        run_scenario(scenario, RealClock(), progress_on(console_to_stdout(), plain=plain), place.state, place.database)
    )


async def _interrupted_alike(work: Coroutine[Any, Any, T]) -> T:
    """SIGTERM ends a run as tidily as Ctrl-C does."""
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await work


def main() -> None:
    """Entry of `python -m simulator`."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    app()
