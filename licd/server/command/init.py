"""`licd init`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from licd.server.command.log_lines import log_to_stderr
from licd.server.command.options import PassphraseFile, State, passphrase_in, single
from licd.server.initialise import Wishes, initialise


def init(
    state: State,
    trust_domain: Annotated[str, typer.Option(help="SPIFFE trust domain; also names the issuer.")] = "licd.example",
    operator: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="An operator; at least two. [default: alice, bob]")
    ] = None,
    host: Annotated[
        list[str] | None,
        typer.Option(help="Name or address in the listeners' certificate. [default: localhost, 127.0.0.1]"),
    ] = None,
    base_port: Annotated[int, typer.Option(min=1, max=65000, help="First of four ports.")] = 7441,
    policies: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Policies to copy in. [default: the examples]")
    ] = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Make a state directory: keys, a development authority, configuration, database, operators. Overwrites nothing.

    It is there when it is whole, and not before.
    """
    log_to_stderr()
    wishes = Wishes(
        trust_domain=trust_domain,
        operators=operator or ["alice", "bob"],
        hosts=host or ["localhost", "127.0.0.1"],
        base_port=base_port,
        policies=policies or packaged_policies(),
        passphrase=passphrase_in(passphrase_file),
    )
    initialise(state, wishes)
    typer.echo(f"made {state}: operators {', '.join(wishes.operators)}; ports {base_port} to {base_port + 3}")
    typer.echo(f"move {state}/root off this machine: whoever has two of those keys decides whom systems trust")


def packaged_policies() -> Path:
    """The example policies that came with licd: in the package, or beside it in a checkout."""
    package = Path(__file__).parents[2]
    inside = package / "policies"
    return inside if inside.is_dir() else package.parent / "policies"


app = single(init)
