"""What kinds of systems are there, and what does each do?
May import: licd.client for the honest ones, simulator.raw for the cheats; never each other's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from licd.v1 import licence_pb2
from simulator.kinds.askers import Greedy, Misplaced, OffPurpose, Roaming, Rotating, Straying
from simulator.kinds.forgers import Copied, Forger, Sharer
from simulator.kinds.honest import Crashing, Diligent, Offline, Slow
from simulator.kinds.overstayers import Expired, Ignoring, Silent
from simulator.participant import Participant, Stage
from simulator.scenario import Group

MADE_BY: Final[Mapping[str, Callable[[str, Group, licence_pb2.LicenceTerms, Stage], Participant]]] = {
    "diligent": Diligent,
    "offline": Offline,
    "slow": Slow,
    "crashing": Crashing,
    "greedy": Greedy,
    "rotating": Rotating,
    "roaming": Roaming,
    "straying": Straying,
    "off-purpose": OffPurpose,
    "misplaced": Misplaced,
    "silent": Silent,
    "expired": Expired,
    "ignoring": Ignoring,
    "forger": Forger,
    "sharer": Sharer,
    "copied": Copied,
}


def make_system(name: str, group: Group, terms: licence_pb2.LicenceTerms, stage: Stage) -> Participant:
    """A system of the group's kind."""
    return MADE_BY[group.kind](name, group, terms, stage)
