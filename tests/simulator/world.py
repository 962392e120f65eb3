"""A small world for the oracle: an installation's keys, one licence, and permits as wrong as a test likes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TypeAlias

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from licd.v1 import licence_pb2, session_pb2
from licd.v1.envelope_pb2 import Envelope
from simulator.oracle.facts import Act, Figures, Member, Rule, Suspension
from simulator.oracle.oracle import Verdict, judge
from simulator.oracle.record import Record, Sending
from simulator.oracle.seal import Key, sealed
from simulator.oracle.trust import TrustedKeys

NOON = 1_700_000_000_000
OFFSET = NOON - 5_000_000
"""Wall clock minus boot clock."""
L, G, ACT = 10_000, 30_000, 1_000
FIGURES = Figures(act=ACT, skew=500, rate_error=200, address="127.0.0.1", clock_offset=OFFSET)
LICENCE = "north-1"
Claims: TypeAlias = tuple[tuple[str, "licence_pb2.RegionBasis.ValueType"], ...]
ALPHA, BETA = "customer/north/system/alpha", "customer/north/system/beta"
FOREVER = 1 << 60


def boot(wall: int) -> int:
    """The boot instant of a wall instant."""
    return wall - OFFSET


def target(number: int) -> bytes:
    return sha256(b"target %d" % number).digest()


@dataclass(frozen=True)
class Item:
    """A lease on a permit. asked: granted by this permit's link. late: how much too late it ends."""

    number: int
    granted_at: int = NOON
    late: int = 0
    asked: bool = True
    existing: bool = False
    region: str = "DK"
    claims: Claims = (("DK", licence_pb2.REGION_BASIS_DECLARED),)
    purpose: str = "sar:search-and-rescue"
    offence: str = ""
    authorisation_end: int = 0
    attested: bool = False

    @property
    def lease(self) -> int:
        return 1_000 + self.number

    def acquisition(self) -> session_pb2.Acquisition:
        asked = session_pb2.Acquisition(
            target=target(self.number),
            regions=[session_pb2.RegionClaim(region=region, basis=basis) for region, basis in self.claims],
            purpose=self.purpose,
            offence=self.offence,
            attested_not_protected=self.attested,
        )
        if self.authorisation_end:
            asked.authorisation.reference = "W-1"
            asked.authorisation.expires_at_ms = self.authorisation_end
        return asked

    def outcome(self, hard_end: int) -> session_pb2.Outcome:
        grant = session_pb2.Grant(
            lease=self.lease,
            target=target(self.number),
            granted_at_ms=self.granted_at,
            hard_end_ms=hard_end,
            region=self.region,
            purpose=self.purpose,
            existing=self.existing,
        )
        return session_pb2.Outcome(grant=grant)


@dataclass
class World:
    """Everything is right by default; `revise` and the permits' arguments make it wrong."""

    cap: int = 3
    sequence: int = 0
    secrets: tuple[Ed25519PrivateKey, Ed25519PrivateKey] = field(
        default_factory=lambda: (Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate())
    )

    def __post_init__(self) -> None:
        licence, permit = ((Key(secret.public_key(), 0, FOREVER),) for secret in self.secrets)
        self.record = Record(TrustedKeys("licd.example", licence, permit))
        self.record.join(Member(ALPHA, LICENCE, "diligent", honest=True))
        self.record.join(Member(BETA, LICENCE, "greedy", honest=False))
        self.revise(1, cap=self.cap)

    # ------------------------------------------------------------------------------------------ licences
    def revise(
        self,
        revision: int,
        *,
        issued_at: int = NOON,
        cap: int = 3,
        ends: int = NOON + 1_000_000,
        regions: Sequence[str] = ("DK", "NO"),
        more: Sequence[licence_pb2.Constraint] = (),
    ) -> None:
        terms = licence_pb2.LicenceTerms(
            licence=LICENCE, revision=revision, issued_at_ms=issued_at, not_before_ms=NOON - 1_000, not_after_ms=ends
        )
        pb = licence_pb2
        declared = pb.TargetRegions(regions=regions, bases=[pb.REGION_BASIS_DECLARED])
        terms.constraints.extend(
            [
                pb.Constraint(concurrent_targets=pb.ConcurrentTargets(limit=cap)),
                pb.Constraint(target_regions=declared),
                pb.Constraint(purposes=pb.Purposes(purposes=["sar:search-and-rescue"])),
                pb.Constraint(permit_length=pb.PermitLength(length_ms=L)),
                pb.Constraint(offline_grace=pb.OfflineGrace(grace_ms=G)),
                *more,
            ]
        )
        self.record.licence(sealed("licence", terms.SerializeToString(), self.secrets[0], "k"))

    def order(
        self,
        kind: "session_pb2.DirectiveKind.ValueType",
        epoch: int,
        decided: int,
        *,
        leases: Sequence[int] = (),
        heard: int | None = None,
        system: str = "",
    ) -> None:
        """A directive that alpha heard at once, or when the test says."""
        directive = session_pb2.Directive(
            licence=LICENCE, epoch=epoch, kind=kind, decided_ms=decided, leases=leases, system=system
        )
        envelope = sealed("directive", directive.SerializeToString(), self.secrets[1], "k")
        self.record.order(ALPHA, envelope, boot(decided) if heard is None else heard)

    def suspended(self, epoch: int, decided: int, *, cut: Sequence[str] = (), unreachable: int = 41_100) -> None:
        self.record.suspended(Suspension(LICENCE, epoch, decided, 1_500, 9_000, unreachable, frozenset(cut)))

    # ------------------------------------------------------------------------------------------- permits
    def permit(
        self,
        decided: int,
        *items: Item,
        system: str = ALPHA,
        epoch: int = 1,
        revision: int = 1,
        asked_at: int | None = None,
        place: str = "",
        signer: Ed25519PrivateKey | None = None,
        answers: bytes | None = None,
    ) -> bytes:
        """Let a system have a permit. Returns its digest."""
        self.sequence += 1
        asked = [item for item in items if item.asked]
        operations = [session_pb2.Operation(acquire=item.acquisition()) for item in asked]
        link = session_pb2.Link(system=system, sequence=self.sequence, operations=operations)
        if place:
            link.opening.deployment_region = place
        envelope = Envelope(payload=link.SerializeToString())
        ends = [decided + L + min(G, decided - item.granted_at) + item.late for item in items]
        permit = session_pb2.Permit(
            header=session_pb2.ReplyHeader(
                system=system,
                sequence=self.sequence,
                link=sha256(envelope.payload).digest() if answers is None else answers,
                decided_ms=decided,
                licence=LICENCE,
                epoch=epoch,
            ),
            leases=[item.lease for item in items],
            targets=b"".join(target(item.number) for item in items),
            hard_ends_ms=ends,
            revision=revision,
            outcomes=[item.outcome(end) for item, end in zip(items, ends, strict=True) if item.asked],
        )
        payload = permit.SerializeToString()
        sent = decided if asked_at is None else asked_at
        reply = sealed("permit", payload, signer or self.secrets[1], "k")
        self.record.exchange(system, envelope, reply, Sending(boot(sent), sent, boot(decided)))
        return sha256(payload).digest()

    def refuse(self, decided: int, reason: int, *items: Item, system: str = ALPHA, epoch: int = 1) -> None:
        """Answer a link with an authoritative no."""
        self.sequence += 1
        operations = [session_pb2.Operation(acquire=item.acquisition()) for item in items]
        link = session_pb2.Link(system=system, sequence=self.sequence, operations=operations)
        envelope = Envelope(payload=link.SerializeToString())
        refusal = session_pb2.Refusal()
        refusal.header.system = system
        refusal.header.sequence = self.sequence
        refusal.header.link = sha256(envelope.payload).digest()
        refusal.header.decided_ms = decided
        refusal.header.licence = LICENCE
        refusal.header.epoch = epoch
        refusal.denial.reason = reason  # type: ignore[assignment]  # the number of a reason
        reply = sealed("denial", refusal.SerializeToString(), self.secrets[1], "k")
        self.record.exchange(system, envelope, reply, Sending(boot(decided), decided, boot(decided)))

    def act(self, permit: bytes | None, number: int, start: int, end: int, *, system: str = ALPHA, **use: str) -> None:
        """Work on a target; instants on the wall clock."""
        region, purpose = use.get("region", "DK"), use.get("purpose", "sar:search-and-rescue")
        self.record.act(Act(system, target(number), boot(start), boot(end), permit, region, purpose))

    # ------------------------------------------------------------------------------------------- verdict
    def verdict(self) -> Verdict:
        return judge(self.record, FIGURES)

    def broken(self) -> set[Rule]:
        """The rules that the oracle finds broken."""
        return {violation.rule for violation in self.verdict().violations}
