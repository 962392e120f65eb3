"""`licd`: make a state directory, serve it, look after it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Final

import structlog
import typer

from licd import __version__
from licd.core.errors import LicdError
from licd.keys.errors import KeysError
from licd.ledger.log import LogRefused
from licd.ledger.schema import SchemaRefused
from licd.server.state_dir import StateDirectory

app = typer.Typer(
    name="licd",
    help="The licence daemon: issues licences that can be suspended, leases that run out, evidence to check.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)

State = Annotated[Path, typer.Option("--state", metavar="DIR", help="State directory.", show_default=False)]
Passphrase = Annotated[
    Path | None,
    typer.Option("--passphrase-file", metavar="FILE", help="File with the passphrase of the key files."),
]

REFUSED: Final = 1


def _passphrase(path: Path | None) -> bytes | None:
    return path.read_bytes().rstrip(b"\n") if path is not None else None


def packaged_policies() -> Path:
    """The example policies that came with licd: in the package, or beside it in a checkout."""
    package = Path(__file__).parent.parent
    inside = package / "policies"
    return inside if inside.is_dir() else package.parent / "policies"


@app.command()
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
    policies: Annotated[Path | None, typer.Option(help="Policies to copy in. [default: the examples]")] = None,
    passphrase_file: Passphrase = None,
) -> None:
    """Make a state directory: keys, a development authority, configuration, database, operators. Overwrites nothing."""
    from licd.server.initialise import Wishes, initialise

    wishes = Wishes(
        trust_domain=trust_domain,
        operators=operator or ["alice", "bob"],
        hosts=host or ["localhost", "127.0.0.1"],
        base_port=base_port,
        policies=policies or packaged_policies(),
        passphrase=_passphrase(passphrase_file),
    )
    initialise(state, wishes)
    typer.echo(f"made {state}: operators {', '.join(wishes.operators)}; ports {base_port} to {base_port + 3}")
    typer.echo(f"move {state}/root off this machine: whoever has two of those keys decides whom systems trust")


@app.command()
def serve(state: State, passphrase_file: Passphrase = None) -> None:
    """Serve a state directory until SIGTERM. Logs JSON lines to standard error."""
    import uvloop

    from licd.server.serve import serve as serve_state

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    uvloop.run(serve_state(state, _passphrase(passphrase_file)))


@app.command()
def hold(
    state: State,
    off: Annotated[bool, typer.Option("--off", help="Sign again.")] = False,
    show: Annotated[bool, typer.Option("--show", help="Only say how it stands.")] = False,
) -> None:
    """Stop all signing on this machine at once; needs no database and no daemon."""
    directory = StateDirectory(state)
    if not state.is_dir():
        raise typer.BadParameter(f"{state} is no state directory", param_hint="--state")
    if off and not show:
        directory.hold.unlink(missing_ok=True)
    elif not show:
        directory.hold.touch(mode=0o600)
    typer.echo("held: nothing is signed on this machine" if directory.held() else "not held: licd signs")


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(f"licd {__version__}")


def main() -> None:
    """Entry of the `licd` command. What licd refuses is one line on standard error, and exit code 1."""
    import os

    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    try:
        app()
    except (LicdError, KeysError, LogRefused, SchemaRefused, OSError) as error:
        typer.echo(f"licd: {error}", err=True)
        sys.exit(REFUSED)
