"""SessionService: links, streams, unary acquire and release, licence check, certificate renewal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from google.protobuf.message import DecodeError

from licd.core.acquire_lease import Granted
from licd.core.chain import BackedReply, LinkClaim
from licd.core.errors import Forbidden, Invalid, SealRefused, StaleFrame
from licd.core.model import Deployment, DeploymentStatus
from licd.core.reasons import Denied
from licd.core.release_lease import Released
from licd.core.time import HOUR, SECOND, Instant, Millis
from licd.keys.certificate_request import check_request
from licd.keys.envelope import Verified, verify, verify_ageless
from licd.keys.keyring import Keyring
from licd.keys.kinds import Kind
from licd.keys.payload import read_payload
from licd.keys.pki import key_thumbprint
from licd.keys.seal_reasons import SealInvalid
from licd.ledger.verbs.acknowledge import Acknowledge
from licd.ledger.verbs.answer_link import AnswerLink, ForkSeen, Reply
from licd.ledger.verbs.leases import AcquireLease, Checked, CheckLicence, ReleaseLease, acquire_once
from licd.ledger.verbs.once import Once
from licd.server.caller import Caller
from licd.server.certificates import Certificates
from licd.server.directory import Directory, KnownSystem
from licd.server.dispatch import FrameStream
from licd.server.metrics import Metrics
from licd.server.push import OpenStream, Push
from licd.server.signing import OnlineSigning
from licd.server.trust import Trust
from licd.server.writer import Writer
from licd.v1 import session_pb2
from licd.v1 import session_service_pb2 as pb
from licd.v1.envelope_pb2 import Envelope
from licd.v1.trust_pb2 import TrustBundleChain
from licd.wire.overlay import narrowing_message
from licd.wire.session import acquisition_from_message, denial_message, operations_from_messages, released_message

HELD_LIMIT: Final = 10_000
OPERATIONS_LIMIT: Final = 256
NONCE_LIMIT: Final = 64
SOFTWARE_LIMIT: Final = 128
ANSWERS_KEPT: Final[Millis] = HOUR
HASH_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """When the server ends a stream by itself, so that systems spread and authorise anew. Seconds."""

    stream_age: float


class SessionService:
    """The customer listener."""

    def __init__(
        self,
        *,
        writer: Writer,
        directory: Directory,
        signing: OnlineSigning,
        push: Push,
        certificates: Certificates,
        trust: Trust,
        metrics: Metrics,
        wall: Callable[[], Instant],
        limits: SessionLimits,
    ) -> None:
        self._writer: Final = writer
        self._directory: Final = directory
        self._signing: Final = signing
        self._push: Final = push
        self._certificates: Final = certificates
        self._trust: Final = trust
        self._metrics: Final = metrics
        self._wall: Final = wall
        self._limits: Final = limits

    async def open_session(self, request: pb.OpenSessionRequest, caller: Caller) -> pb.OpenSessionResponse:
        """Answers the link that opens a session."""
        known = self._directory.system(caller)
        link = self._read_link(request.link, known)
        if link.WhichOneof("action") != "opening":
            raise Invalid("the link must carry an opening", field="link.opening")
        reply = await self._answer(request.link, request.last_reply, link, known, caller, self._wall())
        self._push.close_stream(known.deployment.id)
        checked = await self._writer.execute(CheckLicence(known.deployment.id, ""))
        return pb.OpenSessionResponse(
            reply=self._signing.seal(reply.kind, reply.payload),
            licence=Envelope.FromString(checked.token),
            directives=[self._push.frame_of(each).directive for each in reply.directives],
            trust=self._newer_than(request.held_bundle),
        )

    async def session(self, frames: FrameStream, caller: Caller) -> None:
        """Serves a system's stream until one side ends it, its age is reached, or a newer one takes its place."""
        known = self._directory.system(caller)
        opened_at = self._wall()
        try:
            async with asyncio.timeout(self._limits.stream_age) as deadline:
                stream = OpenStream(known.deployment.id, known.deployment.licence, frames, deadline)
                self._push.open(stream)
                try:
                    while isinstance(frame := await frames.read(), pb.SessionRequest):
                        await self._take(frame, stream, caller, opened_at)
                finally:
                    await self._push.leave(stream)
        except TimeoutError:
            return

    async def _take(self, frame: pb.SessionRequest, stream: OpenStream, caller: Caller, opened_at: Instant) -> None:
        known = self._directory.system(caller)
        match frame.WhichOneof("frame"):
            case "link":
                await self._take_link(frame, stream, known, caller, opened_at)
            case "acknowledgement":
                await self._take_acknowledgement(frame.acknowledgement, known)
            case _:
                raise Invalid("a frame is a link or an acknowledgement", field="frame")

    async def _take_link(
        self, frame: pb.SessionRequest, stream: OpenStream, known: KnownSystem, caller: Caller, opened_at: Instant
    ) -> None:
        link = self._read_link(frame.link, known)
        if link.WhichOneof("action") != "heartbeat":
            raise Invalid("on a stream a link carries a heartbeat; sessions are opened by OpenSession", field="link")
        try:
            reply = await self._answer(frame.link, frame.last_reply, link, known, caller, opened_at)
        except StaleFrame:
            self._metrics.frame_dropped("stale")
            return
        newer = self._newer_than(frame.held_bundle)
        if newer is not None:  # before what may be sealed by its keys
            await stream.send(pb.SessionResponse(trust=newer))
        await stream.send(pb.SessionResponse(reply=self._signing.seal(reply.kind, reply.payload)))
        if reply.continuity:
            sealed = self._signing.seal(Kind.CONTINUITY_PERMIT, reply.continuity)
            await stream.send(pb.SessionResponse(continuity=sealed))
        for directive in reply.directives:
            await stream.send(self._push.frame_of(directive))
        if reply.directives:
            checked = await self._writer.execute(CheckLicence(known.deployment.id, ""))
            await stream.send(pb.SessionResponse(licence=Envelope.FromString(checked.token)))

    def _newer_than(self, held_bundle: int) -> TrustBundleChain | None:
        """The bundles that a system says it has not; 0 says nothing."""
        return self._trust.chain(held_bundle) if 0 < held_bundle < self._trust.version else None

    def _read_link(self, envelope: Envelope, known: KnownSystem) -> session_pb2.Link:
        """The verified link. Raises SealRefused or Invalid."""
        link = read_payload(self._verified(envelope, Kind.LINK, known.keyring), session_pb2.Link)
        owner = f"customer/{known.deployment.customer}/system/{known.deployment.id}"
        if link.system != owner:
            raise Invalid(f"the caller is {owner}", field="link.system")
        if len(link.held) > HELD_LIMIT or len(link.operations) > OPERATIONS_LIMIT:
            raise Invalid(f"at most {HELD_LIMIT} held leases and {OPERATIONS_LIMIT} operations", field="link")
        if len(link.continuity) > NONCE_LIMIT:
            raise Invalid(f"at most {NONCE_LIMIT} characters", field="link.continuity")
        if not link.nonce or len(link.nonce) > NONCE_LIMIT or len(link.boot_nonce) > NONCE_LIMIT:
            raise Invalid(f"from 1 to {NONCE_LIMIT} bytes", field="link.nonce")
        if len(link.opening.software) > SOFTWARE_LIMIT or len(link.opening.deployment_region) > SOFTWARE_LIMIT:
            raise Invalid(f"at most {SOFTWARE_LIMIT} characters", field="link.opening")
        return link

    def _verified(self, envelope: Envelope, kind: Kind, keyring: Keyring) -> Verified:
        try:
            return verify(envelope, kind, keyring, self._wall())
        except SealInvalid as error:
            raise SealRefused(str(error), field=kind.value) from error

    async def _answer(
        self,
        envelope: Envelope,
        last_reply: Envelope,
        link: session_pb2.Link,
        known: KnownSystem,
        caller: Caller,
        stream_opened_at: Instant,
    ) -> Reply:
        backed = self._backed(last_reply, link.system, known.deployment) if last_reply.payload else None
        payload_hash = sha256(envelope.payload).digest()
        opening = link.opening if link.WhichOneof("action") == "opening" else None
        command = AnswerLink(
            deployment=known.deployment.id,
            enrolment=known.deployment.enrolment,
            claim=LinkClaim(link.sequence, link.previous, payload_hash, stream_opened_at, backed),
            nonce=link.nonce,
            boot_nonce=link.boot_nonce,
            session=link.session,
            held=tuple(link.held),
            operations=operations_from_messages(link.operations),
            opens=opening is not None,
            region=opening.deployment_region if opening else "",
            software=opening.software if opening else "",
            address=caller.address,
            epoch_seen=link.epoch_seen,
            frame=envelope.SerializeToString(),
            continuity=link.continuity,
            continuity_used=link.continuity_used,
        )
        answer = await self._writer.execute(command)
        if isinstance(answer, ForkSeen):
            self._metrics.fork_seen()
            self._push.close_stream(known.deployment.id)
            raise answer.error()
        self._count(answer)
        return answer

    def _backed(self, envelope: Envelope, system: str, deployment: Deployment) -> BackedReply | None:
        """What a reply that licd signed itself says; one that does not verify backs nothing.

        Nor does one that is no step of this chain: one to a unary call, to a system that was stopped, or of another
        enrolment. A system that kept it could show licd to be behind what was never part of the chain.
        """
        for kind, message in ((Kind.PERMIT, session_pb2.Permit), (Kind.DENIAL, session_pb2.Refusal)):
            if envelope.payload_type != kind.payload_type:
                continue
            try:
                verified = verify_ageless(envelope, kind, self._trust.keyring)
                header = message.FromString(envelope.payload).header
            except (SealInvalid, DecodeError):
                return None
            # By its own date: the key may have ended since, and a system may have been away for long.
            if not all(key.is_valid_at(header.decided_ms) for key in verified.keys):
                return None
            if header.system != system or header.enrolment != deployment.enrolment or header.sequence < 1:
                return None
            return BackedReply(header.sequence, sha256(envelope.payload).digest(), header.decided_ms)
        return None

    def _count(self, reply: Reply) -> None:
        for outcome in reply.outcomes:
            match outcome:
                case Granted():
                    self._metrics.decided("acquire", "GRANTED")
                case Released():
                    self._metrics.decided("release", "RELEASED")
                case Denied():
                    self._metrics.decided("acquire" if reply.kind is Kind.PERMIT else "link", outcome.reason.name)
                case _:
                    raise TypeError(f"no outcome: {outcome!r}")
        if reply.kind is Kind.PERMIT and not reply.outcomes:
            self._metrics.decided("renew", "RENEWED")

    async def _take_acknowledgement(self, envelope: Envelope, known: KnownSystem) -> None:
        verified = self._verified(envelope, Kind.ACKNOWLEDGEMENT, known.keyring)
        message = read_payload(verified, session_pb2.Acknowledgement)
        if len(message.directive) != HASH_BYTES:
            raise Invalid(f"a SHA-256 hash has {HASH_BYTES} bytes", field="acknowledgement.directive")
        if message.active_leases < 0:
            raise Invalid("a count of leases", field="acknowledgement.active_leases")
        elapsed = await self._writer.execute(
            Acknowledge(
                deployment=known.deployment.id,
                system=message.system,
                enrolment=known.deployment.enrolment,
                licence=message.licence,
                epoch=message.epoch,
                directive=message.directive,
                stopped_at=message.stopped_at_ms,
                active_leases=message.active_leases,
                envelope=envelope.SerializeToString(),
            )
        )
        if elapsed is not None:
            self._metrics.suspension_acknowledged(elapsed / SECOND)

    async def acquire_lease(self, request: pb.AcquireLeaseRequest, caller: Caller) -> pb.AcquireLeaseResponse:
        """One lease by a unary call."""
        known = self._directory.system(caller)
        ask = AcquireLease(
            known.deployment.id,
            acquisition_from_message(request.acquisition, "acquisition"),
            caller.address,
            request.request_id,
        )
        fingerprint = sha256(request.acquisition.SerializeToString(deterministic=True)).digest()
        reply = await self._writer.execute(acquire_once(ask, caller.name, fingerprint, ANSWERS_KEPT))
        for outcome in reply.outcomes:
            reason = outcome.reason.name if isinstance(outcome, Denied) else "GRANTED"
            self._metrics.decided("acquire", reason)
        sealed = self._signing.seal(reply.kind, reply.payload)
        if reply.kind is Kind.PERMIT:
            return pb.AcquireLeaseResponse(permit=sealed)
        return pb.AcquireLeaseResponse(denial=sealed)

    async def release_lease(self, request: pb.ReleaseLeaseRequest, caller: Caller) -> pb.ReleaseLeaseResponse:
        """Gives one lease back by a unary call."""
        known = self._directory.system(caller)
        once: Once[pb.ReleaseLeaseResponse] = Once(
            inner=_Packed(ReleaseLease(known.deployment.id, request.lease)),
            caller=caller.name,
            request_id=request.request_id,
            fingerprint=sha256(b"release%d" % request.lease).digest(),
            keep=ANSWERS_KEPT,
            pack=lambda response: ("", response.SerializeToString()) if response.HasField("released") else None,
            unpack=lambda _tx, _kind, answer: pb.ReleaseLeaseResponse.FromString(answer),
        )
        response = await self._writer.execute(once)
        self._metrics.decided("release", "RELEASED" if response.HasField("released") else "LEASE_NOT_FOUND")
        return response

    async def check_licence(self, request: pb.CheckLicenceRequest, caller: Caller) -> pb.CheckLicenceResponse:
        """The caller's licence as it stands."""
        known = self._directory.system(caller)
        checked = await self._writer.execute(CheckLicence(known.deployment.id, request.licence))
        self._metrics.decided("check", checked.standing.reason.name if checked.standing else "STANDS")
        return _check_response(checked)

    async def renew_certificate(
        self, request: pb.RenewCertificateRequest, caller: Caller
    ) -> pb.RenewCertificateResponse:
        """A new certificate for the channel key the system enrolled with; works while suspended, not once revoked."""
        known = self._directory.system(caller)
        if known.deployment.status is DeploymentStatus.REVOKED:
            raise Forbidden("this deployment was revoked; its certificate is let run out")
        public_key = check_request(request.csr)
        if key_thumbprint(public_key) != known.deployment.channel_key_hash:
            raise Forbidden("a certificate is renewed for the same key; another key needs re-enrolment", field="csr")
        return pb.RenewCertificateResponse(
            certificate_chain_pem=self._certificates.issue(public_key, caller.system()),
            authorities_pem=self._certificates.authorities_pem,
        )


@dataclass(frozen=True, slots=True)
class _Packed:
    """A release whose result is its response."""

    inner: ReleaseLease
    grants: bool = False
    urgent: bool = False

    def run(self, tx: object) -> pb.ReleaseLeaseResponse:
        outcome = self.inner.run(tx)  # type: ignore[arg-type]
        if isinstance(outcome, Released):
            return pb.ReleaseLeaseResponse(released=released_message(outcome))
        return pb.ReleaseLeaseResponse(denial=denial_message(outcome))


def _check_response(checked: Checked) -> pb.CheckLicenceResponse:
    response = pb.CheckLicenceResponse()
    if checked.token:
        response.licence.CopyFrom(Envelope.FromString(checked.token))
    if checked.standing is not None:
        response.denial.CopyFrom(denial_message(checked.standing))
        return response
    response.standing.CopyFrom(
        pb.Standing(
            epoch=checked.epoch,
            decided_ms=checked.decided,
            live=checked.live,
            cooling=checked.cooling,
            limit=checked.limit,
            not_after_ms=checked.not_after,
            narrowed=[narrowing_message(each, checked.decided) for each in checked.narrowed],
        )
    )
    return response
