"""licctl licence continuity: for a planned outage of licd."""

from typing import Annotated

import typer

from licd.cli.consent import widen
from licd.cli.desk import Desk
from licd.cli.json_form import as_json
from licd.cli.licence_grant import Named
from licd.cli.options import Detail
from licd.cli.times import bound_time, parse_instant
from licd.cli.verb import verb
from licd.core.time import Instant
from licd.v1 import licence_service_pb2 as pb
from licd.v1.licence_service_pb2_grpc import LicenceServiceStub

app = typer.Typer(add_completion=False)


@verb(app, "continuity")
def continuity(
    desk: Desk,
    licence: Named,
    *,
    until: Annotated[
        Instant,
        typer.Option(parser=parse_instant, metavar="INSTANT", help="The outage is over by then; 24 hours at most."),
    ],
    detail: Detail,
    deployment: Annotated[str, typer.Option(metavar="DEPLOYMENT", help="Only this system; else all of them.")] = "",
) -> None:
    """Let a licence's systems go on, once, while licd is away. Always needs a second person.

    It holds for the leases they have then. Until its end their seats stay held, and who cannot be reached goes on.
    """
    request = pb.IssueContinuityPermitRequest(
        request_id=desk.request_id(), licence=licence, deployment=deployment, until_ms=until, detail=detail
    )
    issued = widen(desk, LicenceServiceStub(desk.channel).IssueContinuityPermit, request).issued
    if desk.printer.is_json:
        desk.printer.value(as_json(issued))
        return
    desk.printer.table(
        ["DEPLOYMENT", "CONTINUITY", "LEASES", "LATEST HARD END"],
        [
            [one.deployment, one.continuity, str(one.leases), bound_time(one.latest_hard_end_ms, desk.now)]
            for one in issued.permits
        ],
    )
    desk.printer.line("each system has it with the answer to its next heartbeat")
