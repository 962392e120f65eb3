"""Is this link the next one of its chain? One chain per enrolment, across sessions.

Judged in this order:
1. payload equal to the last accepted          → the stored reply
2. the right successor                         → accept
3. one that is remembered, byte for byte       → late: a replay is not a fork
4. backed by a reply that licd signed and does not know → licd is behind; or, if that was answered before rows were
   reconciled that are known to have lost something → the chain is taken up after that reply, once
5. came on a stream opened before the last acceptance → late
6. anything else                               → fork

A fork needs two different frames; an honest system, which persists a link before it sends it and has one outstanding,
sends nothing but its outstanding link and copies of accepted ones.

What is remembered longest are the links that came first on their stream or by a call, and those that were said again.
Only their copies can come from an honest system on something that looks younger than it is: a connection that was held
up as a whole brings the link that was outstanding then, and its answer was read where it was said again, first. So that
memory is used up by reconnections, not by links, of which a busy system sends hundreds while a packet is late. Beside
it the last few links are remembered whatever they came on: who replays them from elsewhere makes no fork either.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from licd.core.model import Session
from licd.core.time import Instant

RECENT = 32
SHORT = 16
HASH = 32
BETWEEN = bytes(SHORT)


class Verdict(Enum):
    """What a link is to its chain."""

    REPEAT = "repeat"
    ACCEPT = "accept"
    LATE = "late"
    FORK = "fork"
    BEHIND = "behind"
    TAKE_UP = "take-up"


@dataclass(frozen=True, slots=True)
class BackedReply:
    """A reply that verified under licd's own keys, sent along by a reconnecting system."""

    sequence: int
    payload_hash: bytes
    decided: Instant = 0


@dataclass(frozen=True, slots=True)
class LinkClaim:
    """What the judgement looks at in a link whose signature has been verified.

    stream_opened_at is when the stream it came on was opened, by the deciding clock.
    """

    sequence: int
    previous: bytes
    payload_hash: bytes
    stream_opened_at: Instant
    backed: BackedReply | None = None


def judge(session: Session, reply_hash: bytes, claim: LinkClaim, reconciled_at: Instant = 0) -> Verdict:
    """Judges a link against the last accepted one; reply_hash is that of the stored reply's payload.

    What licd answered before reconciled_at and has lost is known to be lost: the chain is taken up from there, once.
    Whoever comes with another lost answer after the chain went on has two histories; licd has learnt nothing new by it.
    Where refusals took the stored reply's place, the system may have had an earlier one: each of them is a parent.
    """
    if claim.payload_hash == session.link_hash:
        return Verdict.REPEAT
    if claim.sequence == session.sequence + 1 and claim.previous in _parents(session, reply_hash):
        return Verdict.ACCEPT
    if accepted_recently(session, claim.payload_hash):
        return Verdict.LATE
    if _licd_is_behind(session, reply_hash, claim):
        if not _is_known_to_be_lost(claim, reconciled_at):
            return Verdict.BEHIND
        if session.accepted_at < reconciled_at:
            return Verdict.TAKE_UP
    if claim.stream_opened_at < session.accepted_at:
        return Verdict.LATE
    return Verdict.FORK


def _parents(session: Session, reply_hash: bytes) -> tuple[bytes, ...]:
    replaced = session.replaced_reply
    return reply_hash, *(replaced[at : at + HASH] for at in range(0, len(replaced), HASH))


def _licd_is_behind(session: Session, reply_hash: bytes, claim: LinkClaim) -> bool:
    backed = claim.backed
    if backed is None or backed.payload_hash != claim.previous or backed.sequence != claim.sequence - 1:
        return False
    if backed.sequence < 1:
        return False
    if backed.sequence > session.sequence:
        return True
    return backed.sequence == session.sequence and backed.payload_hash not in _parents(session, reply_hash)


def _is_known_to_be_lost(claim: LinkClaim, reconciled_at: Instant) -> bool:
    return claim.backed is not None and 0 < claim.backed.decided < reconciled_at


def accepted_recently(session: Session, payload_hash: bytes) -> bool:
    """Whether exactly this link was among the last accepted ones."""
    return _holds(session.recent, payload_hash)


def recall(session: Session, claim: LinkClaim) -> bytes:
    """The list to store with a link that is accepted or repeated now; session is as it was before."""
    is_repeat = claim.payload_hash == session.link_hash
    is_first = claim.stream_opened_at >= session.accepted_at
    kept, latest = _parts(session.recent)
    if (is_repeat or is_first) and not _holds(kept, claim.payload_hash):
        kept = remember(kept, claim.payload_hash)
    if not _holds(latest, claim.payload_hash):
        latest = remember(latest, claim.payload_hash)
    return kept + BETWEEN + latest


def _parts(recent: bytes) -> tuple[bytes, bytes]:
    """The links that are kept for long, and the latest."""
    at = _place(recent, BETWEEN)
    return (recent[:at], recent[at + SHORT :]) if at >= 0 else (recent, b"")


def _holds(hashes: bytes, payload_hash: bytes) -> bool:
    return _place(hashes, payload_hash[:SHORT]) >= 0


def _place(hashes: bytes, short: bytes) -> int:
    """Where it stands in the row of hashes; -1 for nowhere. Bytes of two neighbours may look like a third."""
    at = hashes.find(short)
    while at % SHORT and at >= 0:
        at = hashes.find(short, at + 1)
    return at


def remember(recent: bytes, payload_hash: bytes) -> bytes:
    """The list of remembered links with one more."""
    return (recent + payload_hash[:SHORT])[-RECENT * SHORT :]
