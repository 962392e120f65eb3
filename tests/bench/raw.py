"""A system that speaks the raw protocol as thinly as can be: so that a figure tells of the daemon, not of the SDK."""

from __future__ import annotations

from hashlib import sha256

import grpc
import grpc.aio

from licd.keys.envelope import seal
from licd.keys.kinds import Kind
from licd.v1 import session_pb2, session_service_pb2, session_service_pb2_grpc
from licd.v1.envelope_pb2 import Envelope
from licd.v1.licence_pb2 import REGION_BASIS_NUMBER_PLAN
from tests.bench import clock
from tests.bench.stage import Enrolled

OPTIONS = (("grpc.max_receive_message_length", 16 * 1024 * 1024),)


def acquisition() -> session_pb2.Acquisition:
    """A new target inside the template's limits."""
    return session_pb2.Acquisition(
        target=clock.random(32),
        regions=[session_pb2.RegionClaim(region="AT", basis=REGION_BASIS_NUMBER_PLAN)],
        purpose="licd:serious-crime",
        offence="eaw:drugs",
        authorisation=session_pb2.Authorisation(reference="bench", expires_at_ms=clock.now_ms() + 3_600_000),
        attested_not_protected=True,
    )


class RawSystem:
    """One system on a channel of its own."""

    def __init__(self, enrolled: Enrolled) -> None:
        self.enrolled = enrolled
        self.channel = grpc.aio.secure_channel(enrolled.address, enrolled.credentials, options=OPTIONS)
        self.stub = session_service_pb2_grpc.SessionServiceStub(self.channel)
        self.sequence = 0
        self.previous = sha256(enrolled.receipt).digest()
        self.session = ""
        self.boot_nonce = clock.random(16)

    def link(self, held: list[int], operations: list[session_pb2.Operation], *, opens: bool = False) -> Envelope:
        """The next link, signed."""
        self.sequence += 1
        link = session_pb2.Link(
            system=self.enrolled.system,
            sequence=self.sequence,
            previous=self.previous,
            boot_nonce=self.boot_nonce,
            boot_time_ms=clock.boot_ms(),
            nonce=clock.random(16),
            session=self.session,
            held=held,
            operations=operations,
            epoch_seen=1,
        )
        if opens:
            link.opening.CopyFrom(session_pb2.Opening(deployment_region="AT", software="bench"))
        else:
            link.heartbeat.SetInParent()
        return seal(Kind.LINK, link.SerializeToString(), self.enrolled.signer)

    def take(self, reply: Envelope) -> session_pb2.Permit:
        """Goes on from a reply."""
        self.previous = sha256(reply.payload).digest()
        if reply.payload_type != Kind.PERMIT.payload_type:
            raise AssertionError(session_pb2.Refusal.FromString(reply.payload))
        permit = session_pb2.Permit.FromString(reply.payload)
        self.session = permit.header.session
        return permit

    async def open(self) -> session_pb2.Permit:
        """Opens a session."""
        request = session_service_pb2.OpenSessionRequest(link=self.link([], [], opens=True))
        return self.take((await self.stub.OpenSession(request)).reply)

    async def acquire(self) -> session_pb2.Permit:
        """One lease by a unary call."""
        answer = await self.stub.AcquireLease(
            session_service_pb2.AcquireLeaseRequest(request_id=clock.request_id(), acquisition=acquisition())
        )
        if answer.WhichOneof("outcome") != "permit":
            raise AssertionError(session_pb2.Refusal.FromString(answer.denial.payload))
        return session_pb2.Permit.FromString(answer.permit.payload)

    def another_channel(self, address: str) -> grpc.aio.Channel:
        """A connection to another server with the same certificate."""
        return grpc.aio.secure_channel(address, self.enrolled.credentials, options=OPTIONS)

    async def close(self) -> None:
        await self.channel.close()
