"""policies/denials.toml: when asking again can help, for every reason of a denial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from licd.core.reasons import Reason
from licd.core.time import DAY, SECOND, Instant, Millis
from licd.policy.problems import unknown
from licd.policy.reader import Reader


class Retry(Enum):
    """never: the same request will not be granted. after: a fixed while. at: an instant that the decision knows."""

    NEVER = "never"
    AFTER = "after"
    AT = "at"


@dataclass(frozen=True, slots=True)
class RetryHint:
    """What the caller is told to do next. after is 0 unless retry is AFTER."""

    retry: Retry
    after: Millis
    advice: str

    def retry_at(self, now: Instant, known: Instant = 0) -> Instant:
        """The earliest instant at which asking again can help; 0 when it cannot or nobody knows.

        known is what the decision itself found out: when the earliest seat is free, when the licence begins.
        """
        match self.retry:
            case Retry.NEVER:
                return 0
            case Retry.AFTER:
                return now + self.after
            case Retry.AT:
                return known


def read_denials(reader: Reader) -> Mapping[Reason, RetryHint]:
    """Reads the file; every reason must be there."""
    hints: dict[Reason, RetryHint] = {}
    for name, table in reader.named("denial"):
        hint = _read_hint(table)
        if name in Reason.__members__:
            hints[Reason[name]] = hint
        else:
            table.note(None, unknown("denial reason", name, Reason.__members__))
    for reason in Reason:
        if reason not in hints:
            reader.note(None, f"[denial.{reason.name}] is missing; every reason has a hint")
    return MappingProxyType(hints)


def _read_hint(reader: Reader) -> RetryHint:
    word = reader.text("retry", choices=[retry.value for retry in Retry])
    retry = next((retry for retry in Retry if retry.value == word), Retry.NEVER)
    after = reader.span("after_seconds", SECOND, most=DAY // SECOND) if retry is Retry.AFTER else 0
    hint = RetryHint(retry, after, reader.text("advice"))
    reader.done()
    return hint
