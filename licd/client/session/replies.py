"""The reply to the outstanding link: whether it is one, and what a permit or a refusal does."""

import hashlib

from licd.client.answers import Failed, StopCause, Stopped, denied_from_message, granted_from_message
from licd.client.notices import ContactMade, DropReason, LeaseRegained
from licd.client.session.chain import Outstanding
from licd.client.session.hold import Hold, HoldState
from licd.client.session.holds import Asked, GivingUp
from licd.client.session.line import LineState
from licd.client.session.outage import take_contact
from licd.client.session.permits import Ends, ends_of, life_of
from licd.client.session.standing import OF_THE_SESSION
from licd.client.session.state import MachineState
from licd.client.session.stops import acknowledge_stop, lose, refuse, resume, stop_all
from licd.client.session.upkeep import note_licence, note_seal_invalid
from licd.core.reasons import Denied, Reason
from licd.core.time import Millis
from licd.keys.bundle import BundleError
from licd.keys.kinds import Kind
from licd.keys.seal_reasons import SealInvalid
from licd.v1 import denial_pb2, session_pb2
from licd.v1.envelope_pb2 import Envelope

_Reply = session_pb2.Permit | session_pb2.Refusal


def take_reply(state: MachineState, envelope: Envelope, now: Millis) -> bool:
    """Take what came as a reply. Returns whether it answered the outstanding link; if not, it changed nothing."""
    reply = _read(state, envelope, now)
    link = state.chain.outstanding
    if reply is None or link is None:
        return False
    ends = ends_of(reply, link.sent_at, state.pace.longest_permit) if isinstance(reply, session_pb2.Permit) else {}
    if ends is None or not _answers_each(state, reply, link):
        state.drop(DropReason.CONTRADICTORY, f"the reply to link {link.sequence} does not fit together")
        return False
    state.chain.answered(envelope)
    _take_header(state, reply.header, link, now)
    if isinstance(reply, session_pb2.Permit):
        if reply.heartbeat_ms > 0:
            state.heartbeat = max(state.pace.shortest_heartbeat, min(reply.heartbeat_ms, state.pace.refused_heartbeat))
        _take_permit(state, reply, ends, link, now)
    else:
        _take_refusal(state, reply, envelope, now)
    state.standing.see(reply.header.epoch)
    state.set_next_beat(now)
    _go_on_talking(state, link, now)
    return True


def _read(state: MachineState, envelope: Envelope, now: Millis) -> _Reply | None:
    """The permit or refusal that licd sealed for the outstanding link; None, and dropped, if it is anything else."""
    try:
        reply = _opened(state, envelope, now)
    except (SealInvalid, BundleError) as error:
        note_seal_invalid(state, error, now)
        return None
    header, identity = reply.header, state.outfit.identity
    if header.issuer != identity.trust_domain or header.system != identity.system:
        state.drop(DropReason.NOT_FOR_US, f"a reply of {header.issuer} for {header.system}")
        return None
    if not state.chain.is_answered_by(header, refused=isinstance(reply, session_pb2.Refusal)):
        state.drop(DropReason.LATE, f"a reply to link {header.sequence}, which is not outstanding")
        return None
    return reply


def _opened(state: MachineState, envelope: Envelope, now: Millis) -> _Reply:
    if envelope.payload_type == Kind.DENIAL.payload_type:
        verified, refusal = state.trust.open(envelope, Kind.DENIAL, session_pb2.Refusal)
        state.trust.refuse_aged(verified, refusal.header.decided_ms, now)
        return refusal
    verified, permit = state.trust.open(envelope, Kind.PERMIT, session_pb2.Permit)
    state.trust.refuse_aged(verified, permit.header.decided_ms, now, life_of(permit))
    return permit


def _answers_each(state: MachineState, reply: _Reply, link: Outstanding) -> bool:
    if isinstance(reply, session_pb2.Refusal) or not link.own:
        return True
    return len(reply.outcomes) == len(state.in_flight)


def _take_header(state: MachineState, header: session_pb2.ReplyHeader, link: Outstanding, now: Millis) -> None:
    state.trust.anchor.take(header.decided_ms, now)
    if link.own and link.opens:
        state.chain.session = header.session
    if header.bundle_version > state.trust.bundle.version:
        state.trust.want(now)
    state.line.heard()
    state.notify(ContactMade(header.decided_ms))


def _go_on_talking(state: MachineState, link: Outstanding, now: Millis) -> None:
    """The call that opened a session has done its work. Without a session there is nothing to hurry for."""
    if state.line.state is LineState.CALLING and link.opens:
        refused = link.own and not state.chain.session
        state.line.ready(state.next_beat if refused else now)


# ------------------------------------------------------------------------------------------------- permit
def _take_permit(state: MachineState, permit: session_pb2.Permit, ends: Ends, link: Outstanding, now: Millis) -> None:
    """Take the rights that a permit gives: none if it was decided before a stop, or for an earlier process."""
    asked, state.in_flight = state.in_flight, []
    state.listed = len(ends)
    if not link.own:
        return
    if not state.standing.gives_rights(permit.header.epoch) or permit.header.licence != state.licence:
        _refuse_in_flight(state, asked, _refusal_in_force(state), now)
        return
    resume(state, permit.header.epoch)
    state.to_boot = link.sent_at - permit.header.decided_ms
    ends = take_contact(state, ends, link.sent_at)
    for each, outcome in zip(asked, permit.outcomes, strict=True):
        _take_outcome(state, each, outcome, ends, sent_at=link.sent_at, now=now)
    ended = {each.lease: each.reason for each in permit.ended}
    for hold in state.holds.renew(ends, now):
        lose(state, hold, Stopped(StopCause.ENDED, now, _end_reason(ended.get(hold.lease))))
    note_licence(state, permit.revision)


def _end_reason(reason: denial_pb2.DenialReason.ValueType | None) -> Denied | None:
    """The reason for an end, as a denial; None where licd named none."""
    return None if not reason else denied_from_message(denial_pb2.Denial(reason=reason, detail="not renewed"))


def _take_outcome(
    state: MachineState, asked: Asked, outcome: session_pb2.Outcome, ends: Ends, *, sent_at: Millis, now: Millis
) -> None:
    match outcome.WhichOneof("result"):
        case "grant" if isinstance(asked, Hold):
            _take_grant(state, asked, outcome.grant, ends, sent_at=sent_at, now=now)
        case "denial" if isinstance(asked, Hold):
            if asked.is_in_flight:
                refuse(state, asked, denied_from_message(outcome.denial), now)
        case "released" if isinstance(asked, GivingUp):
            state.answer_release(asked, outcome.released.free_at_ms)
        case "denial" if isinstance(asked, GivingUp):
            state.answer_release(asked, outcome.denial.retry_at_ms)
        case _:
            _not_answered(state, asked, now)


def _take_grant(
    state: MachineState, hold: Hold, grant: session_pb2.Grant, ends: Ends, *, sent_at: Millis, now: Millis
) -> None:
    granted = granted_from_message(grant)
    fits = grant.target == hold.target and grant.lease in ends and ends[grant.lease][0] == hold.target
    if hold.state is HoldState.ENDED:  # given up while the link was under way
        if fits:
            state.holds.refuse_grant(hold, granted)
        return
    if not fits or ends[grant.lease][1] <= sent_at:
        _not_answered(state, hold, now)
        return
    if ends[grant.lease][1] <= now:  # the answer took longer than the lease: the next link leaves it out and asks anew
        if hold.is_in_flight:
            state.holds.ask_again(hold)
        return
    taken_over = state.holds.grant(hold, granted)
    if taken_over is not None:
        state.answer_release(taken_over, 0)
    if hold.known:
        state.notify(LeaseRegained(hold.op))
    else:
        hold.known = True
        state.resolve(hold.op, granted)


def _not_answered(state: MachineState, asked: Asked, now: Millis) -> None:
    """The permit is licd's, but this outcome is no answer to what was asked."""
    state.drop(DropReason.CONTRADICTORY, "an outcome does not answer its operation")
    if isinstance(asked, GivingUp):
        state.answer_release(asked, 0)
    elif asked.known and asked.is_in_flight:
        lose(state, asked, Stopped(StopCause.ENDED, now))
    elif asked.is_in_flight:
        state.holds.end(asked, Stopped(StopCause.ENDED, now))
        state.resolve(asked.op, Failed("licd's answer does not fit the question"))


# ------------------------------------------------------------------------------------------------ refusal
def _take_refusal(state: MachineState, refusal: session_pb2.Refusal, envelope: Envelope, now: Millis) -> None:
    """Take an authoritative no: everything stops at once, and licd is told that it has."""
    denied = denied_from_message(refusal.denial)
    epoch = refusal.header.epoch
    asked, state.in_flight = state.in_flight, []
    state.listed = 0
    if denied.reason in OF_THE_SESSION:
        state.chain.session = ""
    news = state.standing.is_news(denied, epoch)
    carrier = hashlib.sha256(envelope.payload).digest()
    _refuse_in_flight(state, asked, denied, now)
    refused = stop_all(state, denied, epoch, carrier, now)
    # Of a session licd learns by the opening of the next one.
    if (news or state.stop_unsure) and denied.reason not in OF_THE_SESSION:
        acknowledge_stop(state, refused, carrier, epoch, now, in_reply=True)


def _refuse_in_flight(state: MachineState, asked: list[Asked], denied: Denied, now: Millis) -> None:
    """What the link asked for came to nothing. For want of a session alone it is asked again."""
    for each in asked:
        if isinstance(each, GivingUp):
            state.answer_release(each, 0)
        elif not each.is_in_flight:
            continue
        elif each.known:
            state.holds.park(each, Stopped(StopCause.REFUSED, now, denied))
        elif denied.reason in OF_THE_SESSION:
            state.holds.ask_again(each)
        else:
            refuse(state, each, denied, now)


def _refusal_in_force(state: MachineState) -> Denied:
    refused = state.standing.refused
    if refused is not None:
        return refused.denied
    return Denied(Reason.LICENCE_SUSPENDED, "decided before the licence was suspended, or by a licd that is behind")
