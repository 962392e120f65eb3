"""What rules would have done: over a log that was, or over one that somebody made up to try them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from licd.core.happenings import Happening
from licd.core.history import History
from licd.core.misuse import Brake, Done, Finding, Outcome, Rule, is_braked, is_news
from licd.core.time import Instant


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """A signal that would have been raised, and what would have come of it."""

    finding: Finding
    done: Done


class Rehearsal:
    """Asks rules of a log between two instants, as licd does: once for what is news, and with the brake.

    It knows nothing of what would have gone another way: what rules suspend here goes on as the log tells it.
    """

    def __init__(self, rules: Sequence[Rule], brake: Brake, start: Instant, end: Instant) -> None:
        self._history: Final = History(rules, asked_after=start)
        self._brake: Final = brake
        self._end: Final = end
        self._last: Final[dict[tuple[str, str], Instant]] = {}
        self._suspended: Final[dict[tuple[str, str], Instant]] = {}

    def over(self, happenings: Iterable[Happening]) -> Iterator[Rehearsed]:
        """The signals, in the order in which they would have been raised."""
        within = self._until_end(happenings)
        for finding in self._history.follow(within):
            yield from self._heard(finding)
        for finding in self._history.reach(self._end):
            yield from self._heard(finding)

    def _until_end(self, happenings: Iterable[Happening]) -> Iterator[Happening]:
        for happening in happenings:
            if happening.at >= self._end:
                return
            yield happening

    def _heard(self, finding: Finding) -> Iterator[Rehearsed]:
        subject = (finding.rule.name, finding.subject)
        if not is_news(finding, self._last.get(subject, 0)):
            return
        self._last[subject] = finding.tick
        yield Rehearsed(finding, self._done(finding))

    def _done(self, finding: Finding) -> Done:
        match finding.rule.outcome:
            case Outcome.ALERT:
                return Done.ALERTED
            case Outcome.CASE:
                return Done.CASE_OPENED
            case Outcome.SUSPEND:
                return self._suspend(finding)

    def _suspend(self, finding: Finding) -> Done:
        code = finding.rule.code
        hit = [name for name in self._history.hit_by(finding) if (name, code) not in self._suspended]
        if not hit:
            return Done.STANDS
        since = finding.tick - self._brake.period
        before = sum(1 for tick in self._suspended.values() if tick > since)
        if is_braked(self._brake, before, len(hit)):
            return Done.BRAKED
        self._suspended.update({(name, code): finding.tick for name in hit})
        return Done.SUSPENDED
