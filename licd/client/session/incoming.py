"""What comes from licd, taken apart. Nothing in here raises, whatever the bytes are."""

from licd.client.notices import DropReason
from licd.client.session.line import LineState
from licd.client.session.links import contact_failed
from licd.client.session.orders import take_directive
from licd.client.session.outage import take_continuity
from licd.client.session.replies import take_reply
from licd.client.session.state import MachineState
from licd.client.session.trust import parsed
from licd.client.session.upkeep import take_licence, take_trust
from licd.core.time import Millis
from licd.v1.envelope_pb2 import Envelope
from licd.v1.session_service_pb2 import OpenSessionResponse, SessionResponse
from licd.v1.trust_pb2 import TrustBundleChain


def take_call_answer(state: MachineState, number: int, response: bytes, now: Millis) -> None:
    """Take an OpenSessionResponse: keys first, because the rest may be sealed by new ones; history last."""
    answered = False
    message = parsed(OpenSessionResponse, response)
    if message is None:
        state.drop(DropReason.UNREADABLE, "an OpenSessionResponse that cannot be read")
    else:
        if message.HasField("trust"):
            take_trust(state, message.trust, now)
        answered = take_reply(state, message.reply, now)
        if message.HasField("licence"):
            take_licence(state, message.licence)
        for directive in message.directives:
            take_directive(state, directive, now)
    if not answered and number == state.line.number and state.line.state is LineState.CALLING:
        contact_failed(state, "the answer to OpenSession cannot be used", now)


def take_frame(state: MachineState, frame: bytes, now: Millis) -> None:
    """Take a SessionResponse."""
    message = parsed(SessionResponse, frame)
    if message is None:
        state.drop(DropReason.UNREADABLE, "a frame that cannot be read")
        return
    match message.WhichOneof("frame"):
        case "reply":
            take_reply(state, message.reply, now)
        case "directive":
            take_directive(state, message.directive, now)
        case "continuity":
            take_continuity(state, message.continuity, now)
        case "licence":
            take_licence(state, message.licence)
        case "trust":
            take_trust(state, message.trust, now)
        case _:
            state.drop(DropReason.UNREADABLE, "a frame with nothing in it that this reader knows")


def take_fetched_trust(state: MachineState, chain: bytes | None, now: Millis) -> None:
    """Take the answer to a question for newer bundles."""
    message = None if chain is None else parsed(TrustBundleChain, chain)
    if message is not None:
        take_trust(state, message, now)
    elif chain is not None:
        state.drop(DropReason.UNREADABLE, "a chain of bundles that cannot be read")
    state.trust.fetched(now, well=message is not None)


def take_fetched_licence(state: MachineState, envelope: bytes | None) -> None:
    """Take the answer to a question for the licence."""
    message = None if envelope is None else parsed(Envelope, envelope)
    if message is not None:
        take_licence(state, message)
    elif envelope is not None:
        state.drop(DropReason.UNREADABLE, "a licence that cannot be read")
