"""A licd for one system: it judges the chain as the real one does, decides simply, and signs with its own keys.

A link that the chain does not allow fails the test: an honest system must never look like a fork.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from licd.client.answers import Reason
from licd.core.terms import (
    Basis,
    ConcurrentTargets,
    Deployments,
    OfflineGrace,
    PermitLength,
    Purposes,
    TargetRegions,
    Terms,
)
from licd.keys.bundle import Bundle
from licd.keys.bundle_update import PayloadPin, pin_first
from licd.keys.envelope import seal, verify
from licd.keys.keyring import Keyring
from licd.keys.kinds import KeyPurpose, Kind
from licd.keys.signer import MemorySigner, Signer, verification_key_of
from licd.keys.verification_key import VerificationKey, key_to_message
from licd.v1 import denial_pb2, session_pb2, session_service_pb2, trust_pb2
from licd.v1.envelope_pb2 import Envelope
from licd.wire.terms import terms_payload

NOW = 1_800_000_000_000
DAY = 24 * 3600 * 1000
DOMAIN = "licd.example"
SYSTEM = "customer/acme/system/north"
LICENCE = "lic-1"
SECOND = 1000


def made_signer(purpose: KeyPurpose, name: str = "") -> MemorySigner:
    return MemorySigner(purpose, hashlib.sha256(f"{purpose.word}{name}".encode()).digest())


ROOT = made_signer(KeyPurpose.ROOT)
ONLINE = made_signer(KeyPurpose.PERMIT_ONLINE)
ISSUER = made_signer(KeyPurpose.LICENCE_ISSUER)
OF_SYSTEM = made_signer(KeyPurpose.SYSTEM)


def key(of: Signer, start: int = NOW - DAY, end: int = NOW + 30 * DAY, life: int = 0) -> VerificationKey:
    return verification_key_of(of, not_before_ms=start, not_after_ms=end, max_token_life_ms=life)


def bundle_envelope(version: int = 1, keys: Sequence[VerificationKey] | None = None, **changes: Any) -> Envelope:
    fields: dict[str, Any] = {
        "version": version,
        "issued_at_ms": NOW - DAY + version,
        "expires_at_ms": NOW + 30 * DAY,
        "refresh_hint_ms": 3_600_000,
        "keys": [key_to_message(each) for each in (keys if keys is not None else [key(ONLINE), key(ISSUER)])],
        "root_keys": [key_to_message(key(ROOT, NOW - 2 * DAY, NOW + 365 * DAY))],
        "root_threshold": 1,
        "trust_domain": DOMAIN,
        "min_reader_version": 1,
    }
    return seal(Kind.TRUST_BUNDLE, trust_pb2.TrustBundle(**(fields | changes)).SerializeToString(), ROOT)


def bundle(envelope: Envelope | None = None) -> Bundle:
    envelope = envelope or bundle_envelope()
    return pin_first(envelope, PayloadPin(hashlib.sha256(envelope.payload).digest()), 0)


def terms(**changes: Any) -> Terms:
    fields: dict[str, Any] = {
        "licence": LICENCE,
        "customer": "acme",
        "issuer": DOMAIN,
        "revision": 1,
        "issued_at": NOW,
        "not_before": NOW,
        "not_after": NOW + 20 * DAY,
        "product": "probe",
        "category": "b",
        "policy_version": "1",
        "lineage": "lin-1",
        "constraints": (
            ConcurrentTargets(10),
            TargetRegions(frozenset({"DE"}), frozenset({Basis.NUMBER_PLAN})),
            Purposes(frozenset({"licd:serious-crime"})),
            PermitLength(20 * SECOND),
            OfflineGrace(300 * SECOND),
            Deployments(1),
        ),
    }
    return Terms(**(fields | changes))


def licence_envelope(**changes: Any) -> Envelope:
    return seal(Kind.LICENCE, terms_payload(terms(**changes)), ISSUER)


def receipt() -> bytes:
    return session_pb2.EnrolmentReceipt(
        system=SYSTEM, licence=LICENCE, enrolment="1", public_key=OF_SYSTEM.public_key, enrolled_at_ms=NOW
    ).SerializeToString()


@dataclass(slots=True)
class Seat:
    lease: int
    target: bytes
    granted_at: int
    ends: int


class FakeLicd:
    """Answers links; what it may be told to do differently are its attributes."""

    def __init__(self) -> None:
        self.now_ms = NOW
        self.epoch = 1
        self.refused: denial_pb2.Denial | None = None
        self.length, self.grace, self.heartbeat = 20 * SECOND, 300 * SECOND, 5 * SECOND
        self.cap = 10
        self.signer: Signer = ONLINE
        self.bundle_version = 1
        self.revision = 1
        self.header: dict[str, Any] = {}
        """What every header says otherwise."""
        self.seats: dict[int, Seat] = {}
        self.ended: dict[int, int] = {}
        """Leases that are not renewed, and why."""
        self.names_ended = True
        """Whether a permit says which leases were not renewed."""
        self.never_ends = False
        self.pads_permits_with = 0
        """Leases that nobody asked for, to make permits long."""
        self.keeps_omitted = False
        self.sequence = 0
        self.session = ""
        self.sessions = 0
        self.next_lease = 100
        self.links: list[session_pb2.Link] = []
        """Every link accepted, once."""
        self.received = 0
        """How many links came, repeated ones too."""
        self.last_link = b""
        self.last_reply: tuple[Kind, bytes] = (Kind.PERMIT, receipt())
        self.acknowledgements: list[session_pb2.Acknowledgement] = []
        self.keyring = Keyring([key(OF_SYSTEM)])

    def enrol(self, public_key: bytes, first: bytes) -> None:
        """Begin a new chain, for the system with this key."""
        starts, ends = NOW - DAY, NOW + 30 * DAY
        made = VerificationKey.of(KeyPurpose.SYSTEM, public_key, not_before_ms=starts, not_after_ms=ends)
        self.keyring = Keyring([made])
        self.sequence, self.last_link, self.last_reply = 0, b"", (Kind.PERMIT, first)
        self.links.clear()

    # ------------------------------------------------------------------------------------------ chain
    def answer(self, envelope: Envelope) -> Envelope:
        """Judge a link as the chain's rules say, and reply."""
        verify(envelope, Kind.LINK, self.keyring, self.now_ms)
        self.received += 1
        if envelope.payload == self.last_link:
            return seal(*self.last_reply, self.signer)
        link = session_pb2.Link.FromString(envelope.payload)
        assert link.system == SYSTEM
        assert link.sequence == self.sequence + 1, f"FORK: link {link.sequence} after {self.sequence}"
        assert link.previous == hashlib.sha256(self.last_reply[1]).digest(), f"FORK at link {link.sequence}"
        self.sequence = link.sequence
        self.last_link = envelope.payload
        self.links.append(link)
        self.last_reply = self.decide(link, hashlib.sha256(envelope.payload).digest())
        return seal(*self.last_reply, self.signer)

    def answer_unary(
        self, request: session_service_pb2.AcquireLeaseRequest
    ) -> session_service_pb2.AcquireLeaseResponse:
        """Decide one acquisition by itself."""
        header = self.make_header(session_pb2.Link(), b"")
        header.request_id = request.request_id
        if self.refused is not None:
            refusal = session_pb2.Refusal(header=header, denial=self.refused).SerializeToString()
            return session_service_pb2.AcquireLeaseResponse(denial=seal(Kind.DENIAL, refusal, self.signer))
        outcome = self._operate(session_pb2.Operation(acquire=request.acquisition))
        if outcome.WhichOneof("result") == "denial":
            refusal = session_pb2.Refusal(header=header, denial=outcome.denial).SerializeToString()
            return session_service_pb2.AcquireLeaseResponse(denial=seal(Kind.DENIAL, refusal, self.signer))
        grant = outcome.grant
        permit = session_pb2.Permit(
            header=header,
            leases=[grant.lease],
            targets=grant.target,
            hard_ends_ms=[grant.hard_end_ms],
            outcomes=[outcome],
        )
        return session_service_pb2.AcquireLeaseResponse(
            permit=seal(Kind.PERMIT, permit.SerializeToString(), self.signer)
        )

    def acknowledge(self, envelope: Envelope) -> None:
        verified = verify(envelope, Kind.ACKNOWLEDGEMENT, self.keyring, self.now_ms)
        self.acknowledgements.append(session_pb2.Acknowledgement.FromString(verified.payload))

    # -------------------------------------------------------------------------------------- decisions
    def decide(self, link: session_pb2.Link, link_hash: bytes) -> tuple[Kind, bytes]:
        if link.HasField("opening"):
            self.sessions += 1
            self.session = f"session-{self.sessions}"
        header = self.make_header(link, link_hash)
        if self.refused is not None:
            return Kind.DENIAL, session_pb2.Refusal(header=header, denial=self.refused).SerializeToString()
        if link.session != self.session and not link.HasField("opening"):
            no_session = denial_pb2.Denial(reason=denial_pb2.DENIAL_REASON_NO_SESSION, detail="no such session")
            return Kind.DENIAL, session_pb2.Refusal(header=header, denial=no_session).SerializeToString()
        ended = self._renew(link)
        permit = session_pb2.Permit(header=header, heartbeat_ms=self.heartbeat, revision=self.revision, ended=ended)
        for operation in link.operations:
            permit.outcomes.append(self._operate(operation))
        self._list(permit)
        return Kind.PERMIT, permit.SerializeToString()

    def make_header(self, link: session_pb2.Link, link_hash: bytes) -> session_pb2.ReplyHeader:
        fields: dict[str, Any] = {
            "issuer": DOMAIN,
            "system": SYSTEM,
            "session": self.session,
            "sequence": link.sequence,
            "link": link_hash,
            "nonce": link.nonce,
            "decided_ms": self.now_ms,
            "licence": LICENCE,
            "epoch": self.epoch,
            "bundle_version": self.bundle_version,
        }
        return session_pb2.ReplyHeader(**(fields | self.header))

    def _renew(self, link: session_pb2.Link) -> list[session_pb2.LeaseEnd]:
        gone = []
        for lease in link.held:
            if lease in self.ended or lease not in self.seats:
                why = self.ended.pop(lease, denial_pb2.DENIAL_REASON_LEASE_NOT_FOUND)
                self.seats.pop(lease, None)
                gone.append(session_pb2.LeaseEnd(lease=lease, reason=denial_pb2.DenialReason.ValueType(why)))
        if not self.keeps_omitted:
            self.seats = {lease: seat for lease, seat in self.seats.items() if lease in link.held}
        return gone if self.names_ended else []

    def _operate(self, operation: session_pb2.Operation) -> session_pb2.Outcome:
        if operation.WhichOneof("verb") == "release":
            lease = operation.release.lease
            self.seats.pop(lease, None)
            return session_pb2.Outcome(released=session_pb2.Released(lease=lease, free_at_ms=self.now_ms + 21 * SECOND))
        asked = operation.acquire
        known = next((seat for seat in self.seats.values() if seat.target == asked.target), None)
        if known is None and len(self.seats) >= self.cap:
            return session_pb2.Outcome(
                denial=denial_pb2.Denial(
                    reason=denial_pb2.DENIAL_REASON_CONCURRENT_CAP,
                    detail="full",
                    retry_at_ms=self.now_ms + 30 * SECOND,
                    limit=self.cap,
                    live=len(self.seats),
                    seats_held=[denial_pb2.SeatHeld(lease=lease) for lease in self.seats],
                )
            )
        seat = known or self.new_seat(asked)
        return session_pb2.Outcome(
            grant=session_pb2.Grant(
                lease=seat.lease,
                target=seat.target,
                granted_at_ms=seat.granted_at,
                hard_end_ms=self.hard_end(seat),
                region="DE",
                purpose=asked.purpose,
                existing=known is not None,
            )
        )

    def new_seat(self, asked: session_pb2.Acquisition) -> Seat:
        self.next_lease += 1
        ends = asked.authorisation.expires_at_ms or NOW + 20 * DAY
        seat = self.seats[self.next_lease] = Seat(self.next_lease, asked.target, self.now_ms, ends)
        return seat

    def hard_end(self, seat: Seat) -> int:
        if self.never_ends:
            return NOW + 10**12
        age = self.now_ms - seat.granted_at
        return min(self.now_ms + self.length + min(self.grace, age), seat.ends)

    def _list(self, permit: session_pb2.Permit) -> None:
        seats = list(self.seats.values())
        seats += [Seat(10**6 + each, each.to_bytes(32, "big"), 0, 0) for each in range(self.pads_permits_with)]
        permit.leases.extend(seat.lease for seat in seats)
        permit.targets = b"".join(seat.target for seat in seats)
        permit.hard_ends_ms.extend(self.hard_end(seat) for seat in seats)

    # ---------------------------------------------------------------------------------------- outages
    def continuity(self, length: int, **changes: Any) -> Envelope:
        """For every lease there is, to be delivered or not."""
        seats = list(self.seats.values())
        fields: dict[str, Any] = {
            "issuer": DOMAIN,
            "system": SYSTEM,
            "session": self.session,
            "boot_nonce": self.links[-1].boot_nonce,
            "licence": LICENCE,
            "epoch": self.epoch,
            "continuity": f"C-{len(self.links)}",
            "decided_ms": self.now_ms,
            "until_ms": self.now_ms + length,
            "leases": [seat.lease for seat in seats],
            "targets": b"".join(seat.target for seat in seats),
            "hard_ends_ms": [self.now_ms + length for _ in seats],
        }
        payload = session_pb2.ContinuityPermit(**(fields | changes)).SerializeToString()
        return seal(Kind.CONTINUITY_PERMIT, payload, self.signer)

    # ---------------------------------------------------------------------------------------- orders
    def suspend(self, detail: str = "suspected misuse", reason: Reason = Reason.LICENCE_SUSPENDED) -> Envelope:
        """Suspend the licence. Returns the directive, to be delivered or not."""
        self.epoch += 1
        self.refused = denial_pb2.Denial(
            reason=denial_pb2.DenialReason.ValueType(reason), detail=detail, suspension_reason="misuse"
        )
        return self.directive(session_pb2.DIRECTIVE_KIND_SUSPEND, detail=detail, reason_code="misuse")

    def reinstate(self) -> Envelope:
        self.epoch += 1
        self.refused = None
        return self.directive(session_pb2.DIRECTIVE_KIND_REINSTATE)

    def force_release(self, *leases: int) -> Envelope:
        self.epoch += 1
        for lease in leases:
            self.seats.pop(lease, None)
        return self.directive(session_pb2.DIRECTIVE_KIND_FORCE_RELEASE, leases=leases, detail="taken back")

    def directive(self, kind: session_pb2.DirectiveKind.ValueType, **changes: Any) -> Envelope:
        fields: dict[str, Any] = {
            "issuer": DOMAIN,
            "licence": LICENCE,
            "epoch": self.epoch,
            "kind": kind,
            "decided_ms": self.now_ms,
        }
        return seal(Kind.DIRECTIVE, session_pb2.Directive(**(fields | changes)).SerializeToString(), self.signer)


def directive_frame(envelope: Envelope) -> bytes:
    return session_service_pb2.SessionResponse(directive=envelope).SerializeToString()


def continuity_frame(envelope: Envelope) -> bytes:
    return session_service_pb2.SessionResponse(continuity=envelope).SerializeToString()


def reply_frame(envelope: Envelope) -> bytes:
    return session_service_pb2.SessionResponse(reply=envelope).SerializeToString()
