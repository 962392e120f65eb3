"""A chain of links, made by hand: what the SDK would not let one do can be done here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from licd.v1 import session_pb2 as pb
from licd.v1.envelope_pb2 import Envelope
from simulator.chance import Random
from simulator.clock import Millis
from simulator.oracle.seal import sealed

_NONCE: Final = 16
_SENT_KEPT: Final = 7


@dataclass(slots=True)
class Kept:
    """What a system has on its disk: who it is, and how its chain stands. Copied, it is a copy of the system."""

    system: str
    secret: Ed25519PrivateKey
    sequence: int
    previous: bytes
    outstanding: Envelope | None = None
    last_reply: Envelope | None = None

    @classmethod
    def first(cls, system: str, secret: Ed25519PrivateKey, receipt: bytes) -> Kept:
        """The chain before its first link, which follows the receipt."""
        return cls(system, secret, 0, sha256(receipt).digest())

    def copy(self) -> Kept:
        """The same again, as in a stolen directory."""
        return Kept(self.system, self.secret, self.sequence, self.previous, self.outstanding, self.last_reply)

    @property
    def key_id(self) -> str:
        """How licd calls the system's key."""
        public = self.secret.public_key().public_bytes_raw()
        return sha256(b"system\x00" + public).hexdigest()[:16]


class Chain:
    """One process's hold on a chain."""

    def __init__(self, kept: Kept, chance: Random) -> None:
        self.kept: Final = kept
        self.session = ""
        self.epoch_seen = 0
        self.sent: list[Envelope] = []
        """Its last few links."""
        self._chance: Final = chance
        self._boot_nonce: Final = chance.randbytes(_NONCE)

    def link(
        self,
        now: Millis,
        held: Sequence[int],
        operations: Sequence[pb.Operation],
        opening: pb.Opening | None = None,
    ) -> Envelope:
        """The next link, outstanding from here on; the one that is outstanding already, if there is one."""
        kept = self.kept
        if kept.outstanding is None:
            link = pb.Link(
                system=kept.system,
                sequence=kept.sequence + 1,
                previous=kept.previous,
                boot_nonce=self._boot_nonce,
                boot_time_ms=now,
                nonce=self._chance.randbytes(_NONCE),
                held=held,
                operations=operations,
                epoch_seen=self.epoch_seen,
            )
            if opening is not None:
                link.opening.CopyFrom(opening)
            else:
                link.session = self.session
                link.heartbeat.SetInParent()
            kept.sequence += 1
            kept.outstanding = self.seal("link", link.SerializeToString())
            self.sent = [*self.sent[-_SENT_KEPT:], kept.outstanding]
        return kept.outstanding

    def answered(self, reply: Envelope, header: pb.ReplyHeader) -> bool:
        """Take a reply. Returns whether it answers the outstanding link."""
        link = self.kept.outstanding
        if link is None or header.link != sha256(link.payload).digest():
            return False
        self.kept.outstanding = None
        self.kept.previous = sha256(reply.payload).digest()
        self.kept.last_reply = reply
        self.epoch_seen = max(self.epoch_seen, header.epoch)
        return True

    def seal(self, kind: str, payload: bytes) -> Envelope:
        """Sign with the system's key, whatever it is."""
        return sealed(kind, payload, self.kept.secret, self.kept.key_id)
