"""What misuse rules hear of the log: one entry, boiled down to what can be counted or what it changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from licd.core.terms import Terms
from licd.core.time import Instant

STANDING_KINDS: Final = frozenset(
    {
        "licence.issued",
        "licence.amended",
        "licence.renewed",
        "licence.suspended",
        "licence.reinstated",
        "licence.terminated",
        "deployment.enrolled",
        "deployment.reinvited",
        "deployment.revoked",
        "deployment.fenced",
        "directive.acknowledged",
        "session.opened",
    }
)
"""Kinds that say how things stand since, however long ago they were."""

COUNTED_KINDS: Final = frozenset(
    {
        "lease.granted",
        "denied",
        "denied.counted",
        "chain.head",
        "chain.taken-up",
        "deployment.forked",
        "clock.accepted",
        "clock.restarted",
    }
)
"""Kinds that matter only as long as they are within a window."""

SIGNS_OF_LIFE: Final = frozenset(
    {"session.opened", "chain.head", "chain.taken-up", "lease.granted", "denied", "directive.acknowledged"}
)
"""Kinds that a system's own word has caused."""


@dataclass(frozen=True, slots=True)
class Happening:
    """One entry. What an entry of its kind does not say is empty or 0; times is 1 where it is no count.

    epoch is that of the licence; of an acknowledgement, the epoch that was acknowledged. code is why it was suspended.
    """

    index: int
    at: Instant
    kind: str
    licence: str = ""
    system: str = ""
    reason: str = ""
    times: int = 1
    target: bytes = b""
    epoch: int = 0
    code: str = ""
    terms: Terms | None = None

    def counters(self) -> tuple[str, ...]:
        """The names under which it is counted."""
        match self.kind:
            case "lease.granted":
                return ("granted",)
            case "denied" | "denied.counted":
                return ("denied", f"denied_{self.reason.lower()}")
            case _:
                return _COUNTERS.get(self.kind, ())


_COUNTERS: Final = {
    "session.opened": ("sessions",),
    "deployment.forked": ("forks",),
    "deployment.fenced": ("fences",),
    "licence.suspended": ("suspensions",),
    "clock.accepted": ("clock_accepted",),
    "clock.restarted": ("clock_restarts",),
}
