"""Links, permits, refusals, directives ⇄ their messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, assert_never

from licd.core.acquire_lease import Granted
from licd.core.errors import Invalid
from licd.core.link import Operation, Outcome, Permit, Release
from licd.core.model import Directive, DirectiveKind
from licd.core.reasons import Denied
from licd.core.release_lease import Released
from licd.core.scope import Acquisition, RegionClaim
from licd.core.terms import Basis
from licd.core.time import Instant, Millis
from licd.v1 import denial_pb2, session_pb2

TARGET_BYTES: Final = 32
TEXT_LIMIT: Final = 128
CLAIMS_LIMIT: Final = 4
CLAIMS_KEPT: Final = 2_048
BASES: Final = frozenset(int(each) for each in Basis)

DIRECTIVE_KINDS: Final[dict[DirectiveKind, session_pb2.DirectiveKind.ValueType]] = {
    DirectiveKind.SUSPEND: session_pb2.DIRECTIVE_KIND_SUSPEND,
    DirectiveKind.REINSTATE: session_pb2.DIRECTIVE_KIND_REINSTATE,
    DirectiveKind.TERMINATE: session_pb2.DIRECTIVE_KIND_TERMINATE,
    DirectiveKind.AMEND: session_pb2.DIRECTIVE_KIND_AMEND,
    DirectiveKind.FORCE_RELEASE: session_pb2.DIRECTIVE_KIND_FORCE_RELEASE,
    DirectiveKind.REVOKE: session_pb2.DIRECTIVE_KIND_REVOKE,
}


@dataclass(frozen=True, slots=True)
class Header:
    """What every signed reply opens with."""

    issuer: str
    system: str
    session: str
    sequence: int
    link: bytes
    nonce: bytes
    request_id: str
    decided: Instant
    licence: str
    epoch: int
    bundle_version: int
    enrolment: int


def header_message(header: Header) -> session_pb2.ReplyHeader:
    """The header as a message."""
    return session_pb2.ReplyHeader(
        issuer=header.issuer,
        system=header.system,
        session=header.session,
        sequence=header.sequence,
        link=header.link,
        nonce=header.nonce,
        request_id=header.request_id,
        decided_ms=header.decided,
        licence=header.licence,
        epoch=header.epoch,
        bundle_version=header.bundle_version,
        enrolment=header.enrolment,
    )


def acquisition_from_message(message: session_pb2.Acquisition, where: str) -> Acquisition:
    """One target asked for. Raises Invalid naming the field; what is merely not permitted is left to core."""
    if len(message.target) != TARGET_BYTES:
        raise Invalid(
            f"a target is a pseudonym of {TARGET_BYTES} bytes, got {len(message.target)}", field=f"{where}.target"
        )
    if len(message.regions) > CLAIMS_LIMIT:
        raise Invalid(f"at most {CLAIMS_LIMIT} region claims", field=f"{where}.regions")
    authorisation = message.authorisation
    purpose, offence, reference = message.purpose, message.offence, authorisation.reference
    claims = tuple([_claim(claim.region, claim.basis, where) for claim in message.regions])
    if max(len(purpose), len(offence), len(reference)) > TEXT_LIMIT:
        texts = {"purpose": purpose, "offence": offence, "authorisation.reference": reference}
        name = next(name for name, text in texts.items() if len(text) > TEXT_LIMIT)
        raise Invalid(f"at most {TEXT_LIMIT} characters", field=f"{where}.{name}")
    if authorisation.expires_at_ms < 0:
        raise Invalid("unix milliseconds, not negative", field=f"{where}.authorisation.expires_at_ms")
    return Acquisition(
        message.target,
        claims,
        purpose,
        offence,
        reference,
        authorisation.expires_at_ms,
        message.attested_not_protected,
    )


def _claim(region: str, basis: int, where: str) -> RegionClaim:
    if len(region) > TEXT_LIMIT:
        raise Invalid(f"at most {TEXT_LIMIT} characters", field=f"{where}.regions.region")
    if basis not in BASES:
        wanted = ", ".join(f"{each.name} = {each.value}" for each in Basis)
        raise Invalid(f"{basis} is no basis; one of {wanted}", field=f"{where}.regions.basis")
    return _known_claim(region, basis)


@lru_cache(maxsize=CLAIMS_KEPT)
def _known_claim(region: str, basis: int) -> RegionClaim:
    return RegionClaim(region, Basis(basis))


def operations_from_messages(messages: Sequence[session_pb2.Operation]) -> tuple[Operation, ...]:
    """The operations of a link, in order. Raises Invalid naming the field."""
    return tuple(_operation(message, f"operations[{index}]") for index, message in enumerate(messages))


def _operation(message: session_pb2.Operation, where: str) -> Operation:
    match message.WhichOneof("verb"):
        case "acquire":
            return acquisition_from_message(message.acquire, f"{where}.acquire")
        case "release":
            return Release(message.release.lease)
        case _:
            raise Invalid("names no verb: acquire or release", field=where)


def permit_payload(header: Header, permit: Permit, heartbeat: Millis) -> bytes:
    """The payload of kind permit."""
    leases, targets, hard_ends = zip(*permit.leases, strict=True) if permit.leases else ((), (), ())
    message = session_pb2.Permit(
        header=header_message(header),
        leases=leases,
        targets=b"".join(targets),
        hard_ends_ms=hard_ends,
        outcomes=[outcome_message(each) for each in permit.outcomes],
        ended=[
            session_pb2.LeaseEnd(lease=lease, reason=denial_pb2.DenialReason.ValueType(why))
            for lease, why in permit.ended
        ],
        heartbeat_ms=heartbeat,
        revision=permit.revision,
    )
    return message.SerializeToString()


def refusal_payload(header: Header, denied: Denied) -> bytes:
    """The payload of kind denial."""
    return session_pb2.Refusal(header=header_message(header), denial=denial_message(denied)).SerializeToString()


def outcome_message(outcome: Outcome) -> session_pb2.Outcome:
    """The answer to one operation."""
    match outcome:
        case Granted():
            return session_pb2.Outcome(grant=grant_message(outcome))
        case Released():
            return session_pb2.Outcome(released=released_message(outcome))
        case Denied():
            return session_pb2.Outcome(denial=denial_message(outcome))
        case _:
            assert_never(outcome)


def grant_message(granted: Granted) -> session_pb2.Grant:
    """A granted lease."""
    lease = granted.lease
    return session_pb2.Grant(
        lease=lease.id,
        target=lease.target,
        granted_at_ms=lease.granted_at,
        hard_end_ms=granted.hard_end,
        region=lease.region,
        purpose=lease.purpose,
        existing=granted.existing,
    )


def released_message(released: Released) -> session_pb2.Released:
    """A lease given back."""
    return session_pb2.Released(lease=released.lease, free_at_ms=released.free_at)


def denial_message(denied: Denied) -> denial_pb2.Denial:
    """A denial with all that the caller needs to go on."""
    return denial_pb2.Denial(
        reason=denial_pb2.DenialReason.ValueType(denied.reason),
        detail=denied.detail,
        retry_at_ms=denied.retry_at,
        seats_held=[
            denial_pb2.SeatHeld(
                lease=seat.lease, granted_at_ms=seat.granted_at, free_at_ms=seat.free_at, cooling=seat.cooling
            )
            for seat in denied.seats
        ],
        live=denied.live,
        cooling=denied.cooling,
        limit=denied.limit,
        suspension_reason=denied.suspension_code,
        overlays=denied.overlays,
    )


def directive_payload(directive: Directive, issuer: str, system: str) -> bytes:
    """The payload of kind directive; system is customer/C/system/S for one that names a deployment."""
    return session_pb2.Directive(
        issuer=issuer,
        licence=directive.licence,
        epoch=directive.epoch,
        kind=DIRECTIVE_KINDS[directive.kind],
        decided_ms=directive.decided_at,
        reason_code=directive.reason_code,
        detail=directive.detail,
        leases=directive.leases,
        system=system,
    ).SerializeToString()
