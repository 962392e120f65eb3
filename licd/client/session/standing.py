"""May the system act at all, as far as licd has said? Epochs, and the refusal in force.

Every change of a licence has an epoch of its own. A permit gives rights only from `floor` on: a stop raises it, so that
a permit decided before the stop and delivered after it gives none.
"""

from dataclasses import dataclass
from typing import Final

from licd.core.reasons import Denied, Reason
from licd.core.time import Millis

FOR_GOOD: Final = frozenset({Reason.LICENCE_TERMINATED, Reason.DEPLOYMENT_REVOKED, Reason.SYSTEM_FENCED})
"""After these nothing helps but a new enrolment."""
OF_THE_SESSION: Final = frozenset({Reason.NO_SESSION, Reason.SESSION_SUPERSEDED})
"""These are about the session, not the licence: a new one may be opened at once."""
_LIFTED_BY_NEWER_EPOCH: Final = frozenset({Reason.LICENCE_SUSPENDED, Reason.LICENCE_TERMINATED})


@dataclass(frozen=True, slots=True)
class Refused:
    """An authoritative no, what carried it (SHA-256 of that payload), and what it stopped."""

    denied: Denied
    epoch: int
    carrier: bytes
    stopped_at: Millis
    stopped_leases: int

    @property
    def final(self) -> bool:
        """Whether it is for good."""
        return self.denied.reason in FOR_GOOD


class Standing:
    """What licd last said about the system as a whole.

    epoch_seen is the newest epoch acted on. in_force is the newest epoch known not to be a stop: an order to stop from
    before it is history.
    """

    __slots__ = ("epoch_seen", "floor", "in_force", "refused")

    def __init__(self, epoch_seen: int, floor: int) -> None:
        self.epoch_seen = epoch_seen
        self.floor = floor
        self.in_force = 0
        self.refused: Refused | None = None

    def is_news(self, denied: Denied, epoch: int) -> bool:
        """Whether a refusal says something that was not known: a newer epoch, or another reason in the same one."""
        known = self.refused
        if known is None or epoch != known.epoch:
            return known is None or epoch > known.epoch
        return denied.reason is not known.denied.reason

    def refuse(self, refused: Refused) -> None:
        """Take an authoritative no."""
        self.refused = refused
        newer = 1 if refused.denied.reason in _LIFTED_BY_NEWER_EPOCH else 0
        self.floor = max(self.floor, refused.epoch + newer)

    def gives_rights(self, epoch: int) -> bool:
        """Whether permits of this epoch may be acted on."""
        return epoch >= self.floor

    def resume(self, epoch: int) -> bool:
        """Take a permit that gives rights, or a reinstatement. Returns whether it ended a refusal."""
        ended = self.refused is not None
        self.refused = None
        self.in_force = max(self.in_force, epoch)
        return ended

    def see(self, epoch: int) -> None:
        """Everything up to this epoch has been acted on."""
        self.epoch_seen = max(self.epoch_seen, epoch)
