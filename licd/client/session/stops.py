"""Stopping everything, saying so under our own key, and going on again."""

from licd.client.answers import StopCause, Stopped
from licd.client.notices import LeaseLost, Reinstated, SigningFailed, Suspended
from licd.client.session.hold import Hold, HoldState
from licd.client.session.standing import FOR_GOOD, OF_THE_SESSION, Refused
from licd.client.session.state import MachineState
from licd.core.reasons import Denied
from licd.core.time import Millis
from licd.keys.envelope import seal
from licd.keys.kinds import Kind
from licd.v1 import session_pb2, session_service_pb2


def stop_all(state: MachineState, denied: Denied, epoch: int, carrier: bytes, now: Millis) -> Refused:
    """Take an authoritative no: stop every lease, for now or for good. Returns the refusal in force."""
    state.continuity = None
    known = state.standing.refused
    news = state.standing.is_news(denied, epoch)
    acted_on = state.acted_on(now)
    stopped = Stopped(StopCause.REFUSED, now, denied)
    for hold in state.holds:
        _stop(state, hold, stopped, denied)
    for given_up in state.holds.forget_given_up():
        state.answer_release(given_up, 0)
    if known is not None and not news:
        return known
    stopped_at, count = (known.stopped_at, known.stopped_leases) if known and not acted_on else (now, acted_on)
    refused = Refused(denied, epoch, carrier, stopped_at, count)
    state.standing.refuse(refused)
    state.persist_chain()
    state.notify(Suspended(denied, epoch, acted_on, refused.final))
    return refused


def _stop(state: MachineState, hold: Hold, stopped: Stopped, denied: Denied) -> None:
    for_good = denied.reason in FOR_GOOD
    if hold.known and hold.attached and not for_good:
        state.holds.park(hold, stopped)
    elif hold.known:
        lose(state, hold, stopped)
    elif denied.reason not in OF_THE_SESSION:
        refuse(state, hold, denied, stopped.at)


def lose(state: MachineState, hold: Hold, stopped: Stopped) -> None:
    """End a hold that the program has, and tell it."""
    state.holds.end(hold, stopped)
    state.notify(LeaseLost(hold.op, stopped))


def refuse(state: MachineState, hold: Hold, denied: Denied, now: Millis) -> None:
    """A hold was denied: that is the answer to a new one, and news of one that the program has already."""
    stopped = Stopped(StopCause.REFUSED, now, denied)
    if hold.known:
        lose(state, hold, stopped)
    else:
        state.holds.end(hold, stopped)
        state.resolve(hold.op, denied)


def resume(state: MachineState, epoch: int) -> None:
    """Go on under this epoch. If there was a refusal it is over: what is still wanted is asked for anew."""
    if not state.standing.resume(epoch):
        return
    state.stop_said, state.stop_unsure = b"", False
    state.urgent = True
    state.notify(Reinstated(epoch))
    for hold in state.holds:
        if hold.state is HoldState.PARKED:
            state.holds.ask_again(hold)


def acknowledge(
    state: MachineState, carrier: bytes, epoch: int, *, stopped_at: Millis, stopped: int, now: Millis
) -> bytes:
    """Say under the system's key that what `carrier` ordered has been done. Said on the open stream or the next one.

    Returns the frame; empty when the system's key could not sign.
    """
    estimate = state.trust.anchor.estimate(now)
    acknowledgement = session_pb2.Acknowledgement(
        system=state.outfit.identity.system,
        licence=state.licence,
        epoch=epoch,
        directive=carrier,
        boot_nonce=state.chain.boot_nonce,
        stopped_boot_ms=stopped_at,
        stopped_at_ms=estimate - (now - stopped_at),
        stopped_leases=stopped,
        active_leases=state.acted_on(now),
    )
    try:
        envelope = seal(Kind.ACKNOWLEDGEMENT, acknowledgement.SerializeToString(), state.outfit.signer)
    except Exception as error:  # noqa: BLE001 -- a signer may be a token that was pulled out; what was ordered is done
        state.notify(SigningFailed(f"{type(error).__name__}: {error}"))
        return b""
    frame = session_service_pb2.SessionRequest(acknowledgement=envelope).SerializeToString()
    state.say(carrier, frame)
    return frame


def acknowledge_stop(
    state: MachineState, refused: Refused, carrier: bytes, epoch: int, now: Millis, *, in_reply: bool = False
) -> None:
    """Say that everything has stopped, now and on every stream to come until it goes on."""
    stopped_at, stopped = refused.stopped_at, refused.stopped_leases
    state.stop_refusal, state.stop_unsure = in_reply, False
    state.stop_said = acknowledge(state, carrier, epoch, stopped_at=stopped_at, stopped=stopped, now=now)
