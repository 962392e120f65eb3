"""Everything a session machine knows, in one place; the verbs beside it change it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from licd.client.answers import Outcome, Released
from licd.client.notices import DropReason, FrameDropped, Notice
from licd.client.pace import Pace
from licd.client.session.anchor import Anchor
from licd.client.session.chain import Chain
from licd.client.session.chain_record import ChainRecord
from licd.client.session.effects import Effect, Notify, Persist, Record, Resolve
from licd.client.session.holds import Asked, GivingUp, Holds
from licd.client.session.line import Line
from licd.client.session.standing import Standing
from licd.client.session.trust import Trust
from licd.core.time import Instant, Millis
from licd.keys.bundle import Bundle
from licd.keys.signer import Randomness, Signer

if TYPE_CHECKING:
    from licd.client.session.outage import Continuity

NONCE_BYTES: Final = 16
MOST_SAID: Final = 64


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the system is: customer/C/system/S of this trust domain, under this licence."""

    system: str
    trust_domain: str
    licence: str


@dataclass(frozen=True, slots=True)
class Outfit:
    """What a machine is given: who it is, its key, chance, and what its opening links declare."""

    identity: Identity
    signer: Signer
    randomness: Randomness
    pace: Pace
    region: str
    software: str


class MachineState:
    """The state of one machine. `out` is what the event under way has led to so far."""

    __slots__ = (
        "acknowledgements",
        "certificate_due",
        "chain",
        "closing_at",
        "continuities_seen",
        "continuity",
        "finished",
        "heartbeat",
        "holds",
        "in_flight",
        "journal",
        "licence",
        "licence_missing",
        "licence_revision",
        "line",
        "listed",
        "next_beat",
        "out",
        "outfit",
        "renew_after",
        "renewing",
        "said",
        "sent_on",
        "standing",
        "started",
        "stop_refusal",
        "stop_said",
        "stop_unsure",
        "to_boot",
        "trust",
        "urgent",
        "wake_at",
    )

    def __init__(self, outfit: Outfit, record: ChainRecord, bundle: Bundle, licence_revision: int) -> None:
        randomness = outfit.randomness
        self.outfit: Final = outfit
        self.chain: Final = Chain(outfit.identity.system, record, randomness(NONCE_BYTES))
        self.standing: Final = Standing(record.epoch_seen, record.floor)
        self.trust: Final = Trust(bundle, Anchor(record.latest_decided), outfit.pace.trust_retry)
        self.holds: Final = Holds(outfit.pace)
        self.line: Final = Line(outfit.pace, randomness)
        self.out: list[Effect] = []
        self.in_flight: list[Asked] = []
        """What the operations of the outstanding link ask for, in their order."""
        self.acknowledgements: deque[bytes] = deque(maxlen=MOST_SAID)
        """SessionRequests to go up the next stream."""
        self.said: dict[bytes, bytes] = {}
        """The last acknowledgements, by what they acknowledge: an order that comes twice is answered twice."""
        self.stop_said = b""
        """The acknowledgement of the refusal in force: said again on every new stream, since none is acknowledged."""
        self.stop_refusal = False
        """Whether that acknowledges a reply: licd knows it by the end of the chain alone."""
        self.stop_unsure = False
        """Whether the stream that it went up has broken since: then the next refusal is acknowledged as well."""
        self.urgent = False
        """Whether a link is to be sent without waiting for the next heartbeat."""
        self.heartbeat: Millis = outfit.pace.heartbeat
        self.next_beat: Millis = 0
        self.sent_on = 0
        """Number of the stream that the outstanding link went up."""
        self.licence = outfit.identity.licence
        self.licence_revision = licence_revision
        self.licence_missing = False
        self.listed = 0
        """How many leases the last permit lists."""
        self.journal: tuple[int, bytes] = (0, b"")
        self.certificate_due: Instant = 0
        """licd's time at which the certificate in use is to be renewed; 0 for never."""
        self.renewing = False
        self.renew_after: Millis = 0
        self.to_boot: Millis | None = None
        """What leads from licd's time to the boot clock, early rather than late: by the last link that was answered."""
        self.continuity: Continuity | None = None
        """The continuity permit that is held."""
        self.continuities_seen: set[str] = set()
        """Those that were ever taken by this process: none is taken twice."""
        self.closing_at: Millis | None = None
        """When to be closed at the latest; None while the system is open."""
        self.started = False
        self.finished = False
        self.wake_at: Millis = -1

    @property
    def pace(self) -> Pace:
        """How fast to talk."""
        return self.outfit.pace

    def resolve(self, op: int, outcome: Outcome) -> None:
        """Answer what was asked."""
        self.out.append(Resolve(op, outcome))

    def notify(self, notice: Notice) -> None:
        """Tell the program."""
        self.out.append(Notify(notice))

    def drop(self, reason: DropReason, detail: str) -> None:
        """Say that something received changed nothing."""
        self.out.append(Notify(FrameDropped(reason, detail)))

    def persist_chain(self) -> None:
        """Have the chain written down as it now is."""
        standing = self.standing
        record = self.chain.record(
            epoch_seen=standing.epoch_seen, floor=standing.floor, latest_decided=self.trust.anchor.latest
        )
        self.out.append(Persist(Record.CHAIN, record.to_bytes()))

    def set_next_beat(self, now: Millis) -> None:
        """Plan the next link; a system that is refused for good asks seldom."""
        refused = self.standing.refused
        slow = refused is not None and refused.final
        self.next_beat = now + (max(self.heartbeat, self.pace.refused_heartbeat) if slow else self.heartbeat)

    def acted_on(self, now: Millis) -> int:
        """How many leases may be acted on."""
        return len({hold.lease for hold in self.holds if hold.until > now})

    def answer_release(self, given_up: GivingUp, free_at: Instant) -> None:
        """Tell whoever waits that a lease was given back. free_at 0: licd did not say when its seat is free."""
        for op in given_up.ops:
            self.resolve(op, Released(free_at))

    def say(self, carrier: bytes, frame: bytes) -> None:
        """Send this acknowledgement of `carrier` up the stream, this one or the next."""
        if len(self.said) >= MOST_SAID:
            del self.said[next(iter(self.said))]
        self.said[carrier] = frame
        self.acknowledgements.append(frame)

    def say_again(self, carrier: bytes) -> bool:
        """Acknowledge once more what was acknowledged before. Returns whether it was."""
        frame = self.said.get(carrier)
        if frame is not None:
            self.acknowledgements.append(frame)
        return frame is not None
