"""An authority as the ledger meets it."""

from __future__ import annotations

from typing import Any

from licd.core.terms import Constraint
from licd.keys.signer import MemorySigner
from licd.ledger.records import AuthorityKind
from licd.ledger.verbs.overlays import LodgeOverlay, RegisterAuthority
from tests.ledger.rig import DOMAIN, Rig
from tests.overlays import EXPORT, saying, signed


def registered(name: str = "export-qn", signer: MemorySigner = EXPORT) -> RegisterAuthority:
    return RegisterAuthority(
        name, "Office of Exports", AuthorityKind.EXPORT, "QN", signer.public_key, signer.key_id, "alice"
    )


def lodging(
    rig: Rig,
    *constraints: Constraint,
    may_widen: bool = False,
    customer: str = "north",
    signer: MemorySigner = EXPORT,
    **changes: Any,
) -> LodgeOverlay:
    said = saying(customer, rig.clock.wall(), DOMAIN, *constraints, **changes)
    return LodgeOverlay(said, signed(said, signer).SerializeToString(), signer.key_id, may_widen, "alice")
