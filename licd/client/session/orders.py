"""Directives: orders that licd pushes, outside the chain. Acted on at once, acknowledged, and never twice.

Epochs have no gaps. Who sees one acts on what came and asks with a link for what is missing.
"""

import hashlib

from licd.client.answers import StopCause, Stopped
from licd.client.notices import DropReason
from licd.client.session.state import MachineState
from licd.client.session.stops import acknowledge, acknowledge_stop, lose, resume, stop_all
from licd.client.session.upkeep import note_seal_invalid
from licd.core.reasons import Denied, Reason
from licd.core.time import Millis
from licd.keys.bundle import BundleError
from licd.keys.kinds import Kind
from licd.keys.seal_reasons import SealInvalid
from licd.v1 import session_pb2
from licd.v1.envelope_pb2 import Envelope


def take_directive(state: MachineState, envelope: Envelope, now: Millis) -> None:
    """Carry out an order, unless it is not licd's, not for this licence, or history."""
    directive = _read(state, envelope, now)
    if directive is None:
        return
    carrier = hashlib.sha256(envelope.payload).digest()
    if state.say_again(carrier):
        return
    gap = directive.epoch > state.standing.epoch_seen + 1
    if not directive.system or directive.system == state.outfit.identity.system:
        _carry_out(state, directive, carrier, now)
    if gap:
        state.urgent = True
    else:
        state.standing.see(directive.epoch)


def _read(state: MachineState, envelope: Envelope, now: Millis) -> session_pb2.Directive | None:
    try:
        verified, directive = state.trust.open(envelope, Kind.DIRECTIVE, session_pb2.Directive)
        # It is kept as it was decided, and signed when it is said: by a key that may be younger than it.
        said = max(directive.decided_ms, state.trust.anchor.estimate(now))
        state.trust.refuse_aged(verified, said, now)
    except (SealInvalid, BundleError) as error:
        note_seal_invalid(state, error, now)
        return None
    if directive.issuer != state.outfit.identity.trust_domain or directive.licence != state.licence:
        state.drop(DropReason.NOT_FOR_US, f"a directive of {directive.issuer} for licence {directive.licence}")
        return None
    return directive


def _carry_out(state: MachineState, directive: session_pb2.Directive, carrier: bytes, now: Millis) -> None:
    match directive.kind:
        case session_pb2.DIRECTIVE_KIND_SUSPEND:
            _stop(state, directive, Reason.LICENCE_SUSPENDED, carrier, now)
        case session_pb2.DIRECTIVE_KIND_TERMINATE:
            _stop(state, directive, Reason.LICENCE_TERMINATED, carrier, now)
        case session_pb2.DIRECTIVE_KIND_REVOKE:
            if directive.system:
                _stop(state, directive, Reason.DEPLOYMENT_REVOKED, carrier, now)
        case session_pb2.DIRECTIVE_KIND_REINSTATE:
            _reinstate(state, directive.epoch)
        case session_pb2.DIRECTIVE_KIND_FORCE_RELEASE:
            _take_back(state, directive, carrier, now)
        case session_pb2.DIRECTIVE_KIND_AMEND:
            state.urgent = True
        case _:
            # Not understood is not permitted. licd's answer to the next link says whether to go on.
            _stop(state, directive, Reason.CONSTRAINT_NOT_UNDERSTOOD, carrier, now)
            state.urgent = True


def _stop(state: MachineState, directive: session_pb2.Directive, reason: Reason, carrier: bytes, now: Millis) -> None:
    standing, epoch = state.standing, directive.epoch
    newest = standing.epoch_seen if standing.refused is None else standing.refused.epoch
    if epoch <= standing.in_force or epoch < newest:
        return  # history: what came after it has been acted on
    denied = Denied(reason, directive.detail, suspension_code=directive.reason_code)
    refused = stop_all(state, denied, epoch, carrier, now)
    acknowledge_stop(state, refused, carrier, epoch, now)


def _reinstate(state: MachineState, epoch: int) -> None:
    refused = state.standing.refused
    if state.standing.gives_rights(epoch) and (refused is None or epoch > refused.epoch):
        resume(state, epoch)


def _take_back(state: MachineState, directive: session_pb2.Directive, carrier: bytes, now: Millis) -> None:
    denied = Denied(Reason.FORCE_RELEASED, directive.detail, suspension_code=directive.reason_code)
    stopped = 0
    for lease in directive.leases:
        holds = state.holds.of_lease(lease)
        stopped += bool(holds)
        for hold in holds:
            lose(state, hold, Stopped(StopCause.FORCE_RELEASED, now, denied))
    acknowledge(state, carrier, directive.epoch, stopped_at=now, stopped=stopped, now=now)
