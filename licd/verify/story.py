"""Does the log show that a stop of a licence took effect, and where? Entries in their order in, a finding out.

Renewals are not entries. What the log shows of them is their bound: a lease that ended says when its seat is free, and
that is after the last permit ever decided for it has run out. So a stop took effect at a system when

- the system held nothing when it came, or
- the system has acknowledged this stop, or a later one, with nothing left active, or
- all it held has ended, the last seat was free by some instant, and the log goes on beyond that instant.

And nothing was granted under the licence until it was reinstated.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from licd.evidence.canonical import decode_decimal
from licd.evidence.entry import Entry, ErasedField
from licd.evidence.errors import EvidenceInvalid

STOPS: Final = frozenset({"licence.suspended", "licence.terminated"})
LIFTED: Final = "licence.reinstated"
GAPS: Final = frozenset({"licence.gap", "licence.lost", "licence.reconciled", "chain.taken-up"})
HEARD: Final = frozenset(
    {"session.opened", "chain.head", "chain.taken-up", "lease.granted", "denied", "directive.acknowledged"}
)
WATCHED: Final = GAPS | HEARD | {"lease.ended", "deployment.enrolled", "continuity.issued"}


class NotShown(EvidenceInvalid):
    """The log is whole, and does not show what is claimed. entry: where it shows, or None when something is missing."""

    def __init__(self, problem: str, entry: int | None = None) -> None:
        super().__init__(problem if entry is None else f"entry {entry}: {problem}")
        self.entry = entry


class How(StrEnum):
    """By what a stop took effect at one system."""

    HELD_NOTHING = "held-nothing"
    ACKNOWLEDGED = "acknowledged"
    RAN_OUT = "ran-out"


@dataclass(frozen=True, slots=True)
class Mark:
    """An entry of the log: its number and its time (unix ms, licd's)."""

    index: int
    at: int


@dataclass(frozen=True, slots=True)
class SystemStopped:
    """A stop's effect at one system. by: unix ms. granted, heard and acknowledged: None where the log has none."""

    name: str
    how: How
    held: int
    by: int
    granted: Mark | None
    heard: Mark | None
    acknowledged: Mark | None
    continuity_until: int


@dataclass(frozen=True, slots=True)
class Stopped:
    """A stop that took effect at every system of its licence. lifted: None while it lasts. gaps: see GAPS."""

    licence: str
    kind: str
    epoch: int
    code: str
    stop: Mark
    systems: tuple[SystemStopped, ...]
    lifted: Mark | None
    gaps: tuple[int, ...]


@dataclass(slots=True)
class _Lease:
    granted: Mark
    hard_end: int
    free_at: int = 0
    is_over: bool = False


@dataclass(slots=True)
class _System:
    live: dict[bytes, _Lease] = field(default_factory=dict)
    held: dict[bytes, _Lease] = field(default_factory=dict)
    granted: Mark | None = None
    heard: Mark | None = None
    acknowledged: Mark | None = None
    partly: Mark | None = None
    continuity_until: int = 0


@dataclass(slots=True)
class _Licence:
    systems: dict[str, _System] = field(default_factory=dict)
    epoch: int = 0
    epoch_index: int = 0
    gaps: list[int] = field(default_factory=list)


class Watch:
    """Takes every entry of a log in order, then tells what it shows of the stop at one of them.

    Keeps the live leases of all licences until the stop names its licence; from there on only that one's.
    """

    def __init__(self, entry: int) -> None:
        self._wanted: Final = entry
        self._licences: dict[str, _Licence] = {}
        self._stop: Mark | None = None
        self._kind = self._code = self._name = ""
        self._epoch = 0
        self._lifted: Mark | None = None
        self._last = 0

    def take(self, index: int, entry: Entry) -> None:
        """The next entry. Raises NotShown where it shows that the claim does not hold."""
        kind = _text(index, entry, "kind")
        at = _number(index, entry, "at")
        self._last = max(self._last, at)
        if index == self._wanted and kind not in STOPS:
            raise NotShown(f"it is {shown(kind)}, which stops no licence", index)
        if self._lifted is not None or not (kind in WATCHED or kind.startswith("licence.")):
            return
        name = _text(index, entry, "licence")
        if self._stop is not None and name != self._name:
            return
        self._about(Mark(index, at), kind, name, entry)

    def _about(self, mark: Mark, kind: str, name: str, entry: Entry) -> None:
        licence = self._licences.setdefault(name, _Licence())
        if mark.index == self._wanted:
            self._begin(mark, kind, name, licence, entry)
        elif entry.field("epoch") is not None:
            epoch = _number(mark.index, entry, "epoch")
            if epoch > licence.epoch:
                licence.epoch, licence.epoch_index = epoch, mark.index
        if kind in GAPS:
            licence.gaps.append(mark.index)
        if kind == LIFTED and self._stop is not None:
            self._lift(mark, licence)
        elif entry.field("system") is not None:
            system = licence.systems.setdefault(_text(mark.index, entry, "system"), _System())
            self._about_system(mark, kind, system, entry)

    def _begin(self, mark: Mark, kind: str, name: str, licence: _Licence, entry: Entry) -> None:
        epoch = _number(mark.index, entry, "epoch")
        if epoch < licence.epoch:
            raise NotShown(f"its epoch is {epoch}, and entry {licence.epoch_index} had {licence.epoch}", mark.index)
        self._stop, self._kind, self._name, self._epoch = mark, kind, name, epoch
        code = entry.field("code")
        self._code = "" if code is None or isinstance(code, ErasedField) else _text(mark.index, entry, "code")
        self._licences = {name: licence}
        for system in licence.systems.values():
            system.held = dict(system.live)
            system.acknowledged = system.partly = None

    def _about_system(self, mark: Mark, kind: str, system: _System, entry: Entry) -> None:
        if kind in HEARD:
            system.heard = mark
        match kind:
            case "lease.granted":
                if self._stop is not None:
                    raise NotShown(f"it grants a lease under the licence that entry {self._wanted} stopped", mark.index)
                lease = _value(mark.index, entry, "lease")
                system.live[lease] = _Lease(mark, _number(mark.index, entry, "hard_end"))
                system.granted = mark
            case "lease.ended":
                self._end(mark, system, entry)
            case "continuity.issued":
                until = _number(mark.index, entry, "latest_hard_end")
                system.continuity_until = max(system.continuity_until, until)
            case "directive.acknowledged":
                self._acknowledge(mark, system, entry)
            case _:
                pass

    def _end(self, mark: Mark, system: _System, entry: Entry) -> None:
        name = _value(mark.index, entry, "lease")
        lease = system.live.pop(name, None)
        if lease is None:
            raise NotShown("it ends a lease that the log has not granted, or has ended before", mark.index)
        lease.is_over, lease.free_at = True, _number(mark.index, entry, "free_at")

    def _acknowledge(self, mark: Mark, system: _System, entry: Entry) -> None:
        if self._stop is None or _number(mark.index, entry, "acknowledged") < self._epoch:
            return
        if _number(mark.index, entry, "active"):
            system.partly = mark
        elif system.acknowledged is None:
            system.acknowledged = mark

    def _lift(self, mark: Mark, licence: _Licence) -> None:
        self._lifted = mark
        for name, system in sorted(licence.systems.items()):
            if self._effect(name, system, mark.at) is None:
                problem = f"it lifts the stop of entry {self._wanted} before that took effect at {shown(name)}"
                raise NotShown(problem, mark.index)

    def finish(self) -> Stopped:
        """What the log shows of the stop. Raises NotShown when it has none there, or no effect at some system."""
        if self._stop is None:
            raise NotShown(f"the log has no entry {self._wanted}")
        licence = self._licences[self._name]
        until = self._lifted.at if self._lifted is not None else self._last
        effects = [(name, system, self._effect(name, system, until)) for name, system in licence.systems.items()]
        for name, system, effect in sorted(effects, key=lambda each: each[0]):
            if effect is None:
                raise NotShown(self._missing(name, system))
        return Stopped(
            licence=self._name,
            kind=self._kind,
            epoch=self._epoch,
            code=self._code,
            stop=self._stop,
            systems=tuple(sorted([each for *_, each in effects if each is not None], key=lambda each: each.name)),
            lifted=self._lifted,
            gaps=tuple(licence.gaps),
        )

    def _effect(self, name: str, system: _System, until: int) -> SystemStopped | None:
        stop = self._stop or Mark(0, 0)
        by = stop.at
        if not system.held:
            how = How.HELD_NOTHING
        elif system.acknowledged is not None:
            how, by = How.ACKNOWLEDGED, system.acknowledged.at
        elif all(lease.is_over for lease in system.held.values()):
            how, by = How.RAN_OUT, max(stop.at, *(lease.free_at for lease in system.held.values()))
            if by > until:
                return None
        else:
            return None
        return SystemStopped(
            name,
            how,
            len(system.held),
            by,
            system.granted,
            system.heard,
            system.acknowledged,
            system.continuity_until,
        )

    def _missing(self, name: str, system: _System) -> str:
        claim = f"the stop of entry {self._wanted} is not shown to have taken effect at {shown(name)}: "
        live = [lease for lease in system.held.values() if not lease.is_over]
        if system.partly is not None:
            claim += f"it says in entry {system.partly.index} that it has not stopped all, "
        if not live:
            latest = max(lease.free_at for lease in system.held.values())
            return f"{claim}its last seat is free at {latest}, and the log goes no further than {self._last}"
        first = min(lease.granted.index for lease in live)
        bound = max(lease.hard_end for lease in live)
        return (
            f"{claim}{len(live)} of its {len(system.held)} leases have not ended, the first of entry {first}, "
            f"with permits until {bound} at least"
        )


def shown(text: str) -> str:
    """A name out of a file for a terminal: what does not print is escaped, what is long is cut."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text[:200])


def _value(index: int, entry: Entry, name: str) -> bytes:
    found = entry.field(name)
    if found is None:
        raise NotShown(f"it has no {name}", index)
    if isinstance(found, ErasedField):
        raise NotShown(f"its {name} was erased: nobody can say what it was about", index)
    return found.value


def _text(index: int, entry: Entry, name: str) -> str:
    try:
        return _value(index, entry, name).decode()
    except UnicodeDecodeError as error:
        raise NotShown(f"its {name} is no text", index) from error


def _number(index: int, entry: Entry, name: str) -> int:
    text = _text(index, entry, name)
    try:
        return decode_decimal(text)
    except ValueError as error:
        raise NotShown(f"its {name} {error}", index) from error
