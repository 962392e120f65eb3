"""Instants and durations as people write and read them. Strict on the way in: what is not understood is refused."""

import re
from datetime import UTC, date, datetime
from typing import Final

import typer

from licd.core.time import DAY, HOUR, MINUTE, SECOND, Instant, Millis

_UNITS: Final = {"ms": 1, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}
_DURATION: Final = re.compile(r"(0|[1-9][0-9]{0,11})(ms|s|m|h|d)")
_LONGEST: Final = 100 * 366 * DAY
_INSTANT: Final = re.compile(r"\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}:\d{2}(?:\.\d{1,3})?(?:Z|[+-]\d{2}:\d{2}))?")
_WORDS: Final = ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (SECOND, "s"), (1, "ms"))
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def parse_duration(text: str) -> Millis:
    """Reads `20s`, `5m`, `2h`, `30d` or `500ms`: one whole number, one unit. Raises typer.BadParameter."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise typer.BadParameter(
            f"{text[:80]!r} is no duration: a whole number and one of ms, s, m, h, d, as in 20s or 30d"
        )
    span = int(found[1]) * _UNITS[found[2]]
    if span > _LONGEST:
        raise typer.BadParameter(f"{text[:80]!r} is longer than a hundred years")
    return span


def parse_instant(text: str) -> Instant:
    """Reads `2026-01-31T12:00:00Z`, with an offset for Z, or a day for its first moment in UTC.

    Raises typer.BadParameter.
    """
    wrong = f"{text[:80]!r} is no instant: write 2026-01-31T12:00:00Z, or 2026-01-31 for the start of that day in UTC"
    if _INSTANT.fullmatch(text) is None:
        raise typer.BadParameter(wrong)
    try:
        return instant_of(datetime.fromisoformat(text))
    except ValueError as error:
        raise typer.BadParameter(wrong) from error


def instant_of(moment: datetime | date) -> Instant:
    """Milliseconds of an aware datetime, or of the start of a day in UTC; a datetime without offset counts as UTC."""
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round((aware - _EPOCH).total_seconds() * SECOND)


def iso(at: Instant) -> str:
    """`2026-01-31T12:00:00Z`; milliseconds only where there are some; `-` for 0, which means never or not yet."""
    if not at:
        return "-"
    moment = _moment(at)
    if moment is None:
        return f"{at} ms"
    fraction = f".{at % SECOND:03}" if at % SECOND else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"


def when(at: Instant, now: Instant) -> str:
    """An instant, and how far away it is: `2026-01-31T12:00:00Z, in 3 d 4 h`."""
    return f"{iso(at)}, {relative(at, now)}" if at else "-"


def relative(at: Instant, now: Instant) -> str:
    """`in 3 d 4 h`, `5 min ago`, `now`."""
    if abs(at - now) < SECOND:
        return "now"
    whole = abs(at - now) // SECOND * SECOND
    return f"in {span(whole)}" if at > now else f"{span(whole)} ago"


def clock_time(at: Instant, now: Instant) -> str:
    """`12:00:00 UTC`, with the day before it when that is not today."""
    moment, today = _moment(at), _moment(now)
    if moment is None or today is None:
        return f"{at} ms"
    day = "" if moment.date() == today.date() else f"{moment:%Y-%m-%d} "
    return f"{day}{moment:%H:%M:%S} UTC"


def bound_time(at: Instant, now: Instant) -> str:
    """As `clock_time`, rounded up: a bound is not shown too early."""
    return clock_time(-(-at // SECOND) * SECOND, now)


def span(length: Millis) -> str:
    """A duration in its two largest units: `20 s`, `1 min 30 s`, `30 d`."""
    if length < 0:
        return f"-{span(-length)}"
    if length >= 10 * SECOND:
        length -= length % SECOND
    parts = []
    for size, word in _WORDS:
        count, length = divmod(length, size)
        if count:
            parts.append(f"{count} {word}")
        elif parts:
            break
    return " ".join(parts[:2]) or "0 s"


def short_span(length: Millis) -> str:
    """A duration as `parse_duration` reads it: exact, in the largest unit that divides it."""
    unit = next((unit for unit in ("d", "h", "m", "s") if length and not length % _UNITS[unit]), "ms")
    return f"{length // _UNITS[unit]}{unit}" if length else "0s"


def _moment(at: Instant) -> datetime | None:
    try:
        return datetime.fromtimestamp(at // SECOND, tz=UTC)
    except (ValueError, OverflowError, OSError):
        return None
