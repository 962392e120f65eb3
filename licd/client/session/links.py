"""The next link: made, written down, sent; and sent again until it is answered."""

from typing import Final

from licd.client.notices import ContactLost, SigningFailed
from licd.client.session.chain import LinkParts, Outstanding
from licd.client.session.effects import CloseStream, OpenStream, SendFrame, SendOpen
from licd.client.session.hold import Hold
from licd.client.session.holds import Asked
from licd.client.session.line import LineState
from licd.client.session.state import NONCE_BYTES, MachineState
from licd.core.time import Millis
from licd.keys.envelope import seal
from licd.keys.kinds import Kind
from licd.v1 import session_pb2, session_service_pb2
from licd.v1.envelope_pb2 import Envelope

MOST_REQUEST_BYTES: Final = 240 * 1024
"""Requests stay below the largest message, 256 KiB."""


def advance(state: MachineState, now: Millis) -> None:
    """Do whatever can be done now to reach licd and to say what is to be said."""
    if state.line.may_begin(now):
        _begin(state, now)
    if state.line.is_up:
        _talk(state, now)
    if state.line.may_begin(now):
        _begin(state, now)


def _begin(state: MachineState, now: Millis) -> None:
    """Call licd if a session is to be opened, else dial a stream."""
    link = state.chain.outstanding
    if link is None and not state.chain.session:
        link = make_link(state, now, opening=True)
        if link is None:
            return
    if link is not None and link.opens:
        number = state.line.begin(LineState.CALLING, now)
        state.out.append(SendOpen(number, _open_request(state, link).SerializeToString()))
    else:
        state.out.append(OpenStream(state.line.begin(LineState.DIALLING, now)))


def _talk(state: MachineState, now: Millis) -> None:
    """Say on the open stream what there is to say."""
    while state.acknowledgements:
        state.out.append(SendFrame(state.line.number, state.acknowledgements.popleft()))
    link = state.chain.outstanding
    if link is None and not state.chain.session:
        _open_anew(state, now)
        return
    if link is None and is_due(state, now):
        link = make_link(state, now, opening=False)
    if link is not None and state.sent_on != state.line.number:
        _send(state, link, now)


def _open_anew(state: MachineState, now: Millis) -> None:
    """The session is over, or none was opened yet. Where licd refused it, that is not hurried."""
    hang_up(state)
    if state.standing.refused is None:
        state.line.ready(now)
    else:
        state.line.fail(now)


def is_due(state: MachineState, now: Millis) -> bool:
    """Whether the next link is to be sent now. A system that closes sends one if it still has leases."""
    if state.closing_at is not None:
        return state.listed > 0
    if state.urgent or now >= state.next_beat:
        return True
    return state.holds.anything_to_ask and state.standing.refused is None


def make_link(state: MachineState, now: Millis, *, opening: bool) -> Outstanding | None:
    """Make the next link and have it written down. None when the system's key could not sign; tried again later."""
    silent = state.standing.refused is not None or state.closing_at is not None
    taken: list[Asked] = [] if silent else state.holds.take()
    outfit, continuity = state.outfit, None if opening else state.continuity
    opens = session_pb2.Opening(deployment_region=outfit.region, software=outfit.software) if opening else None
    parts = LinkParts(
        now=now,
        held=() if silent else state.holds.held_leases(),
        operations=[_operation(each) for each in taken],
        epoch_seen=state.standing.epoch_seen,
        latest_decided=state.trust.anchor.latest,
        journal=state.journal,
        opening=opens,
        continuity="" if continuity is None else continuity.id,
        continuity_used=continuity is not None and continuity.used_at is not None,
    )
    try:
        link = state.chain.extend(parts, outfit.randomness(NONCE_BYTES), lambda each: _sealed(state, each))
    except Exception as error:  # noqa: BLE001 -- a signer may be a token that was pulled out: silence, not a crash
        state.holds.put_back(taken)
        state.notify(SigningFailed(f"{type(error).__name__}: {error}"))
        contact_failed(state, "", now)
        return None
    state.in_flight = taken
    state.urgent = False
    state.sent_on = 0
    state.persist_chain()
    return link


def hang_up(state: MachineState) -> None:
    """Close the stream, if there is one or one is being dialled."""
    if state.line.state in {LineState.UP, LineState.DIALLING}:
        state.out.append(CloseStream(state.line.number))


def contact_failed(state: MachineState, detail: str, now: Millis, retry_after: Millis = 0) -> None:
    """The attempt, or the stream, came to nothing: wait and try again."""
    hang_up(state)
    state.line.fail(now, retry_after)
    if detail:
        state.notify(ContactLost(detail))


def _sealed(state: MachineState, payload: bytes) -> Envelope:
    return seal(Kind.LINK, payload, state.outfit.signer)


def _operation(asked: Asked) -> session_pb2.Operation:
    if isinstance(asked, Hold):
        return session_pb2.Operation(acquire=asked.acquisition)
    return session_pb2.Operation(release=session_pb2.Release(lease=asked.lease))


def _open_request(state: MachineState, link: Outstanding) -> session_service_pb2.OpenSessionRequest:
    request = session_service_pb2.OpenSessionRequest(link=link.envelope, held_bundle=state.trust.bundle.version)
    _bring_last_reply(state, request)
    return request


def _bring_last_reply(
    state: MachineState, request: session_service_pb2.OpenSessionRequest | session_service_pb2.SessionRequest
) -> None:
    """Send the last reply along, so that a licd that was restored from a backup sees that it is behind."""
    last_reply = state.chain.last_reply
    if last_reply.payload and request.ByteSize() + last_reply.ByteSize() <= MOST_REQUEST_BYTES:
        request.last_reply.CopyFrom(last_reply)


def _send(state: MachineState, link: Outstanding, now: Millis) -> None:
    """Send the outstanding link up this stream; the first on a stream says what licd may not know of us."""
    request = session_service_pb2.SessionRequest(link=link.envelope)
    if not state.line.spoke:
        request.held_bundle = state.trust.bundle.version
        _bring_last_reply(state, request)
        state.line.spoke = True
    state.sent_on = state.line.number
    state.line.sent(now)
    state.out.append(SendFrame(state.line.number, request.SerializeToString()))
