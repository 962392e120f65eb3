"""A lease had by a unary call: for the permit's length only, kept beside the chain and never renewed."""

from licd.client.answers import Denied, Failed, denied_from_message, granted_from_message
from licd.client.notices import DropReason
from licd.client.session.events import UnaryAnswered
from licd.client.session.hold import Hold
from licd.client.session.permits import ends_of, life_of
from licd.client.session.state import MachineState
from licd.client.session.trust import parsed
from licd.client.session.upkeep import note_seal_invalid
from licd.core.time import Millis
from licd.keys.bundle import BundleError
from licd.keys.kinds import Kind
from licd.keys.seal_reasons import SealInvalid
from licd.v1 import session_pb2, session_service_pb2


def take_unary(state: MachineState, event: UnaryAnswered, now: Millis) -> None:
    """Take the answer to a unary AcquireLease. What cannot be believed is no answer."""
    response = parsed(session_service_pb2.AcquireLeaseResponse, event.response)
    if response is None:
        state.drop(DropReason.UNREADABLE, "an AcquireLeaseResponse that cannot be read")
        state.resolve(event.op, Failed("the answer cannot be read"))
        return
    try:
        problem = _take(state, event, response, now)
    except (SealInvalid, BundleError) as error:
        note_seal_invalid(state, error, now)
        problem = "the answer is not sealed by licd"
    if problem:
        state.resolve(event.op, Failed(problem))


def _take(
    state: MachineState, event: UnaryAnswered, response: session_service_pb2.AcquireLeaseResponse, now: Millis
) -> str:
    """Resolve the operation. Returns what is wrong instead, if anything. Raises SealInvalid, BundleError."""
    if response.WhichOneof("outcome") == "denial":
        verified, refusal = state.trust.open(response.denial, Kind.DENIAL, session_pb2.Refusal)
        state.trust.refuse_aged(verified, refusal.header.decided_ms, now)
        if not _is_for_us(state, event, refusal.header):
            return "the denial is not for this request"
        state.resolve(event.op, denied_from_message(refusal.denial))
        return ""
    verified, permit = state.trust.open(response.permit, Kind.PERMIT, session_pb2.Permit)
    state.trust.refuse_aged(verified, permit.header.decided_ms, now, life_of(permit))
    if not _is_for_us(state, event, permit.header):
        return "the permit is not for this request"
    return _take_permit(state, event, permit, now)


def _is_for_us(state: MachineState, event: UnaryAnswered, header: session_pb2.ReplyHeader) -> bool:
    identity = state.outfit.identity
    ours = (identity.trust_domain, identity.system, event.request_id)
    if (header.issuer, header.system, header.request_id) == ours and not header.sequence:
        return True
    state.drop(DropReason.NOT_FOR_US, f"an answer of {header.issuer} for {header.system}, {header.request_id}")
    return False


def _take_permit(state: MachineState, event: UnaryAnswered, permit: session_pb2.Permit, now: Millis) -> str:
    refused = state.standing.refused
    if refused is not None or not state.standing.gives_rights(permit.header.epoch):
        denied: Denied | Failed = refused.denied if refused is not None else Failed("decided before a suspension")
        state.resolve(event.op, denied)
        return ""
    ends = ends_of(permit, event.sent_at, state.pace.longest_permit)
    grant = permit.outcomes[0].grant if len(permit.outcomes) == 1 else session_pb2.Grant()
    if ends is None or grant.target != event.acquisition.target or ends.get(grant.lease, (b"", 0))[0] != grant.target:
        state.drop(DropReason.CONTRADICTORY, "the permit does not answer the request")
        return "licd's answer does not fit the question"
    hold = Hold(event.op, event.acquisition, now, attached=False)
    hold.known = True
    granted = granted_from_message(grant)
    state.holds.take_unary(hold, granted, ends[grant.lease][1], now)
    state.resolve(event.op, granted)
    return ""
