"""What the program wants: a lease, to give one back, to close."""

from dataclasses import replace

from licd.client.answers import Failed, Released, StopCause, Stopped
from licd.client.session.effects import Finished, GiveBack
from licd.client.session.hold import Hold, HoldState
from licd.client.session.holds import MOST_HOLDS
from licd.client.session.links import contact_failed, hang_up
from licd.client.session.standing import OF_THE_SESSION
from licd.client.session.state import MachineState
from licd.client.session.stops import lose
from licd.core.time import Millis
from licd.v1 import session_pb2


def acquire(state: MachineState, op: int, acquisition: session_pb2.Acquisition, now: Millis) -> None:
    """Ask for a lease in the next link; while licd refuses the system as a whole, its refusal is the answer."""
    refused = state.standing.refused
    if state.closing_at is not None:
        state.resolve(op, Failed("the system is being closed"))
    elif refused is not None and refused.denied.reason not in OF_THE_SESSION:
        state.resolve(op, refused.denied)
    elif len(state.holds) >= MOST_HOLDS:
        state.resolve(op, Failed(f"a system holds at most {MOST_HOLDS} leases at one time"))
    else:
        state.holds.ask(op, acquisition, now)


def release(state: MachineState, op: int, now: Millis) -> None:
    """Stop a hold at once and give its lease back, if it is the last one on it."""
    hold = state.holds.find(op)
    waits = False
    if hold is not None:
        held = hold.state is HoldState.HELD
        waits = state.holds.done(hold, Stopped(StopCause.RELEASED, now))
        if held and not hold.attached and not state.holds.is_shared(hold):
            state.out.append(GiveBack(hold.lease))
    if not waits:
        state.resolve(op, Released(0))


def close(state: MachineState, now: Millis) -> None:
    """Stop everything; what is left to do is to tell licd, for a little while."""
    if state.closing_at is not None:
        return
    for hold in state.holds:
        waiting = not hold.known
        state.holds.end(hold, Stopped(StopCause.CLOSED, now))
        if waiting:
            state.resolve(hold.op, Failed("the system was closed"))
    for given_up in state.holds.forget_given_up():
        state.answer_release(given_up, 0)
    state.closing_at = now + state.pace.closing


def finish_closing(state: MachineState, now: Millis) -> None:
    """Finish when licd has been told, cannot be reached, or has taken too long."""
    if state.closing_at is None or state.finished:
        return
    reachable = state.line.is_up and now < state.closing_at
    if reachable and (state.chain.outstanding is not None or state.listed > 0):
        return
    if state.chain.outstanding is None:
        state.persist_chain()
    hang_up(state)
    state.finished = True
    state.out.append(Finished())


def reboot(state: MachineState, now: Millis) -> None:
    """The boot clock is another one: nothing counted on the old one holds, nor does any link sent by it."""
    for hold in state.holds:
        if hold.known:
            lose(state, hold, Stopped(StopCause.REBOOTED, now))
    for asked in state.in_flight:
        if isinstance(asked, Hold) and asked.is_in_flight:
            state.holds.ask_again(asked)
    state.in_flight = []
    if state.chain.outstanding is not None:
        state.chain.outstanding = replace(state.chain.outstanding, own=False)
    state.chain.session = ""
    state.continuity = state.to_boot = None
    state.trust.anchor.forget(now)
    state.trust.due = now
    state.next_beat = now
    contact_failed(state, "the machine was started anew", now)
