"""Registers a command: `@verb(app, "list")` over a function that takes its Desk first.

The options that every command has (where licd is, as whom, in which form) are added here, once; before the noun they
hold as well.
"""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer

from licd.cli.desk import Desk
from licd.cli.settings import Choice
from licd.cli.surroundings import Invocation, Output

PANEL: Final = "Who, where, how"

F = TypeVar("F", bound=Callable[..., None])


def _shared(
    state: Annotated[
        Path | None, typer.Option(metavar="DIR", help="State directory made by `licd init`.", rich_help_panel=PANEL)
    ] = None,
    as_: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="Operator in it to act as.", rich_help_panel=PANEL)
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Settings in place of --state.", rich_help_panel=PANEL)
    ] = None,
    output: Annotated[
        Output | None, typer.Option("--output", "-o", help="For people or for programs.", rich_help_panel=PANEL)
    ] = None,
) -> None:
    """The options that every command has."""


_SHARED: Final = tuple(inspect.signature(_shared).parameters.values())


def verb(app: typer.Typer, name: str | None = None) -> Callable[[F], F]:
    """Adds the function below as a command of this name, or as the only one. Its first argument is the Desk."""

    def register(function: F) -> F:
        app.command(name)(_command(function))
        return function

    return register


def _command(function: Callable[..., None]) -> Callable[..., None]:
    def run(ctx: typer.Context, **given: Any) -> None:
        before: Invocation = ctx.find_root().obj
        choice = Choice(given.pop("state"), given.pop("as_"), given.pop("config")).over(before.choice)
        desk = Desk(before.surroundings, choice, given.pop("output") or before.output)
        try:
            function(desk, **given)
        finally:
            desk.close()

    own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
    context = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in (*own, *_SHARED)]
    run.__signature__ = inspect.Signature([context, *parameters])  # type: ignore[attr-defined]  # what typer reads
    run.__annotations__ = {one.name: one.annotation for one in (context, *parameters)}
    run.__doc__, run.__name__ = function.__doc__, function.__name__
    return run
