"""A customer system as licd meets it on the wire: enrolled over TLS, links signed, replies checked. Not the SDK."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from os import urandom  # noqa: TID251 - keys and nonces of systems
from queue import SimpleQueue
from typing import Any, Self, cast

import grpc
from google.protobuf.message import Message

from licd.core.errors import LicdError
from licd.keys.bundle_update import PayloadPin, advance, pin_first
from licd.keys.certificate_request import make_private_key, make_request
from licd.keys.envelope import seal, verify
from licd.keys.keyring import Keyring
from licd.keys.kinds import KeyPurpose, Kind
from licd.keys.pem_files import private_key_to_pem
from licd.keys.signer import MemorySigner
from licd.server.caller import Listener
from licd.v1 import deployment_service_pb2, enrolment_service_pb2, licence_pb2, session_pb2, session_service_pb2
from licd.v1.denial_pb2 import DenialReason
from licd.v1.envelope_pb2 import Envelope
from licd.wire.errors import from_rpc_error
from tests.daemon import PATIENCE, VERBS, Papers, Reachable, call, fresh, new_id, open_channel
from tests.office import Office

Reply = Any
"""A Permit or a Refusal: a test knows which, and fails on the other."""

PURPOSE = "sar:search-and-rescue"


def target(number: int) -> bytes:
    return sha256(b"target %d" % number).digest()


def acquisition(number: int, *, region: str = "NO", purpose: str = PURPOSE) -> session_pb2.Acquisition:
    """Asks for target number."""
    claim = session_pb2.RegionClaim(region=region, basis=licence_pb2.REGION_BASIS_NUMBER_PLAN)
    return session_pb2.Acquisition(target=target(number), regions=[claim], purpose=purpose)


def acquire(number: int, **more: Any) -> session_pb2.Operation:
    return session_pb2.Operation(acquire=acquisition(number, **more))


def release(lease: int) -> session_pb2.Operation:
    return session_pb2.Operation(release=session_pb2.Release(lease=lease))


def reason(message: Any) -> str:
    """The name of the reason in a refusal, an outcome or a denial."""
    denial = message.denial if hasattr(message, "denial") else message
    return DenialReason.Name(denial.reason).removeprefix("DENIAL_REASON_")


@dataclass(frozen=True, slots=True)
class Joining:
    """What stands in a join token."""

    address: str
    authority: bytes
    bundle: str
    secret: str
    deployment: str

    @classmethod
    def of(cls, token: str) -> Joining:
        packed = token.removeprefix("LICD-JOIN-1.")
        found = json.loads(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)))
        authority = b"-----BEGIN CERTIFICATE-----\n" + found["ca"].encode() + b"\n-----END CERTIFICATE-----\n"
        return cls(found["enrolment"], authority, found["bundle_sha256"], found["secret"], found["deployment"])


def enrolment_request(secret: str, signer: MemorySigner, csr: bytes) -> enrolment_service_pb2.EnrolRequest:
    """A right request to enrol."""
    proof = signer.sign(b"licd-enrol-v1" + sha256(secret.encode()).digest() + sha256(csr).digest())
    return enrolment_service_pb2.EnrolRequest(
        join_secret=secret,
        csr=csr,
        public_key=signer.public_key,
        proof=proof,
        pseudonym_key_commitment=sha256(b"licd-pseudonym-key-v1\x00" + b"k" * 32).digest(),
    )


@dataclass
class System:
    """Keeps its chain: the next sequence, the hash of the last reply, the session and the leases it holds."""

    daemon: Reachable
    name: str
    papers: Papers
    signer: MemorySigner
    keyring: Keyring
    csr: bytes
    previous: bytes
    sequence: int = 0
    session: str = ""
    held: list[int] = field(default_factory=list)
    epoch_seen: int = 0
    boot_nonce: bytes = b"b" * 16
    last_reply: Envelope | None = None
    channel: grpc.Channel = field(init=False)

    def __post_init__(self) -> None:
        self.channel = self.connect()

    @property
    def deployment(self) -> str:
        return self.name.rpartition("/")[2]

    @classmethod
    def enrol(cls, daemon: Reachable, token: str) -> System:
        """Joins with a token, over a channel that believes only the authority in it."""
        joining, key = Joining.of(token), make_private_key()
        signer = MemorySigner.generate(KeyPurpose.SYSTEM, urandom)
        csr = make_request(key)
        address = daemon.address(Listener.ENROLMENT)
        assert joining.address.rpartition(":")[2] == address.rpartition(":")[2]
        channel = open_channel(address, joining.authority, None)
        request = enrolment_request(joining.secret, signer, csr)
        answer = call(channel, "EnrolmentService.Enrol", request)
        channel.close()
        return cls.told(daemon, joining, signer, private_key_to_pem(key), request, answer)

    @classmethod
    def told(
        cls,
        daemon: Reachable,
        joining: Joining,
        signer: MemorySigner,
        channel_key: bytes,
        request: enrolment_service_pb2.EnrolRequest,
        answer: enrolment_service_pb2.EnrolResponse,
    ) -> System:
        """By the answer to its enrolment."""
        pin = PayloadPin(bytes.fromhex(joining.bundle))
        bundle = pin_first(answer.trust.bundles[0], pin, daemon.clock.wall())
        for each in answer.trust.bundles[1:]:
            bundle = advance(bundle, each)
        papers = Papers(channel_key, answer.certificate_chain_pem.encode())
        previous = sha256(answer.receipt).digest()
        return cls(daemon, answer.system, papers, signer, bundle.keyring, request.csr, previous)

    def connect(self) -> grpc.Channel:
        return self.daemon.channel(Listener.CUSTOMER, self.papers)

    # links

    def link(self, *operations: session_pb2.Operation, **changes: Any) -> Envelope:
        """The next link, signed. changes replace fields of it; opening makes it one that opens a session."""
        message = session_pb2.Link(
            system=self.name,
            sequence=self.sequence + 1,
            previous=self.previous,
            boot_nonce=self.boot_nonce,
            boot_time_ms=self.daemon.clock.boot(),
            nonce=urandom(16),
            session=self.session,
            heartbeat=session_pb2.Heartbeat(),
            held=self.held,
            operations=operations,
            epoch_seen=self.epoch_seen,
        )
        if changes.pop("opens", False):
            message.opening.CopyFrom(session_pb2.Opening(deployment_region="NO", software="wired"))
            message.session = ""
        for name, value in changes.items():
            message.ClearField(name)  # type: ignore[arg-type]
            message.MergeFrom(session_pb2.Link(**{name: value}))
        return self.seal(Kind.LINK, message)

    def seal(self, kind: Kind, message: Message) -> Envelope:
        return seal(kind, message.SerializeToString(), self.signer)

    def take(self, link: Envelope, reply: Envelope) -> Reply:
        """Checks a reply and steps on with it."""
        message = self.read(reply)
        header = message.header
        assert (header.system, header.issuer) == (self.name, "licd.example")
        assert header.link == sha256(link.payload).digest()
        assert header.nonce == session_pb2.Link.FromString(link.payload).nonce
        stopped = isinstance(message, session_pb2.Refusal) and header.sequence == 0
        assert stopped or header.sequence == self.sequence + 1
        self.sequence, self.previous, self.last_reply = self.sequence + 1, sha256(reply.payload).digest(), reply
        self.session = header.session
        self.epoch_seen = header.epoch
        self.held = list(message.leases) if isinstance(message, session_pb2.Permit) else []
        return message

    def read(self, reply: Envelope) -> Reply:
        """A permit or a refusal under licd's own key."""
        kind, message = Kind.PERMIT, cast("Any", session_pb2.Permit)
        if reply.payload_type == Kind.DENIAL.payload_type:
            kind, message = Kind.DENIAL, session_pb2.Refusal
        verify(reply, kind, self.keyring, self.daemon.clock.wall())
        return message.FromString(reply.payload)

    def read_directive(self, envelope: Envelope) -> session_pb2.Directive:
        verify(envelope, Kind.DIRECTIVE, self.keyring, self.daemon.clock.wall())
        return session_pb2.Directive.FromString(envelope.payload)

    # calls

    def call(self, verb: str, request: Message) -> Any:
        return call(self.channel, f"SessionService.{verb}", request)

    def send_open(self, link: Envelope) -> session_service_pb2.OpenSessionResponse:
        request = session_service_pb2.OpenSessionRequest(link=link, last_reply=self.last_reply)
        return cast("session_service_pb2.OpenSessionResponse", self.call("OpenSession", request))

    def open(self, *operations: session_pb2.Operation) -> Reply:
        """Opens a session."""
        link = self.link(*operations, opens=True)
        return self.take(link, self.send_open(link).reply)

    def stream(self, channel: grpc.Channel | None = None) -> Stream:
        """A stream; a block around it closes it."""
        return Stream(self, channel or self.channel)

    def acquire(self, number: int, request_id: str = "", **more: Any) -> session_service_pb2.AcquireLeaseResponse:
        """One lease by a unary call."""
        request = session_service_pb2.AcquireLeaseRequest(
            request_id=request_id or new_id(self.daemon.clock.wall()), acquisition=acquisition(number, **more)
        )
        return cast("session_service_pb2.AcquireLeaseResponse", self.call("AcquireLease", request))

    def release(self, lease: int) -> session_service_pb2.ReleaseLeaseResponse:
        request = session_service_pb2.ReleaseLeaseRequest(request_id=new_id(self.daemon.clock.wall()), lease=lease)
        return cast("session_service_pb2.ReleaseLeaseResponse", self.call("ReleaseLease", request))

    def check(self, licence: str = "") -> session_service_pb2.CheckLicenceResponse:
        request = session_service_pb2.CheckLicenceRequest(licence=licence)
        return cast("session_service_pb2.CheckLicenceResponse", self.call("CheckLicence", request))

    def renew(self, csr: bytes | None = None) -> Papers:
        """A new certificate, for the same key unless told otherwise."""
        request = session_service_pb2.RenewCertificateRequest(csr=csr or self.csr)
        chain = self.call("RenewCertificate", request).certificate_chain_pem
        return Papers(self.papers.key, chain.encode())

    def acknowledgement(self, epoch: int, directive: bytes, **changes: Any) -> Envelope:
        message = session_pb2.Acknowledgement(
            system=self.name,
            licence=changes.pop("licence", ""),
            epoch=epoch,
            directive=sha256(directive).digest(),
            boot_nonce=self.boot_nonce,
            stopped_at_ms=self.daemon.clock.wall(),
            **changes,
        )
        return self.seal(Kind.ACKNOWLEDGEMENT, message)


class Stream:
    """A Session stream. Every wait ends with the call's own deadline."""

    def __init__(self, system: System, channel: grpc.Channel) -> None:
        self.system = system
        self._frames: SimpleQueue[session_service_pb2.SessionRequest | None] = SimpleQueue()
        method = VERBS["SessionService.Session"]
        self.directives: list[session_pb2.Directive] = []
        self.payloads: list[bytes] = []
        self.licences: list[Envelope] = []
        self.continuities: list[Envelope] = []
        self.call: Any = channel.stream_stream(
            method.path,
            session_service_pb2.SessionRequest.SerializeToString,
            session_service_pb2.SessionResponse.FromString,
        )(iter(self._sent()), timeout=PATIENCE)

    def _sent(self) -> Iterator[session_service_pb2.SessionRequest]:
        while (frame := self._frames.get()) is not None:
            yield frame

    def send(self, link: Envelope, last_reply: Envelope | None = None) -> None:
        self._frames.put(session_service_pb2.SessionRequest(link=link, last_reply=last_reply))

    def send_frame(self, frame: session_service_pb2.SessionRequest) -> None:
        self._frames.put(frame)

    def acknowledge(self, envelope: Envelope) -> None:
        self._frames.put(session_service_pb2.SessionRequest(acknowledgement=envelope))

    def frame(self) -> session_service_pb2.SessionResponse:
        """The next frame. Raises LicdError, grpc.RpcError, or StopIteration at a clean end."""
        try:
            return cast("session_service_pb2.SessionResponse", next(self.call))
        except grpc.RpcError as error:
            known = from_rpc_error(error)
            if isinstance(known, LicdError):
                known.__cause__ = error
                raise known from error
            raise

    def reply(self) -> Envelope:
        """The next reply; directives and licences that come before it are kept."""
        while True:
            frame = self.frame()
            if frame.HasField("reply"):
                return frame.reply
            self._keep(frame)

    def directive(self) -> session_pb2.Directive:
        """The next directive that has not come before: licd may say one twice."""
        known = {each.epoch for each in self.directives}
        while True:
            frame = self.frame()
            self._keep(frame)
            if frame.HasField("directive") and self.directives[-1].epoch not in known:
                return self.directives[-1]

    def _keep(self, frame: session_service_pb2.SessionResponse) -> None:
        if frame.HasField("directive"):
            self.directives.append(self.system.read_directive(frame.directive))
            self.payloads.append(frame.directive.payload)
        elif frame.HasField("licence"):
            self.licences.append(frame.licence)
        elif frame.HasField("continuity"):
            self.continuities.append(frame.continuity)

    def beat(self, *operations: session_pb2.Operation, **changes: Any) -> Reply:
        """Sends the next link and takes its reply."""
        link = self.system.link(*operations, **changes)
        self.send(link)
        return self.system.take(link, self.reply())

    def rest(self) -> Sequence[session_service_pb2.SessionResponse]:
        """Everything until licd ends the stream, and that it ends it without an error."""
        found = list(self.call)
        assert self.call.code() is grpc.StatusCode.OK
        return found

    def finish(self) -> None:
        """Says that nothing more comes."""
        self._frames.put(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._frames.put(None)
        with suppress(grpc.RpcError):
            self.call.cancel()


def joined(office: Office, licence: str = "", name: str = "") -> System:
    """An enrolled system, of a licence of its own unless one is named."""
    token = office.alice.invite(licence or office.licence(), name or fresh("system"))
    return System.enrol(office.daemon, token)


def licence_of(office: Office, system: System) -> str:
    """The licence that a system belongs to."""
    request = deployment_service_pb2.GetDeploymentRequest(deployment=system.deployment)
    return str(office.alice.call("DeploymentService.GetDeployment", request).deployment.licence)


def enrolled_anew(office: Office, system: System) -> System:
    """The same deployment, enrolled by somebody with new keys."""
    request = deployment_service_pb2.ReenrolDeploymentRequest(deployment=system.deployment, detail="disk lost")
    office.agree("DeploymentService.ReenrolDeployment", request)
    return System.enrol(office.daemon, office.alice.invite(licence_of(office, system), system.deployment))


def holding(office: Office, licence: str, *numbers: int) -> System:
    """A system of the licence that holds a lease on each target."""
    system = joined(office, licence)
    system.open(*[acquire(number) for number in numbers])
    return system
