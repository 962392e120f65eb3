"""What happens during a run, at its time: operators act, the network breaks, the daemon is started anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from simulator.clock import Millis
from simulator.table import Table

PLANTS: Final = (
    "over-cap",
    "out-of-region",
    "out-of-purpose",
    "after-suspension",
    "after-expiry",
    "too-long",
    "uncovered",
)
"""Faults that can be made up: each is one that licd, or the SDK, is never to commit."""


@dataclass(frozen=True, slots=True)
class Suspend:
    """One operator suspends licences, all of customers', or (neither named) everything."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Reinstate:
    """Two operators lift a licence's suspension."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Amend:
    """The cap is changed (0: not), regions are taken out. What widens takes two operators."""

    cap: int
    without_regions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Terminate:
    """A licence ends for good."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class ForceRelease:
    """So many of a licence's live leases are taken back."""

    number: int
    code: str


@dataclass(frozen=True, slots=True)
class Revoke:
    """Systems lose their enrolment."""

    code: str


@dataclass(frozen=True, slots=True)
class Partition:
    """Systems can neither send nor hear. lasts 0: to the end."""

    lasts: Millis


@dataclass(frozen=True, slots=True)
class Restart:
    """A daemon stops, by SIGKILL if hard, and starts again, after a while."""

    hard: bool
    replica: int
    away: Millis


@dataclass(frozen=True, slots=True)
class AddReplica:
    """One more daemon serves from the same rows."""


@dataclass(frozen=True, slots=True)
class Upgrade:
    """The schema is brought forward, then each replica stops and starts again, one after the other."""


@dataclass(frozen=True, slots=True)
class Plant:
    """A fault that is not there is made up, to see whether the oracle finds it."""

    what: str


Deed: TypeAlias = (
    Suspend | Reinstate | Amend | Terminate | ForceRelease | Revoke | Partition | Restart | AddReplica | Upgrade | Plant
)


@dataclass(frozen=True, slots=True)
class Happening:
    """A deed, when, and whom it concerns."""

    at: Millis
    deed: Deed
    licences: tuple[str, ...] = ()
    customers: tuple[str, ...] = ()
    systems: tuple[str, ...] = ()


_VERBS: Final = (
    "suspend",
    "reinstate",
    "amend",
    "terminate",
    "force-release",
    "revoke",
    "partition",
    "restart",
    "add-replica",
    "upgrade",
    "plant",
)
_OF_DAEMONS: Final = frozenset({"restart", "add-replica", "upgrade"})


def read_happening(table: Table) -> Happening:
    """Read one [[event]]."""
    verb = table.text("do", choices=_VERBS)
    happening = Happening(
        at=table.span("at_seconds"),
        deed=_read_deed(verb, table),
        licences=_read_concerned(table, "licences", verb),
        customers=_read_concerned(table, "customers", verb),
        systems=_read_concerned(table, "systems", verb),
    )
    table.done()
    return happening


def _read_concerned(table: Table, what: str, verb: str) -> tuple[str, ...]:
    """Who is concerned: must be named, may be named, or has no place here."""
    if verb == "suspend" and what != "systems":
        return table.texts(what, default=[])
    if verb in {"revoke", "partition"}:
        return table.texts(what) if what == "systems" else ()
    if verb in _OF_DAEMONS | {"suspend"}:
        return ()
    return table.texts(what) if what == "licences" else ()


def _read_deed(verb: str, table: Table) -> Deed:
    match verb:
        case "suspend":
            return Suspend(table.text("code", default="manual"), table.text("detail", default="a simulated suspicion"))
        case "reinstate":
            detail = table.text("detail", default="the simulated suspicion was cleared up")
            return Reinstate(table.text("code", default="unfounded"), detail)
        case "amend":
            return Amend(table.whole("concurrent_targets", default=0), table.texts("without_regions", default=[]))
        case "terminate":
            return Terminate(table.text("code", default="misuse"), table.text("detail", default="a simulated end"))
        case "force-release":
            return ForceRelease(table.whole("number", default=1, least=1), table.text("code", default="manual"))
        case "revoke":
            return Revoke(table.text("code", default="manual"))
        case "restart":
            away = table.span("away_seconds", default=0)
            return Restart(table.flag("hard", default=False), table.whole("replica", default=1, least=1), away)
        case "add-replica":
            return AddReplica()
        case "upgrade":
            return Upgrade()
        case "plant":
            return Plant(table.text("what", choices=PLANTS))
        case _:
            return Partition(table.span("lasts_seconds", default=0))
