"""A continuity permit in the system's hands: for one planned outage of licd, once, and not beyond its end.

What the machine makes of it
- It is believed for this session of this very process alone, under the epoch acted on last, while nothing is refused.
- It lies there until permits run out for want of contact; then it gives the leases on it their longer ends.
- Ends are counted from the first send of a link that licd answered, as for any permit: never later than licd meant.
- An authoritative no ends it, used or not. Used, the first reply to a link made since ends it. It is not taken twice.
"""

from dataclasses import dataclass

from licd.client.notices import ContinuityBegun, DropReason
from licd.client.session.permits import Ends, columns_of
from licd.client.session.state import MachineState
from licd.client.session.upkeep import note_seal_invalid
from licd.core.terms import GRACE_CEILING
from licd.core.time import Millis
from licd.keys.bundle import BundleError
from licd.keys.kinds import Kind
from licd.keys.seal_reasons import SealInvalid
from licd.v1 import session_pb2
from licd.v1.envelope_pb2 import Envelope


@dataclass(slots=True)
class Continuity:
    """What was given. used_at is the boot instant at which the system began to act under it; None before."""

    id: str
    session: str
    epoch: int
    ends: Ends
    used_at: Millis | None = None


def take_continuity(state: MachineState, envelope: Envelope, now: Millis) -> None:
    """Keep it, unless it is not licd's, not for this process, of another epoch, or was here before."""
    permit = _read(state, envelope, now)
    if permit is None:
        return
    held = state.continuity
    if held is not None and held.id == permit.continuity:
        return
    if permit.continuity in state.continuities_seen or (held is not None and held.used_at is not None):
        state.drop(DropReason.LATE, f"continuity permit {permit.continuity} was here before, or another is in use")
        return
    ends = _ends(state, permit, now)
    if ends is None:
        state.drop(DropReason.CONTRADICTORY, f"continuity permit {permit.continuity} does not fit together")
        return
    state.continuities_seen.add(permit.continuity)
    state.continuity = Continuity(permit.continuity, permit.session, permit.epoch, ends)


def _read(state: MachineState, envelope: Envelope, now: Millis) -> session_pb2.ContinuityPermit | None:
    try:
        verified, permit = state.trust.open(envelope, Kind.CONTINUITY_PERMIT, session_pb2.ContinuityPermit)
        state.trust.refuse_aged(verified, permit.decided_ms, now, permit.until_ms - permit.decided_ms)
    except (SealInvalid, BundleError) as error:
        note_seal_invalid(state, error, now)
        return None
    identity = state.outfit.identity
    meant = (permit.issuer, permit.system, permit.licence, permit.session, permit.boot_nonce)
    ours = (identity.trust_domain, identity.system, state.licence, state.chain.session, state.chain.boot_nonce)
    if meant != ours or not permit.session:
        state.drop(DropReason.NOT_FOR_US, f"a continuity permit for {permit.system}, session {permit.session}")
        return None
    if permit.epoch != state.standing.epoch_seen or state.standing.refused is not None or state.closing_at is not None:
        state.drop(DropReason.LATE, f"a continuity permit of epoch {permit.epoch}")
        return None
    return permit


def _ends(state: MachineState, permit: session_pb2.ContinuityPermit, now: Millis) -> Ends | None:
    columns = columns_of(permit)
    to_boot = state.to_boot
    if columns is None or to_boot is None or not permit.continuity:
        return None
    if any(not permit.decided_ms < end <= permit.until_ms for end in columns[2]):
        return None
    latest = now + GRACE_CEILING
    return {lease: (target, min(end + to_boot, latest)) for lease, target, end in zip(*columns, strict=True)}


def go_on(state: MachineState, now: Millis) -> None:
    """Give leases that are about to run out the ends of the continuity permit, where there is one that may be used."""
    held = state.continuity
    if held is None or now < state.holds.next_boundary:
        return
    if held.session != state.chain.session or held.epoch != state.standing.epoch_seen or state.closing_at is not None:
        state.continuity = None
        return
    if state.holds.stretch(held.ends, now) and held.used_at is None:
        held.used_at = now
        state.notify(ContinuityBegun(held.id, max(until for _, until in held.ends.values()) - now))


def take_contact(state: MachineState, ends: Ends, sent_at: Millis) -> Ends:
    """The ends that a permit gives, while a continuity permit is in use: a reply to a link made since ends its use.

    One to a link of before counts from its first send, long ago: what it lists goes on meanwhile as before.
    """
    held = state.continuity
    if held is None or held.used_at is None:
        return ends
    if sent_at > held.used_at:
        state.continuity = None
        return ends
    state.urgent = True
    nothing = (b"", 0)
    return {
        lease: (target, max(until, held.ends[lease][1]) if held.ends.get(lease, nothing)[0] == target else until)
        for lease, (target, until) in ends.items()
    }
