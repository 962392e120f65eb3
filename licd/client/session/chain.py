"""A system's chain: one outstanding link at a time, written down before it is sent, sent again until answered.

Link n points at the reply that answered link n−1, by the hash of its payload as it came. Whoever copies the system and
goes on with both copies makes two different links with one number, and licd sees it.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from licd.client.session.chain_record import ChainRecord
from licd.core.time import Instant, Millis
from licd.v1 import session_pb2
from licd.v1.envelope_pb2 import Envelope

Seal: TypeAlias = Callable[[bytes], Envelope]
"""Signs a payload as a link."""


@dataclass(frozen=True, slots=True)
class Outstanding:
    """The link that awaits its reply. `own` says that this process made it; only then can its reply give rights.

    sent_at is the boot instant at which it was handed over to be written down and sent: a permit counts from there.
    """

    envelope: Envelope
    payload_hash: bytes
    sequence: int
    nonce: bytes
    opens: bool
    own: bool
    sent_at: Millis


@dataclass(frozen=True, slots=True)
class LinkParts:
    """What goes into the next link beside the chain itself."""

    now: Millis
    held: Sequence[int]
    operations: Sequence[session_pb2.Operation]
    epoch_seen: int
    latest_decided: Instant
    journal: tuple[int, bytes]
    opening: session_pb2.Opening | None = None
    continuity: str = ""
    continuity_used: bool = False


class Chain:
    """The chain as this process knows it. `session` is empty while a link has to open one."""

    __slots__ = (
        "_boot_nonce",
        "_enrolment",
        "_previous",
        "_sequence",
        "_system",
        "last_reply",
        "outstanding",
        "session",
    )

    def __init__(self, system: str, record: ChainRecord, boot_nonce: bytes) -> None:
        """Take the chain up where the last process left it. Raises DecodeError for a record that is not a link."""
        self._system: Final = system
        self._enrolment: Final = record.enrolment
        self._boot_nonce: Final = boot_nonce
        self._previous = record.previous
        self._sequence = record.sequence
        self.last_reply = Envelope.FromString(record.last_reply)
        self.session = ""
        self.outstanding = _outstanding(Envelope.FromString(record.link)) if record.link else None

    @property
    def boot_nonce(self) -> bytes:
        """Random bytes of this process."""
        return self._boot_nonce

    @property
    def sequence(self) -> int:
        """Number of the newest link."""
        return self._sequence

    def extend(self, parts: LinkParts, nonce: bytes, seal: Seal) -> Outstanding:
        """Make the next link, outstanding from here on. Raises what the signer raises, and then nothing changed."""
        link = session_pb2.Link(
            system=self._system,
            sequence=self._sequence + 1,
            previous=self._previous,
            boot_nonce=self._boot_nonce,
            boot_time_ms=parts.now,
            nonce=nonce,
            held=parts.held,
            operations=parts.operations,
            epoch_seen=parts.epoch_seen,
            journal=session_pb2.JournalHead(size=parts.journal[0], root=parts.journal[1]),
            latest_decided_ms=parts.latest_decided,
            continuity=parts.continuity,
            continuity_used=parts.continuity_used,
        )
        if parts.opening is not None:
            link.opening.CopyFrom(parts.opening)
        else:
            link.session = self.session
            link.heartbeat.SetInParent()
        payload = link.SerializeToString()
        envelope = seal(payload)
        self._sequence += 1
        self.outstanding = Outstanding(
            envelope=envelope,
            payload_hash=hashlib.sha256(payload).digest(),
            sequence=self._sequence,
            nonce=nonce,
            opens=parts.opening is not None,
            own=True,
            sent_at=parts.now,
        )
        return self.outstanding

    def is_answered_by(self, header: session_pb2.ReplyHeader, *, refused: bool = False) -> bool:
        """Whether a reply with this header is the one that is being waited for.

        A refusal has number 0 where licd has stopped the system for good and goes on with no chain of it.
        """
        link = self.outstanding
        return (
            link is not None
            and header.link == link.payload_hash
            and (header.sequence == link.sequence or (refused and header.sequence == 0))
            and header.nonce == link.nonce
        )

    def answered(self, reply: Envelope) -> None:
        """Take the reply to the outstanding link: the next link follows it."""
        self.outstanding = None
        self.last_reply = reply
        self._previous = hashlib.sha256(reply.payload).digest()

    def record(self, *, epoch_seen: int, floor: int, latest_decided: Instant) -> ChainRecord:
        """What has to be durable before the outstanding link is sent."""
        link = self.outstanding
        return ChainRecord(
            enrolment=self._enrolment,
            sequence=self._sequence,
            previous=self._previous,
            link=b"" if link is None else link.envelope.SerializeToString(),
            last_reply=self.last_reply.SerializeToString(),
            epoch_seen=epoch_seen,
            floor=floor,
            latest_decided=latest_decided,
        )


def _outstanding(envelope: Envelope) -> Outstanding:
    """The link that an earlier process left unanswered."""
    link = session_pb2.Link.FromString(envelope.payload)
    return Outstanding(
        envelope=envelope,
        payload_hash=hashlib.sha256(envelope.payload).digest(),
        sequence=link.sequence,
        nonce=link.nonce,
        opens=link.HasField("opening"),
        own=False,
        sent_at=0,
    )
