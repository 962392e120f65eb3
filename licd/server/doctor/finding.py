"""What a check says: how it is, what was seen, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """ok: nothing to do. warn: it works, look at it. fail: licd cannot serve so, or not for long."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. todo is empty when there is nothing to do."""

    level: Level
    what: str
    todo: str = ""


def ok(what: str, todo: str = "") -> Finding:
    """All is well."""
    return Finding(Level.OK, what, todo)


def warn(what: str, todo: str) -> Finding:
    """It works; it should be seen to."""
    return Finding(Level.WARN, what, todo)


def fail(what: str, todo: str) -> Finding:
    """It does not work."""
    return Finding(Level.FAIL, what, todo)
