"""Follows a suspension until nobody is unconfirmed. What has not confirmed is never shown as stopped."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final

from licd.cli.desk import Desk
from licd.cli.failure import Exit, Stopped
from licd.cli.printing import clean, rich_table
from licd.cli.suspension import MOST_ROWS
from licd.cli.times import bound_time, clock_time
from licd.core.errors import LicdError
from licd.core.time import SECOND, Millis
from licd.v1 import licence_service_pb2 as pb
from licd.v1.licence_service_pb2_grpc import LicenceServiceStub

INTERVAL: Final[Millis] = SECOND
"""How often licd is asked."""
_PATIENCE: Final[Millis] = 5 * SECOND
_ORDER: Final = (
    pb.STOP_STATE_UNCONFIRMED,
    pb.STOP_STATE_UNSPECIFIED,
    pb.STOP_STATE_RUN_OUT,
    pb.STOP_STATE_ACKNOWLEDGED,
)
_STYLES: Final = {pb.STOP_STATE_ACKNOWLEDGED: "green", pb.STOP_STATE_RUN_OUT: "green"}

Watcher = Callable[[pb.GetSuspensionResponse], None]


def follow(desk: Desk, known: pb.GetSuspensionResponse, timeout: Millis | None) -> pb.GetSuspensionResponse:
    """Shows how far it has come until it is settled or the time is up; the last state, either way.

    `known` names the suspension; where it also says when it was decided, a silence of licd does not end the following.
    """
    if desk.printer.is_json:
        return _watch(desk, known, timeout, _look_away)
    if sys.stdout.isatty():
        return _follow_live(desk, known, timeout)
    shown: dict[tuple[str, str], str] = {}

    def print_changes(state: pb.GetSuspensionResponse) -> None:
        for line in changed_lines(state, shown):
            desk.printer.line(line)

    return _watch(desk, known, timeout, print_changes)


def finish(desk: Desk, state: pb.GetSuspensionResponse) -> None:
    """Says how it ended. Raises Stopped(UNCONFIRMED) when somebody is unconfirmed still."""
    counts = count_words(state)
    if not state.settled:
        latest = max((one.bounded_until_ms for one in state.systems if _unconfirmed(one)), default=0)
        bound = f", bounded by W at {bound_time(latest, state.now_ms)}" if latest else ""
        again = f"licctl licence follow {state.suspension}"
        raise Stopped(Exit.UNCONFIRMED, f"suspended, NOT confirmed everywhere ({counts}){bound}; go on: {again}")
    if not desk.printer.is_json:
        desk.printer.line(f"settled: {counts}")


def stop_words(one: pb.SystemStop, state: pb.GetSuspensionResponse) -> str:
    """How one system stands."""
    match one.state:
        case pb.STOP_STATE_ACKNOWLEDGED:
            stopped = f", stopped at {clock_time(one.stopped_at_ms, state.now_ms)}" if one.stopped_at_ms else ""
            return f"acknowledged at {clock_time(one.acknowledged_at_ms, state.now_ms)}{stopped}"
        case pb.STOP_STATE_RUN_OUT:
            if not one.bounded_until_ms:
                return "held no permit when it was suspended; not acknowledged"
            return f"run out at {bound_time(one.bounded_until_ms, state.now_ms)}, not acknowledged"
        case _ if one.bounded_until_ms:
            return f"unconfirmed, bounded by W at {bound_time(one.bounded_until_ms, state.now_ms)}"
        case _:
            return "unconfirmed, no bound known"


def changed_lines(state: pb.GetSuspensionResponse, shown: dict[tuple[str, str], str]) -> Iterator[str]:
    """One line for each system whose state is new; `shown` remembers, and is updated."""
    for one in _in_order(state):
        words, system = stop_words(one, state), (one.licence, one.deployment)
        if shown.get(system) != words:
            shown[system] = words
            yield f"{clock_time(state.now_ms, state.now_ms)}  {one.licence}  {one.deployment}  {words}"


def count_words(state: pb.GetSuspensionResponse) -> str:
    """`2 acknowledged, 1 unconfirmed, 0 run out; 3 leases live`."""
    count = Counter(_ORDER[_rank(one)] for one in state.systems)
    unconfirmed = count[pb.STOP_STATE_UNCONFIRMED] + count[pb.STOP_STATE_UNSPECIFIED]
    acknowledged, run_out = count[pb.STOP_STATE_ACKNOWLEDGED], count[pb.STOP_STATE_RUN_OUT]
    live = "1 lease live" if state.live_leases == 1 else f"{state.live_leases} leases live"
    return f"{acknowledged} acknowledged, {unconfirmed} unconfirmed, {run_out} run out; {live}"


def _look_away(state: pb.GetSuspensionResponse) -> None:
    """A program waits for the end."""


def _watch(
    desk: Desk, known: pb.GetSuspensionResponse, timeout: Millis | None, watcher: Watcher
) -> pb.GetSuspensionResponse:
    method = LicenceServiceStub(desk.channel).GetSuspension
    request, began, state = pb.GetSuspensionRequest(suspension=known.suspension), desk.clock.elapsed(), known
    told: set[str] = set()
    try:
        while True:
            state = _asked(desk, lambda: desk.ask(method, request, _PATIENCE), state, told)
            watcher(state)
            if state.settled or (timeout is not None and desk.clock.elapsed() - began >= timeout):
                return state
            desk.clock.sleep(INTERVAL)
    except KeyboardInterrupt:  # the person has seen enough; what is suspended stays so
        return state


def _asked(
    desk: Desk, ask: Callable[[], pb.GetSuspensionResponse], last: pb.GetSuspensionResponse, told: set[str]
) -> pb.GetSuspensionResponse:
    """A silence of licd does not end the following: the suspension stands. What licd refuses does.

    Each silence is told once; `told` remembers.
    """
    try:
        return ask()
    except (Stopped, LicdError) as error:
        passing = error.exit is Exit.UNREACHABLE if isinstance(error, Stopped) else bool(error.retry_after)
        if not passing or not last.decided_ms:
            raise
        if str(error) not in told:
            told.add(str(error))
            desk.printer.remark(f"{error}; asking again")
    return last


def _follow_live(desk: Desk, known: pb.GetSuspensionResponse, timeout: Millis | None) -> pb.GetSuspensionResponse:
    from rich.console import Console  # noqa: PLC0415 -- only a terminal waits for it
    from rich.live import Live  # noqa: PLC0415

    with Live(console=Console(highlight=False, markup=False, emoji=False), auto_refresh=False) as live:

        def redraw(state: pb.GetSuspensionResponse) -> None:
            live.update(picture(state), refresh=True)

        return _watch(desk, known, timeout, redraw)


def picture(state: pb.GetSuspensionResponse) -> Any:
    """What a terminal shows of one state: who is unconfirmed first, then the counts."""
    from rich.console import Group  # noqa: PLC0415 -- as above

    first = _in_order(state)[:MOST_ROWS]
    rows = [[one.licence, one.deployment, str(one.live_leases), stop_words(one, state)] for one in first]
    styles = [_STYLES.get(one.state, "bold yellow") for one in first]
    more = f"and {len(state.systems) - len(first)} more" if len(state.systems) > len(first) else ""
    table = rich_table(["LICENCE", "DEPLOYMENT", "LIVE", "STATE"], rows, styles)
    return Group(table, *([more] if more else []), clean(count_words(state)))


def _in_order(state: pb.GetSuspensionResponse) -> list[pb.SystemStop]:
    """Who is unconfirmed comes first."""
    return sorted(state.systems, key=lambda one: (_rank(one), one.licence, one.deployment))


def _rank(one: pb.SystemStop) -> int:
    return _ORDER.index(one.state) if one.state in _ORDER else 0


def _unconfirmed(one: pb.SystemStop) -> bool:
    return _ORDER[_rank(one)] in {pb.STOP_STATE_UNCONFIRMED, pb.STOP_STATE_UNSPECIFIED}
