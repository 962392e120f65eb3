"""What licd should decide about seats, worked out slowly from the list of all permits that it ever gave.

Plain numbers, no index, nothing of licd's. The systems are the worst there are: they use every permit to its end.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from math import ceil

Terms = tuple[object, ...]
MINUTE = 60_000
RHO = cache(lambda ppm: Fraction(ppm, 1_000_000) / (1 - Fraction(ppm, 1_000_000)))


@dataclass(frozen=True)
class Figures:
    """What the licence says. distinct and churn: (limit, period). act and skew in milliseconds, rate error in ppm."""

    cap: int
    length: int
    grace: int
    not_after: int
    distinct: tuple[tuple[int, int], ...] = ()
    churn: tuple[tuple[int, int], ...] = ()
    purposes: frozenset[str] = frozenset()
    act: int = 1_000
    skew: int = 0
    ppm: int = 200

    def rest(self, longest: int) -> int:
        """ε ≥ (L+G)ρ/(1−ρ) + act + skew, for a permit that holds for longest at most."""
        return ceil(longest * RHO(self.ppm)) + self.act + self.skew


@dataclass(frozen=True)
class Given:
    """A lease on a permit, decided once. free_at: when by this permit the seat is free."""

    lease: int
    target: bytes
    decided: int
    hard_end: int
    free_at: int


@dataclass
class Holding:
    """A lease. takes_seat: it did not come back to a seat that was still cooling."""

    lease: int
    system: str
    target: bytes
    terms: Terms
    granted_at: int
    authorisation_end: int
    takes_seat: bool
    is_ended: bool = False
    is_renewed: bool = False


@dataclass
class Oracle:
    figures: Figures
    given: list[Given] = field(default_factory=list)
    holdings: dict[int, Holding] = field(default_factory=dict)
    barred: dict[bytes, int] = field(default_factory=dict)

    # ------------------------------------------------------------------------------------ what was decided
    def hard_end(self, holding: Holding, now: int) -> int:
        """decided + L + min(G, age), within the licence and the authorisation."""
        figures = self.figures
        end = now + figures.length + min(figures.grace, now - holding.granted_at)
        return min(end, figures.not_after, holding.authorisation_end or figures.not_after)

    def permit(self, lease: int, now: int, hard_end: int, *, is_said_again: bool = False) -> None:
        """Notes one lease of a permit. What is said again holds for no longer than it did: only what is left counts."""
        figures = self.figures
        longest = hard_end - now if is_said_again else figures.length + figures.grace
        target = self.holdings[lease].target
        self.given.append(Given(lease, target, now, hard_end, hard_end + figures.rest(longest)))

    def last_end(self, lease: int) -> int:
        return max((each.hard_end for each in self.given if each.lease == lease), default=0)

    def free_at(self, target: bytes) -> int:
        return max((each.free_at for each in self.given if each.target == target), default=0)

    def live(self, now: int) -> list[Holding]:
        permitted = {each.lease for each in self.given if each.hard_end > now}
        return [each for each in self.holdings.values() if not each.is_ended and each.lease in permitted]

    def usable(self, now: int) -> set[bytes]:
        """Targets that somebody who kept all permits can act on."""
        return {each.target for each in self.given if each.hard_end > now}

    def uses(self, now: int) -> set[tuple[bytes, str]]:
        """Targets whose seat is not free, each with every system for whose permits it is not."""
        return {(each.target, self.holdings[each.lease].system) for each in self.given if each.free_at > now}

    def busy(self, now: int) -> set[bytes]:
        """Targets whose seat is not free."""
        return {each.target for each in self.given if each.free_at > now}

    def counted(self, now: int, period: int) -> set[bytes]:
        """Targets usable at any time in the period before now."""
        return {each.target for each in self.given if each.hard_end > now - period}

    def taken(self, now: int, period: int) -> int:
        return sum(1 for each in self.holdings.values() if each.takes_seat and each.granted_at > now - period)

    # ------------------------------------------------------------------------------------ what should be said
    def acquire(self, system: str, target: bytes, terms: Terms, now: int) -> str:
        """GRANTED, EXISTING, or the name of the reason why not. Scope and standing are not looked at here."""
        for holding in self.live(now):
            if holding.target == target and holding.system == system:
                return "EXISTING" if holding.terms == terms else "TERMS_DIFFER"
        if self.barred.get(target, 0) > now:
            return "FORCE_RELEASED"
        busy = self.busy(now)
        if any(used == target and user != system for used, user in self.uses(now)):
            return "TARGET_HELD"
        if target in busy:
            regained = [each for each in self.holdings.values() if each.target == target]
            full = "CHURN_LIMIT" if sum(each.granted_at > now - MINUTE for each in regained) >= 10 else "CONCURRENT_CAP"
            return "GRANTED" if len(busy) <= self.figures.cap and full == "CONCURRENT_CAP" else full
        for limit, period in self.figures.distinct:
            counted = self.counted(now, period)
            if target not in counted and len(counted) >= limit:
                return "DISTINCT_CAP"
        for limit, period in self.figures.churn:
            if self.taken(now, period) >= limit:
                return "CHURN_LIMIT"
        return "GRANTED" if len(busy) < self.figures.cap else "CONCURRENT_CAP"

    def seats_retry(self, target: bytes, now: int) -> int:
        """When enough seats have cooled down for the target, if every live lease goes on for ever; 0: never."""
        kept = {each.target for each in self.live(now)}
        own = 1 if target in self.busy(now) else 0
        for instant in sorted({self.free_at(each) for each in self.busy(now) - kept - {target}}):
            if len(kept | self.busy(instant) | ({target} if own else set())) - own < self.figures.cap:
                return instant
        return 0

    def excess(self, now: int, given_back: Iterable[int]) -> list[int]:
        """The youngest live leases beyond the cap; what is given back just now is not counted."""
        live = sorted((each.granted_at, each.lease) for each in self.live(now) if each.lease not in set(given_back))
        return [lease for _, lease in live[self.figures.cap :]]
