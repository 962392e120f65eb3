"""licctl licence suspend, follow, terminate."""

from typing import Annotated, Any, Final

import typer

from licd.cli.desk import Desk
from licd.cli.failure import Exit, Stopped
from licd.cli.follow import finish, follow
from licd.cli.json_form import as_json
from licd.cli.licence_grant import Named
from licd.cli.licence_view import licence_pairs
from licd.cli.options import Detail, Reason, Yes
from licd.cli.suspension import bounds_pairs, effective_by, preview, print_preview, show_preview
from licd.cli.times import bound_time, clock_time, parse_duration
from licd.cli.verb import verb
from licd.core.errors import LicdError
from licd.core.time import SECOND, Millis
from licd.v1 import licence_service_pb2 as pb
from licd.v1.licence_service_pb2_grpc import LicenceServiceStub

app = typer.Typer(add_completion=False)

_MARGIN: Final[Millis] = 30 * SECOND

Timeout = Annotated[
    Millis | None,
    typer.Option(
        parser=parse_duration,
        metavar="SPAN",
        help="How long to follow at most, as 90s; else until settled, or W is over.",
    ),
]


@verb(app, "suspend")
def suspend(
    desk: Desk,
    *,
    reason: Reason,
    detail: Detail,
    licence: Annotated[str, typer.Option(metavar="LICENCE", help="This one.")] = "",
    customer: Annotated[str, typer.Option(metavar="CUSTOMER", help="Every licence of this customer.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Every licence there is.")] = False,
    yes: Yes = False,
    no_follow: Annotated[bool, typer.Option("--no-follow", help="Do not wait for the systems to stop.")] = False,
    timeout: Timeout = None,
) -> None:
    """Suspend, alone and at once. Shows what it hits and W; with --yes does it, and follows until all have stopped.

    Ends with 8 when the wait is over and a system has not confirmed: it is bounded by W, and not known to have stopped.
    """
    scope = _scope(licence, customer, everything)
    if not reason.strip() or not detail.strip():
        raise Stopped(Exit.USAGE, "--reason, --detail: say why; it is logged")
    if not yes:
        show_preview(desk, scope, preview(desk, scope, reason))
        return
    seen = _preview_if_possible(desk, scope)
    request = pb.SuspendLicenceRequest(request_id=desk.request_id(), scope=scope, reason_code=reason, detail=detail)
    done = desk.ask(LicenceServiceStub(desk.channel).SuspendLicence, request)
    if not desk.printer.is_json:
        _print_done(desk, done)
    state, lost = (None, None) if no_follow else _follow_done(desk, done, timeout)
    if desk.printer.is_json:
        desk.printer.value(
            {
                "done": True,
                "preview": as_json(seen) if seen else None,
                "suspended": as_json(done),
                "effective_by_ms": effective_by(done.decided_ms, done.bounds),
                "state": as_json(state) if state else None,
            }
        )
    if lost:
        raise Stopped(
            Exit.UNCONFIRMED, f"suspended, NOT confirmed ({lost}); go on: licctl licence follow {done.suspension}"
        )
    if state:
        finish(desk, state)


@verb(app, "follow")
def follow_(
    desk: Desk,
    suspension: Annotated[str, typer.Argument(metavar="SUSPENSION", help="As `licence suspend` printed it.")],
    *,
    timeout: Timeout = None,
) -> None:
    """Follow a suspension: who has acknowledged, who is unconfirmed and until when, who has run out."""
    state = follow(desk, pb.GetSuspensionResponse(suspension=suspension), timeout)
    if desk.printer.is_json:
        desk.printer.value(as_json(state))
    finish(desk, state)


@verb(app, "terminate")
def terminate(desk: Desk, licence: Named, *, reason: Reason, detail: Detail, yes: Yes = False) -> None:
    """End a licence for good. Shows what it hits; --yes does it. Nothing brings it back."""
    scope = pb.SuspensionScope(licence=licence)
    if not yes:
        show_preview(desk, scope, preview(desk, scope))
        return
    request = pb.TerminateLicenceRequest(
        request_id=desk.request_id(), licence=licence, reason_code=reason, detail=detail
    )
    found = desk.ask(LicenceServiceStub(desk.channel).TerminateLicence, request).licence
    desk.printer.record(found, licence_pairs(found, desk.now))


def _scope(licence: str, customer: str, everything: bool) -> pb.SuspensionScope:
    chosen: list[dict[str, Any]] = []
    chosen += [{"licence": licence}] if licence else []
    chosen += [{"customer": customer}] if customer else []
    chosen += [{"all": True}] if everything else []
    if len(chosen) != 1:
        raise Stopped(Exit.USAGE, "--licence, --customer, --all: give exactly one of the three")
    return pb.SuspensionScope(**chosen[0])


def _preview_if_possible(desk: Desk, scope: pb.SuspensionScope) -> pb.PreviewSuspensionResponse | None:
    """Whoever said --yes wants it stopped: a preview that fails is said, and does not stand in the way."""
    try:
        seen = preview(desk, scope)
    except (LicdError, Stopped) as error:
        desk.printer.remark(f"no preview: {error}")
        return None
    if not desk.printer.is_json:
        print_preview(desk, scope, seen)
    return seen


def _follow_done(
    desk: Desk, done: pb.SuspendLicenceResponse, timeout: Millis | None
) -> tuple[pb.GetSuspensionResponse | None, Exception | None]:
    """Follows what has just been decided: to the end of W and a little more, unless told otherwise.

    An error is a value here: the suspension stands, and must be reported as what it is.
    """
    known = pb.GetSuspensionResponse(suspension=done.suspension, decided_ms=done.decided_ms, now_ms=done.decided_ms)
    longest = effective_by(done.decided_ms, done.bounds) - done.decided_ms + _MARGIN
    try:
        return follow(desk, known, longest if timeout is None else timeout), None
    except (LicdError, Stopped) as error:
        return None, error


def _print_done(desk: Desk, done: pb.SuspendLicenceResponse) -> None:
    now = desk.now
    suspended = [f"{one.licence}, epoch {one.epoch}" for one in done.licences]
    desk.printer.pairs(
        [
            ("suspension", done.suspension),
            *[("suspended" if at == 0 else "", words) for at, words in enumerate(suspended)],
            ("decided at", clock_time(done.decided_ms, now)),
            *bounds_pairs(done.bounds, now),
        ]
    )
    desk.printer.line(f"effective everywhere by {bound_time(effective_by(done.decided_ms, done.bounds), now)}")
