"""What a permit says, put on the boot clock."""

import struct
from collections.abc import Mapping
from typing import Final, TypeAlias

from licd.core.time import Instant, Millis
from licd.v1 import session_pb2

TARGET_BYTES: Final = 32
_TARGET: Final = struct.Struct(f"{TARGET_BYTES}s")

Ends: TypeAlias = Mapping[int, tuple[bytes, Millis]]
"""By lease: its target, and the boot instant before which it may be acted on."""
Columns: TypeAlias = tuple[list[int], list[bytes], list[Instant]]


def ends_of(permit: session_pb2.Permit, sent_at: Millis, longest: Millis) -> Ends | None:
    """Target and boot-clock end of each lease: first send + (hard end − decided). None when the columns differ.

    sent_at is the boot instant of the first send of what the permit answers. No end is later than sent_at + longest.
    """
    columns = columns_of(permit)
    if columns is None:
        return None
    to_boot = sent_at - permit.header.decided_ms
    latest = sent_at + longest
    return {lease: (target, min(end + to_boot, latest)) for lease, target, end in zip(*columns, strict=True)}


def columns_of(permit: session_pb2.Permit | session_pb2.ContinuityPermit) -> Columns | None:
    """Leases, targets, hard ends; None when there are not as many of each."""
    leases, targets, hard_ends = list(permit.leases), permit.targets, list(permit.hard_ends_ms)
    if len(targets) != TARGET_BYTES * len(leases) or len(hard_ends) != len(leases):
        return None
    return leases, [target for (target,) in _TARGET.iter_unpack(targets)], hard_ends


def life_of(permit: session_pb2.Permit) -> Millis:
    """How long the longest lease on the permit holds from when it was decided."""
    return max(permit.hard_ends_ms, default=permit.header.decided_ms) - permit.header.decided_ms
