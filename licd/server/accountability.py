"""The services about what customers owe and what others permit, wired apart from main, which they outgrew."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from licd.core.time import Instant
from licd.policy import Policies
from licd.server.changes import Changes
from licd.server.reader import Reader
from licd.server.reason_codes import ReasonCodes
from licd.server.services.allegations import Allegations
from licd.server.services.conditions import Conditions
from licd.server.services.contacts import Contacts
from licd.server.services.diligence import Assessments
from licd.server.services.indicators import Indicators
from licd.server.services.overlay_authorities import OverlayAuthorities
from licd.server.services.overlays import Overlays
from licd.server.trust import Trust


def accountability_services(
    reader: Reader,
    changes: Changes,
    codes: ReasonCodes,
    policies: Policies,
    trust: Trust,
    audience: str,
    wall: Callable[[], Instant],
) -> Mapping[str, Sequence[object]]:
    """By name. audience: this installation's trust domain, for which what is signed elsewhere must be."""
    return {
        "AllegationService": (Allegations(reader, changes, codes, policies, wall),),
        "ConditionService": (
            Conditions(reader, changes, policies, audience, wall),
            Contacts(reader, changes, trust, wall),
        ),
        "DiligenceService": (Assessments(reader, changes, policies, wall), Indicators(reader, changes, wall)),
        "OverlayService": (
            OverlayAuthorities(reader, changes, trust, wall),
            Overlays(reader, changes, codes, audience, wall),
        ),
    }
