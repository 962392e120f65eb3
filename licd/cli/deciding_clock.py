"""licctl clock."""

import typer

from licd.cli.consent import widen
from licd.cli.desk import Desk
from licd.cli.options import Detail
from licd.cli.times import span, when
from licd.cli.verb import verb
from licd.core.bounds import CLOCK_JUMP
from licd.core.time import Millis
from licd.v1.status_service_pb2 import AcceptClockRequest, GetStatusRequest
from licd.v1.status_service_pb2_grpc import StatusServiceStub

app = typer.Typer(add_completion=False, no_args_is_help=True, help="The clock by which licd decides everything.")


@app.callback()
def clock() -> None:
    """The clock by which everything is decided."""


@verb(app, "accept")
def accept(desk: Desk, detail: Detail) -> None:
    """Say that licd's clock is right after a jump; granting goes on. Suspension never waits for this.

    Alone, where the clock is in step again with the time that has passed; where licd's time moves by it, a second
    person must sign.
    """
    status = StatusServiceStub(desk.channel)
    move = desk.ask(status.GetStatus, GetStatusRequest()).clock_move_ms
    if not desk.printer.is_json:
        desk.printer.line(f"licd's time {move_words(move)}")
    request = AcceptClockRequest(request_id=desk.request_id(), detail=detail, move_ms=move)
    found = widen(desk, status.AcceptClock, request).accepted
    desk.printer.record(
        found, [("its time", when(found.now_ms, desk.now)), ("clock mark", when(found.mark_ms, desk.now))]
    )


def move_words(move: Millis) -> str:
    """What accepting the clock does to the time by which everything is decided."""
    if abs(move) <= CLOCK_JUMP:
        return "stays what it is: its clock is in step"
    return f"moves {'forward' if move > 0 else 'back'} by {span(abs(move))}"
