"""Remembers which envelopes were verified, so that the same bytes cost a hash and not a signature.

What can change between two looks is looked at on every use: the keyring and each key's validity. Licence status, epoch
and token life are in the payload and are its reader's to check, every time.
"""

import hashlib
from collections import OrderedDict
from typing import Final, TypeAlias

from licd.keys.envelope import Verified, open_envelope
from licd.keys.keyring import Keyring
from licd.keys.kinds import Kind

_Slot: TypeAlias = tuple[bytes, int, Kind, int]


class VerifiedCache:
    """Least-recently-used, bounded by `capacity` envelopes. Refusals are not kept. For one thread."""

    __slots__ = ("_capacity", "_slots")

    def __init__(self, capacity: int = 1024) -> None:
        if capacity < 1:
            raise ValueError(f"a cache holds at least one envelope, not {capacity}")
        self._capacity: Final = capacity
        self._slots: Final[OrderedDict[_Slot, Verified]] = OrderedDict()

    def open(self, raw: bytes, kind: Kind, keyring: Keyring, now_ms: int, *, threshold: int = 1) -> Verified:
        """Do what `open_envelope` does, with the same outcome for the same arguments. Raises SealInvalid."""
        slot = (hashlib.sha256(raw).digest(), keyring.version, kind, threshold)
        known = self._slots.get(slot)
        if known is not None and _still_holds(known, keyring, now_ms):
            self._slots.move_to_end(slot)
            return known
        self._slots.pop(slot, None)
        verified = open_envelope(raw, kind, keyring, now_ms, threshold=threshold)
        self._slots[slot] = verified
        if len(self._slots) > self._capacity:
            self._slots.popitem(last=False)
        return verified

    def clear(self) -> None:
        """Forget everything. On a new trust bundle the entries of the old one only take up room."""
        self._slots.clear()

    def __len__(self) -> int:
        return len(self._slots)


def _still_holds(known: Verified, keyring: Keyring, now_ms: int) -> bool:
    # By key, not by version alone: two keyrings of version 0 belong to two systems.
    for key in known.keys:
        found = keyring.find(key.key_id)
        if (found is not key and found != key) or not key.is_valid_at(now_ms):
            return False
    return True
