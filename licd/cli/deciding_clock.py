"""licctl clock."""

import typer

from licd.cli.desk import Desk
from licd.cli.options import Detail
from licd.cli.times import when
from licd.cli.verb import verb
from licd.v1.status_service_pb2 import AcceptClockRequest
from licd.v1.status_service_pb2_grpc import StatusServiceStub

app = typer.Typer(add_completion=False, no_args_is_help=True, help="The clock by which licd decides everything.")


@app.callback()
def clock() -> None:
    """The clock by which everything is decided."""


@verb(app, "accept")
def accept(desk: Desk, detail: Detail) -> None:
    """Say that licd's clock is right after a jump; granting goes on. Suspension never waits for this."""
    request = AcceptClockRequest(request_id=desk.request_id(), detail=detail)
    found = desk.ask(StatusServiceStub(desk.channel).AcceptClock, request)
    desk.printer.record(
        found, [("its time", when(found.now_ms, desk.now)), ("clock mark", when(found.mark_ms, desk.now))]
    )
