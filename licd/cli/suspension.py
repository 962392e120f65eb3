"""What a suspension would hit, and how long the last system can still act: W, shown before and after."""

from typing import Final

from licd.cli.desk import Desk
from licd.cli.json_form import as_json
from licd.cli.printing import Pairs
from licd.cli.times import bound_time, iso, span
from licd.core.time import SECOND, Instant, Millis
from licd.v1 import licence_service_pb2 as pb
from licd.v1.licence_service_pb2_grpc import LicenceServiceStub

NOTHING_DONE: Final = "nothing was done; add --yes"
MOST_ROWS: Final = 40
"""Systems shown one by one; of the rest, only the count."""
_PATIENCE: Final[Millis] = 5 * SECOND


def preview(desk: Desk, scope: pb.SuspensionScope, reason: str = "") -> pb.PreviewSuspensionResponse:
    """Asks what suspending this would hit, for this reason. Changes nothing; waits less long than other calls."""
    method = LicenceServiceStub(desk.channel).PreviewSuspension
    return desk.ask(method, pb.PreviewSuspensionRequest(scope=scope, reason_code=reason), _PATIENCE)


def show_preview(desk: Desk, scope: pb.SuspensionScope, found: pb.PreviewSuspensionResponse) -> None:
    """Shows it, and that nothing was done."""
    if desk.printer.is_json:
        desk.printer.value({"done": False, "preview": as_json(found)})
        return
    print_preview(desk, scope, found)
    desk.printer.line(NOTHING_DONE)


def print_preview(desk: Desk, scope: pb.SuspensionScope, found: pb.PreviewSuspensionResponse) -> None:
    """What it hits, and the bounds, for people."""
    connected = sum(one.connected for one in found.systems)
    desk.printer.pairs(
        [
            ("scope", scope_words(scope)),
            ("licences", f"{len(found.licences)}: {_some(list(found.licences))}"),
            ("systems", f"{len(found.systems)}: {connected} connected, {len(found.systems) - connected} silent"),
            ("live leases", str(found.live_leases)),
            *bounds_pairs(found.bounds, desk.now),
        ]
    )
    if found.systems:
        _print_systems(desk, found)


def scope_words(scope: pb.SuspensionScope) -> str:
    """`licence L`, `every licence of customer C`, `EVERY licence`."""
    match scope.WhichOneof("scope"):
        case "licence":
            return f"licence {scope.licence}"
        case "customer":
            return f"every licence of customer {scope.customer}"
        case _:
            return "EVERY licence of every customer"


def bounds_pairs(bounds: pb.StopBounds, now: Instant) -> Pairs:
    """W by what still reaches a system, and the latest hard end on record as a clock time."""
    hard_end = bound_time(bounds.latest_hard_end_ms, now) if bounds.latest_hard_end_ms else "none on record"
    until = bounds.continuity_until_ms
    added: Pairs = [("continuity permit", f"holds until {bound_time(until, now)}")] if until else []
    return [
        ("W connected", f"{span(bounds.push_ms)} (pushed)"),
        ("W heart-beating", f"{span(bounds.pull_ms)} (told in the next reply)"),
        ("W unreachable", f"{span(bounds.unreachable_ms)} (its permit runs out)"),
        ("latest hard end", hard_end),
        *added,
    ]


def effective_by(decided: Instant, bounds: pb.StopBounds) -> Instant:
    """When the last honest system has stopped, whatever reaches it."""
    return max(decided + bounds.unreachable_ms, bounds.latest_hard_end_ms)


def _print_systems(desk: Desk, found: pb.PreviewSuspensionResponse) -> None:
    first = sorted(found.systems, key=lambda one: (one.connected, -one.latest_hard_end_ms, one.deployment))
    desk.printer.table(
        ["DEPLOYMENT", "LICENCE", "REACH", "LIVE", "LAST CONTACT", "LATEST HARD END"],
        [
            [
                one.deployment,
                one.licence,
                "connected" if one.connected else "silent",
                str(one.live_leases),
                iso(one.last_contact_ms),
                iso(one.latest_hard_end_ms),
            ]
            for one in first[:MOST_ROWS]
        ],
    )
    if len(first) > MOST_ROWS:
        desk.printer.line(f"and {len(first) - MOST_ROWS} more, connected or ending earlier")


def _some(names: list[str]) -> str:
    shown = 8
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if len(names) > shown else "")
