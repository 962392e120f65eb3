"""How a run is going: a table that lives on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from itertools import islice
from typing import Final, Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from simulator.clock import SECOND, Millis
from simulator.fleet import Fleet
from simulator.oracle.record import Record
from simulator.timeline import Told

EVENTS_SHOWN: Final = 8
LINE_EVERY: Final[Millis] = 5 * SECOND
COLUMNS: Final = ("licence", "customer", "status", "cap", "permits", "at work", "reached", "grants", "denials")
"""permits: targets that somebody may act on; at work: acted on; reached: systems that are not cut off, of all."""
GAP: Final = 2
MOST: Final = {"status": 10, "cap": 3, "permits": 7, "at work": 7, "reached": 7, "grants": 6, "denials": 7}
FIGURES_TAKE: Final = sum(MOST.values()) + len(MOST) * GAP
"""Columns that all but the names take."""
WIDE: Final = 100
"""Columns of a terminal that has room for all of it."""


class Progress(Protocol):
    """Where a run tells how it is going."""

    def say(self, words: str) -> None:
        """Something about the run itself."""
        ...

    def told(self, told: Told) -> None:
        """Something happened in it."""
        ...

    def show(self, fleet: Fleet, elapsed: Millis) -> None:
        """Time has passed. Called about twice a second."""
        ...

    def close(self) -> None:
        """The run is over."""
        ...


def progress_on(console: Console, *, plain: bool) -> Progress:
    """A table where there is a terminal to draw it on."""
    return LiveTable(console) if console.is_terminal and not plain else PlainLines(console)


class Count:
    """Grants and denials by licence, counted as they come in, and as the verdict counts them."""

    def __init__(self) -> None:
        self.grants: Final[Counter[str]] = Counter()
        self.denials: Final[Counter[str]] = Counter()
        self._attempts = 0
        self._permits = 0

    def take(self, record: Record) -> None:
        """Count what is new. A lease that was held already is no grant, however often it is answered."""
        for attempt in record.attempts[self._attempts :]:
            self.denials[attempt.licence] += bool(attempt.reason)
        for permit in islice(record.permits.values(), self._permits, None):
            self.grants[permit.licence] += sum(not grant.existing for grant in permit.grants)
        self._attempts, self._permits = len(record.attempts), len(record.permits)


class PlainLines:
    """One line every few seconds, and one for each thing that happens."""

    def __init__(self, console: Console) -> None:
        self._console: Final = console
        self._count: Final = Count()
        self._next: Millis = 0

    def say(self, words: str) -> None:
        """One line."""
        self._console.print(words, highlight=False, soft_wrap=True, markup=False)

    def told(self, told: Told) -> None:
        """One line, with its time."""
        self.say(line_of(told))

    def show(self, fleet: Fleet, elapsed: Millis) -> None:
        """One line, if it is time for one."""
        if elapsed < self._next:
            return
        self._next = elapsed - elapsed % LINE_EVERY + LINE_EVERY
        self._count.take(fleet.record)
        at_work = sum(system.working for system in fleet)
        reachable = sum(system.reachable for system in fleet)
        grants, denials = self._count.grants.total(), self._count.denials.total()
        self.say(
            f"{elapsed / SECOND:5.0f} s  {reachable} of {len(fleet.systems)} systems not cut off, "
            f"{at_work} targets worked on, {grants} grants, {denials} denials"
        )

    def close(self) -> None:
        """Nothing is left to do."""


class LiveTable:
    """One row a licence, drawn over and over, and what happened last."""

    def __init__(self, console: Console) -> None:
        self._live: Final = Live(console=console, refresh_per_second=4, transient=False)
        self._count: Final = Count()
        self._events: Final[list[str]] = []
        self._drawing = False

    def say(self, words: str) -> None:
        """Above the table."""
        self._live.console.print(words, highlight=False, markup=False)

    def told(self, told: Told) -> None:
        """Below the table."""
        self._events.append(line_of(told))

    def show(self, fleet: Fleet, elapsed: Millis) -> None:
        """Draw it anew."""
        if not self._drawing:
            self._live.start()
            self._drawing = True
        self._count.take(fleet.record)
        events = Text("\n".join(self._events[-EVENTS_SHOWN:]))
        self._live.update(Group(self._table(fleet, elapsed), events))

    def _table(self, fleet: Fleet, elapsed: Millis) -> Table:
        seconds = f"{elapsed / SECOND:.0f} of {fleet.scenario.duration / SECOND:.0f} s"
        return drawn(f"{fleet.scenario.title}: {seconds}", rows(fleet, self._count), self._live.console.width)

    def close(self) -> None:
        """Leave the last table standing."""
        if self._drawing:
            self._live.stop()


def drawn(title: str, rows: Iterable[tuple[str, ...]], width: int) -> Table:
    """One line a licence, on 80 columns as well: a name too long is cut, and whose it is stands where there is room."""
    names = [name for name in COLUMNS if name != "customer" or width >= WIDE]
    table = Table(title=title, title_justify="left", box=None, padding=(0, GAP, 0, 0))
    room = (width - FIGURES_TAKE) // (len(names) - len(COLUMNS) + 2)
    for name in names:
        if name in {"licence", "customer"}:
            table.add_column(name, no_wrap=True, overflow="ellipsis", max_width=room - GAP)
        else:
            table.add_column(name, no_wrap=True, justify="left" if name == "status" else "right", min_width=MOST[name])
    for row in rows:
        table.add_row(*(cell for name, cell in zip(COLUMNS, row, strict=True) if name in names))
    return table


def rows(fleet: Fleet, count: Count) -> list[tuple[str, ...]]:
    """The table's rows."""
    now = fleet.clock.boot_ms()
    found = []
    for name, licence in fleet.licences.items():
        own = [system for system in fleet if system.licence == name]
        targets = {target for system in own for target in system.tap.running(now)}
        newest = fleet.record.terms[name]
        cap = newest[max(newest)].cap if newest else 0
        figures = (
            cap,
            len(targets),
            sum(system.working for system in own),
            f"{sum(system.reachable for system in own)}/{len(own)}",
            count.grants[name],
            count.denials[name],
        )
        found.append((name, licence.customer, status_of(fleet, name), *(str(figure) for figure in figures)))
    return found


def status_of(fleet: Fleet, licence: str) -> str:
    """What the fleet knows of a licence's state."""
    orders = fleet.record.orders[licence]
    terms = fleet.record.terms[licence]
    if terms and terms[max(terms)].ends <= fleet.clock.wall_ms():
        return "expired"
    stopped = ""
    for _, order in sorted(orders.items()):
        stopped = {1: "suspended", 2: "", 3: "terminated"}.get(order.kind, stopped)
    return stopped or "active"


def line_of(told: Told) -> str:
    """What happened, with its time."""
    return f"{told.at / SECOND:5.1f} s  {'TROUBLE: ' if told.trouble else ''}{told.words}"


def console_to_stdout() -> Console:
    """Where people read."""
    return Console(file=sys.stdout)
