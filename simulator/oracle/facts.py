"""What the oracle has seen, as values. Instants are unix milliseconds, except where they say boot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from licd.v1 import session_pb2


@dataclass(frozen=True, slots=True)
class Member:
    """A system of the fleet. honest: built on the SDK, and so never to act without cover."""

    system: str
    licence: str
    kind: str
    honest: bool


@dataclass(frozen=True, slots=True)
class Ask:
    """One target asked for. claims are pairs of region and basis; authorisation_end 0 = none."""

    target: bytes
    claims: tuple[tuple[str, int], ...]
    purpose: str
    offence: str
    authorisation: str
    authorisation_end: int
    attested: bool


@dataclass(frozen=True, slots=True)
class Grant:
    """A lease as licd granted it, beside what was asked for."""

    lease: int
    target: bytes
    granted_at: int
    existing: bool
    region: str
    purpose: str
    ask: Ask


@dataclass(frozen=True, slots=True)
class Listed:
    """A lease on a permit."""

    target: bytes
    hard_end: int


@dataclass(frozen=True, slots=True)
class Permit:
    """A permit that licd signed.

    first_sent (boot) is when the request that it answers first left the system, sent_at the same on the wall clock.
    unary: it answers a unary call. place is the region that the system last declared for itself.
    """

    digest: bytes
    system: str
    licence: str
    decided: int
    epoch: int
    revision: int
    first_sent: int
    sent_at: int
    unary: bool
    place: str
    leases: Mapping[int, Listed]
    grants: tuple[Grant, ...]

    def local_end(self, listed: Listed) -> int:
        """The boot instant before which the system may act: first send + (hard end − decided)."""
        return self.first_sent + (listed.hard_end - self.decided)


@dataclass(frozen=True, slots=True)
class Stop:
    """An authoritative no, heard at a boot instant: a refusal or an order, with the epoch it speaks of."""

    system: str
    epoch: int
    heard: int
    leases: frozenset[int]
    """The leases it stops; empty for all."""


@dataclass(frozen=True, slots=True)
class Order:
    """A directive. kind is a number of DirectiveKind."""

    licence: str
    epoch: int
    kind: int
    decided: int
    system: str
    leases: frozenset[int]


@dataclass(frozen=True, slots=True)
class Suspension:
    """What the operator was told. cut are the systems that could not be reached just then."""

    licence: str
    epoch: int
    decided: int
    push: int
    pull: int
    unreachable: int
    cut: frozenset[str]


@dataclass(frozen=True, slots=True)
class Figures:
    """The installation's figures, as its policy states them, and where its systems call from.

    act is how long a system may take to stop (milliseconds), rate_error how wrong its clock may run (parts in a
    million), clock_offset what the wall clock shows beyond the boot clock.
    """

    act: int
    skew: int
    rate_error: int
    address: str
    clock_offset: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request and what licd made of it. ask is None for a mere renewal; reason "" means granted, by that permit."""

    system: str
    licence: str
    decided: int
    ask: Ask | None
    reason: str
    permit: bytes = b""


@dataclass(frozen=True, slots=True)
class Act:
    """Work on one target from start to end (boot). permit is the digest of the permit it relies on; None for none."""

    system: str
    target: bytes
    start: int
    end: int
    permit: bytes | None
    region: str
    purpose: str


class Rule(StrEnum):
    """What can be wrong. The value is what people read."""

    UNSEALED = "a reply, a directive or a licence without licd's seal"
    MISMATCHED = "a reply that does not answer what was sent"
    CONTRADICTORY = "two directives of one licence and epoch that differ"
    UNKNOWN_TERMS = "a permit under terms that nobody has signed"
    STALE = "a permit decided before it was asked for"
    TERM = "a permit decided outside of the licence's term"
    HARD_END = "a hard end later than decided + L + min(G, age), or than the term or the authorisation"
    STOPPED = "a permit decided after a suspension or termination, before any reinstatement"
    REVOKED = "a permit for a system whose enrolment was withdrawn"
    FORCE_RELEASED = "a permit that lists a lease after it was force-released"
    CAP = "more targets under running permits than the cap"
    SHARED = "one target under running permits of two systems"
    DISTINCT = "more different targets in a period than the licence permits"
    CHURN = "more newly taken seats in a period than the licence permits"
    REGION = "a grant outside of the licence's regions, or on a basis it does not accept"
    PURPOSE = "a grant for a purpose or an offence outside of the licence"
    AUTHORISATION = "a grant without the authorisation or the attestation that the licence asks for"
    PLACE = "a permit for a system that stands, or calls from, where the licence does not let it"
    BOUND = "a bound on stopping that is shorter than the formula's"
    HONEST_UNCOVERED = "an honest system acted without cover"
    HONEST_DEAF = "an honest system went on after it had heard that it must stop"


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that is wrong. permit and lease say what it hangs on, where it hangs on a permit."""

    rule: Rule
    licence: str
    system: str
    detail: str
    permit: bytes | None = None
    lease: int | None = None


STOPPING = frozenset({session_pb2.DIRECTIVE_KIND_SUSPEND, session_pb2.DIRECTIVE_KIND_TERMINATE})
"""Directives after which no permit is decided until a reinstatement."""


def ask_of(message: session_pb2.Acquisition) -> Ask:
    """An acquisition as it was asked for."""
    return Ask(
        target=message.target,
        claims=tuple((each.region, int(each.basis)) for each in message.regions),
        purpose=message.purpose,
        offence=message.offence,
        authorisation=message.authorisation.reference,
        authorisation_end=message.authorisation.expires_at_ms,
        attested=message.attested_not_protected,
    )
