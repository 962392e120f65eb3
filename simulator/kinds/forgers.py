"""Cheats that tamper with what is signed, renew by the back door, or run in two places at once."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from licd.v1 import session_pb2
from licd.v1 import session_service_pb2 as pb
from licd.v1.envelope_pb2 import Envelope
from simulator.clock import SECOND
from simulator.kinds.raw_system import SEED_BYTES, RawSystem
from simulator.mission import Wish
from simulator.oracle.seal import sealed
from simulator.raw.client import RawClient
from simulator.raw.line import LineBroken

HOUR: Final = 3_600 * SECOND


class Forger(RawSystem):
    """Sends licd what it did not sign, or what was said before; works under permits of its own making."""

    async def step(self, step: int) -> None:
        """By turns: a right thing, then something forged."""
        wish = self.new_wish()
        how, make = self.chance.choice(self._tamperings())
        brazen = self.is_brazen()
        if step % 2 == 0:
            [granted] = await self.ask(wish)
            if granted:
                self.work(wish)
            return
        if brazen:
            self.work_uncovered(wish, self._own_permit(wish))
        self.client.broken = ""
        try:
            await self.client.send(make())
            await self.pause(0.3)
            await self.keep_up()
        finally:
            self.journal.note("tamper", how, self.client.broken or "IGNORED")

    def _tamperings(self) -> list[tuple[str, Callable[[], pb.SessionRequest]]]:
        return [
            ("signed by another key", self._other_key),
            ("a bit flipped", self._flipped),
            ("a link again", self._replayed),
            ("a reply as a link", self._reply_as_link),
            ("a link as an acknowledgement", self._other_kind),
            ("garbage", self._garbage),
        ]

    def _own_permit(self, wish: Wish) -> bytes:
        """A permit for an hour, signed by a key of its own. Returns its digest."""
        now = self.stage.clock.wall_ms()
        header = session_pb2.ReplyHeader(system=self.system, licence=self.licence, decided_ms=now)
        permit = session_pb2.Permit(header=header, leases=[1], targets=wish.target, hard_ends_ms=[now + HOUR])
        return sha256(permit.SerializeToString()).digest()

    def _right(self) -> Envelope:
        """A link such as it could send; not outstanding."""
        chain = self.client.chain
        link = session_pb2.Link(
            system=self.system,
            sequence=chain.kept.sequence + 1,
            previous=chain.kept.previous,
            nonce=self.chance.randbytes(16),
            boot_nonce=self.chance.randbytes(16),
            session=chain.session,
        )
        link.heartbeat.SetInParent()
        return chain.seal("link", link.SerializeToString())

    def _other_key(self) -> pb.SessionRequest:
        return pb.SessionRequest(link=self._stranger())

    def _stranger(self) -> Envelope:
        right = self._right()
        stranger = Ed25519PrivateKey.from_private_bytes(self.chance.randbytes(SEED_BYTES))
        return sealed("link", right.payload, stranger, right.signatures[0].keyid)

    def _flipped(self) -> pb.SessionRequest:
        right = self._right()
        payload = bytearray(right.payload)
        payload[self.chance.randrange(len(payload))] ^= 1 << self.chance.randrange(8)
        right.payload = bytes(payload)
        return pb.SessionRequest(link=right)

    def _replayed(self) -> pb.SessionRequest:
        return pb.SessionRequest(link=self.chance.choice(self.client.chain.sent))

    def _reply_as_link(self) -> pb.SessionRequest:
        return pb.SessionRequest(link=self.kept.last_reply or self._stranger())

    def _other_kind(self) -> pb.SessionRequest:
        right = self._right()
        return pb.SessionRequest(acknowledgement=right)

    def _garbage(self) -> pb.SessionRequest:
        return pb.SessionRequest(link=Envelope(payload=self.chance.randbytes(40), payload_type="text/plain"))


class Sharer(RawSystem):
    """Renews by unary acquires alone, and works under whatever they give."""

    _wish: Wish | None = None

    async def step(self, step: int) -> None:
        """Ask for the same target again, each time anew."""
        if not self.client.chain.session:
            await self.client.open()
        if self._wish is None or step % 10 == 0:
            self._wish = self.new_wish()
        answer = await self.client.acquire(self._wish.message())
        [outcome] = self.take_unary(answer)
        self.journal.note("acquire-unary", self._wish, outcome)
        if outcome == "GRANTED" and not self.working:
            self.work(self._wish)

    def take_unary(self, answer: session_pb2.Permit | session_pb2.Refusal) -> list[str]:
        """What became of it; what it holds by links stays as it is."""
        held = dict(self.leases)
        outcome = self.take(answer, [self._wish] if self._wish else [])
        self.leases.clear()
        self.leases.update(held)
        return outcome


COPIED_AT: Final = 6
"""The step at which the directory is copied."""


class Copied(RawSystem):
    """A system whose directory was copied: two of it run at once, each with the same key."""

    _copy: RawClient | None = None

    async def step(self, step: int) -> None:
        """Alone at first; then the two take turns."""
        wish = self.new_wish()
        if step < COPIED_AT:
            [granted] = await self.ask(wish)
            if granted:
                self.work(wish)
            return
        if self._copy is None:
            self._copy = self.make_client(self.kept.copy(), "copy")
        one = self._copy if step % 2 else self.client
        try:
            answer = await one.open()
            self.journal.note("open", "copy" if step % 2 else "original", type(answer).__name__.upper())
        except LineBroken as broken:
            one.chain.kept.outstanding = None
            self.journal.note("open", "copy" if step % 2 else "original", broken.reason)
