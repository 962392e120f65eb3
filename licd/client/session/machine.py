"""The session machine: events in, effects out. It has no clock, no chance and no input or output of its own.

What it promises
- A link is persisted before it is sent, and sent again, the same, until it is answered. One is outstanding at a time.
- A target may be acted on only before first send + (hard end − decided) on the boot clock of this very boot, under the
  newest permit, with no authoritative no in between. Everything else is a reason to stop, not to go on.
- No bytes that are received make it raise. What cannot be believed or used changes nothing and is reported.
"""

from typing import assert_never

from licd.client.answers import StopCause, Stopped
from licd.client.notices import LeaseLapsing, LeaseLost
from licd.client.session import incoming, links, outage, unary, upkeep, wishes
from licd.client.session.chain_record import ChainRecord
from licd.client.session.effects import Effect, WakeAt
from licd.client.session.events import (
    AcquireAsked,
    CallAnswered,
    CallFailed,
    CertificateChanged,
    Event,
    FrameReceived,
    Happening,
    JournalGrew,
    LicenceFetched,
    Rebooted,
    ReleaseAsked,
    Start,
    Stop,
    StreamBroken,
    StreamOpened,
    Tick,
    TrustFetched,
    UnaryAnswered,
)
from licd.client.session.hold import Hold
from licd.client.session.line import LineState
from licd.client.session.state import MachineState, Outfit
from licd.core.time import Instant, Millis
from licd.keys.bundle import Bundle

_STREAMING = (LineState.DIALLING, LineState.UP)


class Machine:
    """One system's session machine. Feed it events with the boot clock's time; carry out what it returns, in order."""

    __slots__ = ("_state",)

    def __init__(self, outfit: Outfit, record: ChainRecord, bundle: Bundle, licence_revision: int) -> None:
        """Take up where the record left off. Raises DecodeError for a record that holds no links."""
        self._state = MachineState(outfit, record, bundle, licence_revision)

    @property
    def view(self) -> MachineState:
        """What the machine knows, to be looked at and not touched."""
        return self._state

    def hold(self, op: int) -> Hold | None:
        """The hold of this number, unless it has ended."""
        return self._state.holds.find(op)

    def handle(self, event: Event, now: Millis) -> list[Effect]:
        """Take one event at this boot instant. Returns what is to be done, in order."""
        state = self._state
        if state.finished:
            return []
        state.out = []
        match event:
            case AcquireAsked(op, acquisition):
                wishes.acquire(state, op, acquisition, now)
            case ReleaseAsked(op):
                wishes.release(state, op, now)
            case _:
                self._take(event, now)
                self._go_on(now)
                return state.out
        # A wish that comes while a link is outstanding has to wait for its reply: there is nothing to go on with.
        if state.chain.outstanding is None or now >= state.wake_at:
            self._go_on(now)
        return state.out

    def kill(self, now: Millis, cause: StopCause = StopCause.CLOSED) -> None:
        """Stop every lease without a word: the last resort of a shell that cannot go on.

        It may come between any two steps of `handle`, in a child of a process that forked there: it relies on nothing.
        """
        self._state.finished = True
        self._state.holds.end_all(Stopped(cause, now))

    def _take(self, event: Happening, now: Millis) -> None:
        state = self._state
        match event:
            case FrameReceived(frame):
                incoming.take_frame(state, frame, now)
            case Tick(wall_ms):
                if wall_ms is not None:
                    state.trust.anchor.read_wall(wall_ms, now)
                if state.line.is_overdue(now):
                    links.contact_failed(state, "no answer in time", now)
            case CallAnswered(number, response):
                incoming.take_call_answer(state, number, response, now)
            case CallFailed(number, detail, retry_after):
                if number == state.line.number and state.line.state is LineState.CALLING:
                    links.contact_failed(state, detail, now, retry_after)
            case StreamOpened(number):
                self._stream_opened(number)
            case StreamBroken(number, detail, retry_after):
                if number == state.line.number and state.line.state in _STREAMING:
                    links.contact_failed(state, detail, now, retry_after)
            case UnaryAnswered():
                unary.take_unary(state, event, now)
            case TrustFetched(chain):
                incoming.take_fetched_trust(state, chain, now)
            case LicenceFetched(envelope):
                incoming.take_fetched_licence(state, envelope)
            case CertificateChanged(validity):
                self._certificate_changed(validity, now)
            case JournalGrew(size, root):
                state.journal = (size, root)
            case Start(wall_ms, begins, ends):
                self._start(wall_ms, (begins, ends), now)
            case Rebooted():
                wishes.reboot(state, now)
            case Stop():
                wishes.close(state, now)
            case _:
                assert_never(event)

    def _start(self, wall_ms: Instant, validity: tuple[Instant, Instant], now: Millis) -> None:
        state = self._state
        state.trust.anchor.read_wall(wall_ms, now)
        state.trust.start(now)
        upkeep.set_certificate(state, validity)
        state.line.ready(now)
        state.started = True

    def _stream_opened(self, number: int) -> None:
        state = self._state
        if number != state.line.number or state.line.state is not LineState.DIALLING:
            return
        # Whatever was pushed while the stream was down is in the reply to a link, and only there.
        state.urgent = state.urgent or state.line.failures > 0
        state.line.up()
        if state.stop_said:
            state.stop_unsure = state.stop_refusal
            if state.stop_said not in state.acknowledgements:
                state.acknowledgements.append(state.stop_said)

    def _certificate_changed(self, validity: tuple[Instant, Instant] | None, now: Millis) -> None:
        state = self._state
        if validity is None:
            state.renewing = False
            return
        upkeep.set_certificate(state, validity)
        if state.line.state in _STREAMING:
            links.hang_up(state)
            state.line.ready(now)

    def _go_on(self, now: Millis) -> None:
        state = self._state
        outage.go_on(state, now)
        lapsed, lapsing = state.holds.pass_time(now)
        for hold in lapsed:
            state.notify(LeaseLost(hold.op, hold.stopped))
        for hold in lapsing:
            state.notify(LeaseLapsing(hold.op, hold.until - now))
        if state.started and (state.closing_at is None or state.line.is_up):
            links.advance(state, now)
        wishes.finish_closing(state, now)
        if state.started and not state.finished:
            upkeep.keep_fresh(state, now)
            self._plan_wake(now)

    def _plan_wake(self, now: Millis) -> None:
        state = self._state
        at = min(each for each in (self._next_talk(), state.holds.next_boundary, *self._other_times(now)) if each)
        if at != state.wake_at:
            state.wake_at = at
            state.out.append(WakeAt(at))

    def _next_talk(self) -> Millis:
        state = self._state
        if state.line.state is LineState.DOWN:
            return state.line.retry_at
        return state.line.deadline or state.next_beat

    def _other_times(self, now: Millis) -> list[Millis]:
        state = self._state
        times = [upkeep.next_upkeep(state, now) or 0, state.closing_at or 0]
        return [each for each in times if each]
