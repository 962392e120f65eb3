"""Makes up a fault that licd, or the SDK, must never commit: the oracle that does not find it is worth nothing.

The permits are signed with the daemon's own key, taken from the state directory of a simulation. In everything but the
fault they are right.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

from licd.keys.envelope import seal
from licd.keys.file_signer import read_key_file
from licd.keys.kinds import KeyPurpose, Kind
from licd.v1 import session_pb2
from licd.v1.envelope_pb2 import Envelope
from simulator.chance import Random, stream
from simulator.clock import SECOND
from simulator.fleet import Fleet
from simulator.mission import Wish
from simulator.oracle.facts import Act
from simulator.oracle.record import Sending
from simulator.participant import Participant

ACTED_FOR: Final = 500


@dataclass(slots=True)
class _Fault:
    """A permit to be made: for these wishes, decided so long after now, ending so much too late, so many epochs old."""

    wishes: list[Wish] = field(default_factory=list)
    decided_later: int = 0
    ends_later: int = 0
    epochs_back: int = 0


def plant(what: str, licence: str, fleet: Fleet, state: Path) -> None:
    """Make the fault up, under this licence. what is one of PLANTS."""
    system = next(each for each in fleet if each.licence == licence)
    chance = stream(fleet.scenario.seed, f"plant/{what}")
    if what == "uncovered":
        _act(next(each for each in fleet if each.licence == licence and each.honest), chance.randbytes(32), None)
        return
    fault = _fault(what, system, fleet, chance)
    signer = read_key_file(state / "keys" / f"{KeyPurpose.PERMIT_ONLINE.word}.key", None)
    link, permit = _exchange(system, fleet, fault, chance)
    reply = seal(Kind.PERMIT, permit.SerializeToString(), signer)
    now, wall = fleet.clock.boot_ms(), fleet.clock.wall_ms()
    fleet.record.exchange(system.system, link, reply, Sending(now, wall, now))
    for wish in fault.wishes:
        _act(system, wish.target, reply, wish)


def _fault(what: str, system: Participant, fleet: Fleet, chance: Random) -> _Fault:
    mission, wall = system.mission, fleet.clock.wall_ms()
    wish = mission.wish(chance, wall)
    match what:
        case "over-cap":
            return _Fault([mission.wish(chance, wall) for _ in range(mission.cap + 1)])
        case "out-of-region":
            return _Fault([wish.but(claims=(("BR", mission.bases[0]),))])
        case "out-of-purpose":
            return _Fault([wish.but(purpose="licd:journalism")])
        case "after-suspension":
            return _Fault([wish], epochs_back=1)
        case "after-expiry":
            return _Fault([wish], decided_later=max(0, mission.ends - wall))
        case _:
            return _Fault([wish], ends_later=SECOND)


def _exchange(system: Participant, fleet: Fleet, fault: _Fault, chance: Random) -> tuple[Envelope, session_pb2.Permit]:
    """A link that asks for the wishes, and a permit that grants them."""
    asked = session_pb2.Link(
        system=system.system,
        sequence=1_000_000,
        operations=[session_pb2.Operation(acquire=wish.message()) for wish in fault.wishes],
    )
    asked.heartbeat.SetInParent()
    link = Envelope(payload=asked.SerializeToString())
    decided = fleet.clock.wall_ms() + fault.decided_later
    orders = fleet.record.orders[system.licence]
    revisions = fleet.record.terms[system.licence]
    hard_end = decided + system.mission.length + fault.ends_later
    leases = [chance.getrandbits(60) for _ in fault.wishes]
    permit = session_pb2.Permit(
        header=session_pb2.ReplyHeader(
            system=system.system,
            sequence=asked.sequence,
            link=sha256(link.payload).digest(),
            decided_ms=decided,
            licence=system.licence,
            epoch=max(orders, default=1) - fault.epochs_back,
        ),
        leases=leases,
        targets=b"".join(wish.target for wish in fault.wishes),
        hard_ends_ms=[hard_end] * len(leases),
        revision=max(revisions),
    )
    for lease, wish in zip(leases, fault.wishes, strict=True):
        grant = session_pb2.Grant(
            lease=lease,
            target=wish.target,
            granted_at_ms=decided,
            hard_end_ms=hard_end,
            region=wish.region,
            purpose=wish.purpose,
        )
        permit.outcomes.add(grant=grant)
    return link, permit


def _act(system: Participant, target: bytes, permit: Envelope | None, wish: Wish | None = None) -> None:
    now = system.stage.clock.boot_ms()
    digest = sha256(permit.payload).digest() if permit is not None else None
    region, purpose = (wish.region, wish.purpose) if wish else ("NO", "licd:none")
    system.stage.record.act(Act(system.system, target, now, now + ACTED_FOR, digest, region, purpose))
