"""What a permit says, put on the boot clock."""

from collections.abc import Mapping
from typing import Final, TypeAlias

from licd.core.time import Millis
from licd.v1 import session_pb2

TARGET_BYTES: Final = 32

Ends: TypeAlias = Mapping[int, tuple[bytes, Millis]]
"""By lease: its target, and the boot instant before which it may be acted on."""


def ends_of(permit: session_pb2.Permit, sent_at: Millis, longest: Millis) -> Ends | None:
    """Target and boot-clock end of each lease: first send + (hard end − decided). None when the columns differ.

    sent_at is the boot instant of the first send of what the permit answers. No end is later than sent_at + longest.
    """
    leases, targets, hard_ends = list(permit.leases), permit.targets, list(permit.hard_ends_ms)
    if len(targets) != TARGET_BYTES * len(leases) or len(hard_ends) != len(leases):
        return None
    to_boot = sent_at - permit.header.decided_ms
    latest = sent_at + longest
    return {
        lease: (targets[TARGET_BYTES * at : TARGET_BYTES * (at + 1)], min(end + to_boot, latest))
        for at, (lease, end) in enumerate(zip(leases, hard_ends, strict=True))
    }


def life_of(permit: session_pb2.Permit) -> Millis:
    """How long the longest lease on the permit holds from when it was decided."""
    return max(permit.hard_ends_ms, default=permit.header.decided_ms) - permit.header.decided_ms
