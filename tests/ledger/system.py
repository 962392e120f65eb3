"""A system as the ledger meets it: links with a chain of hashes, without keys or wires."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

from licd.core.acquire_lease import Granted
from licd.core.chain import BackedReply, LinkClaim
from licd.core.link import Operation
from licd.core.time import Instant
from licd.ledger.verbs.answer_link import AnswerLink, ForkSeen, Reply
from licd.v1.session_pb2 import Permit, Refusal
from tests.ledger.rig import Rig


class PaperSystem:
    """Keeps its chain, and the leases that it wants to go on with."""

    def __init__(self, rig: Rig, name: str, licence: str = "north-1") -> None:
        self.rig = rig
        self.name = name
        found = rig.enrolled(name, licence)
        self.enrolment = found.deployment.enrolment
        self.sequence = 0
        self.last_reply = found.receipt
        self.session = ""
        self.held: list[int] = []
        self.epoch_seen = 0

    def link(self, operations: Sequence[Operation] = (), *, opens: bool = False, salt: str = "") -> AnswerLink:
        """The next link. The same arguments make the same link."""
        sequence = self.sequence + 1
        frame = f"{self.name} {sequence} {sorted(self.held)} {operations!r} {opens} {salt}".encode()
        return AnswerLink(
            deployment=self.name,
            enrolment=self.enrolment,
            claim=LinkClaim(sequence, self.reply_hash, sha256(frame).digest(), self.rig.clock.wall()),
            nonce=sha256(b"nonce" + frame).digest()[:16],
            boot_nonce=b"b" * 16,
            session=self.session,
            held=tuple(self.held),
            operations=tuple(operations),
            opens=opens,
            region="AT",
            software="paper",
            address="127.0.0.1",
            epoch_seen=self.epoch_seen,
            frame=frame,
        )

    @property
    def reply_hash(self) -> bytes:
        return sha256(self.last_reply).digest()

    def take(self, reply: Reply | ForkSeen) -> Permit | Refusal:
        """Steps on with the reply."""
        assert isinstance(reply, Reply)
        self.sequence += 1
        self.last_reply = reply.payload
        self.session = reply.session
        message = Permit.FromString(reply.payload) if reply.kind == "permit" else Refusal.FromString(reply.payload)
        if isinstance(message, Permit):
            self.held = list(message.leases)
        self.epoch_seen = message.header.epoch
        return message

    def send(self, link: AnswerLink) -> Permit | Refusal:
        return self.take(self.rig.do(link))

    def open(self, *operations: Operation) -> Permit | Refusal:
        return self.send(replace(self.link(operations, opens=True), session=""))

    def beat(self, *operations: Operation) -> Permit | Refusal:
        return self.send(self.link(operations))

    def acquire(self, *wishes: Operation) -> list[int]:
        """The leases granted for the wishes; fails when one is denied."""
        reply = self.rig.do(self.link(wishes))
        assert isinstance(reply, Reply)
        granted = [each.lease.id for each in reply.outcomes if isinstance(each, Granted)]
        assert len(granted) == len(wishes), reply.outcomes
        self.take(reply)
        return granted


def backed(link: AnswerLink, sequence: int, payload: bytes, *, opened_at: Instant | None = None) -> AnswerLink:
    """The link, with a reply of licd sent along."""
    claim = replace(link.claim, backed=BackedReply(sequence, sha256(payload).digest()))
    if opened_at is not None:
        claim = replace(claim, stream_opened_at=opened_at)
    return replace(link, claim=claim)
