"""Listens on one system's connection and tells the oracle what was sent first when, what came, what was ordered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Final, NamedTuple

from licd.v1 import session_pb2
from licd.v1 import session_service_pb2 as pb
from licd.v1.envelope_pb2 import Envelope
from simulator.clock import Clock, Instant, Millis
from simulator.oracle.facts import Act
from simulator.oracle.record import Record, Sending

KEPT: Final = 64
"""How many links to keep that have not been answered; a system has one, cheats may have some more."""
TARGET_BYTES: Final = 32


class Ending(NamedTuple):
    """The permit (by its digest) that lists a target, and the boot instant before which it may be acted on."""

    permit: bytes
    until: Millis


class Tap:
    """One system's. It reads along and changes nothing."""

    def __init__(self, system: str, record: Record, clock: Clock) -> None:
        self.system: Final = system
        self._record: Final = record
        self._clock: Final = clock
        self._sent: Final[dict[bytes, tuple[Envelope, Millis, Instant]]] = {}
        self._listed: dict[bytes, Ending] = {}
        self._unary: Final[dict[bytes, Ending]] = {}
        self.on_permit: Callable[[Mapping[bytes, Ending]], None] = lambda _: None
        """Called with what each permit lists, however it came."""

    # --------------------------------------------------------------------------------------------- sent
    def sends(self, link: Envelope) -> None:
        """A link leaves, for the first time or again. A permit counts from the first."""
        digest = sha256(link.payload).digest()
        self._sent.setdefault(digest, (link, self._clock.boot_ms(), self._clock.wall_ms()))
        while len(self._sent) > KEPT:
            del self._sent[next(iter(self._sent))]

    # -------------------------------------------------------------------------------------------- heard
    def opened(self, response: pb.OpenSessionResponse) -> None:
        """The answer to an OpenSession came."""
        if response.HasField("licence"):
            self._record.licence(response.licence)
        for directive in response.directives:
            self._record.order(self.system, directive, self._clock.boot_ms())
        self._replied(response.reply)

    def received(self, frame: pb.SessionResponse) -> None:
        """A frame came down the stream."""
        match frame.WhichOneof("frame"):
            case "reply":
                self._replied(frame.reply)
            case "directive":
                self._record.order(self.system, frame.directive, self._clock.boot_ms())
            case "licence":
                self._record.licence(frame.licence)
            case _:
                pass

    def called(
        self, request: pb.AcquireLeaseRequest, response: pb.AcquireLeaseResponse, first_sent: Millis, sent_at: Instant
    ) -> None:
        """The answer to a unary acquire came."""
        self._record.call(self.system, request, response, Sending(first_sent, sent_at, self._clock.boot_ms()))
        if response.HasField("permit"):
            permit = session_pb2.Permit.FromString(response.permit.payload)
            ends = _ends(permit, response.permit, first_sent)
            self._unary.update(ends)
            self.on_permit(ends)

    def _replied(self, reply: Envelope) -> None:
        link_hash = _header(reply).link
        if link_hash not in self._sent:
            return
        link, first_sent, sent_at = self._sent[link_hash]
        self._record.exchange(self.system, link, reply, Sending(first_sent, sent_at, self._clock.boot_ms()))
        self._listed = {}
        if reply.payload_type.endswith(".permit.v1+proto"):
            self._listed = _ends(session_pb2.Permit.FromString(reply.payload), reply, first_sent)
            self.on_permit(self._listed)

    # --------------------------------------------------------------------------------------------- looks
    def permit_for(self, target: bytes) -> Ending | None:
        """The newest permit that lists the target."""
        return self._listed.get(target) or self._unary.get(target)

    def running(self, now: Millis) -> set[bytes]:
        """The targets that its newest permits let it work on now."""
        both = (self._listed, self._unary)
        return {target for ends in both for target, ending in ends.items() if now < ending.until}

    def acts(self, act: Act) -> None:
        """The system has worked on a target."""
        self._record.act(act)


def _header(reply: Envelope) -> session_pb2.ReplyHeader:
    if reply.payload_type.endswith(".denial.v1+proto"):
        return session_pb2.Refusal.FromString(reply.payload).header
    return session_pb2.Permit.FromString(reply.payload).header


def _ends(permit: session_pb2.Permit, envelope: Envelope, first_sent: Millis) -> dict[bytes, Ending]:
    digest = sha256(envelope.payload).digest()
    decided = permit.header.decided_ms
    return {
        permit.targets[index * TARGET_BYTES : (index + 1) * TARGET_BYTES]: Ending(
            digest, first_sent + hard_end - decided
        )
        for index, hard_end in enumerate(permit.hard_ends_ms)
    }
