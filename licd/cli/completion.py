"""licctl completion."""

from enum import StrEnum
from typing import Annotated

import typer
from typer._completion_shared import get_completion_script

app = typer.Typer(add_completion=False)


class Shell(StrEnum):
    """Shells that can complete."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


@app.command()
def completion(shell: Annotated[Shell, typer.Argument(help="Which one.")]) -> None:
    """Print the script that completes licctl in a shell: `source <(licctl completion bash)`."""
    typer.echo(get_completion_script(prog_name="licctl", complete_var="_LICCTL_COMPLETE", shell=shell.value))
