"""Asks the misuse rules of the log, again and again, and has the ledger do what follows.

All of it follows from the log, the rules and the tick: a round that was missed is made up by the next, two replicas
find the same, and the ledger takes it from the first. What was read of the log is kept in memory, and read anew after a
start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import structlog

from licd.core.happenings import STANDING_KINDS, Happening
from licd.core.history import History
from licd.core.misuse import TICK, Done, Finding
from licd.core.time import SECOND, Instant, Millis
from licd.evidence.entry import decode
from licd.ledger.database import Connection
from licd.ledger.log import read_entries
from licd.ledger.records import LoggedEntry, RulesAsked, Signal
from licd.ledger.rows import RULES_ASKED
from licd.ledger.verbs.signals import ASKED_ID, AdoptRules, RaiseSignals
from licd.policy import Policies
from licd.server.metrics import Metrics
from licd.server.reader import Reader
from licd.server.writer import Writer
from licd.wire.happenings import HEARD, happening_of

logger = structlog.get_logger("licd.rules")

SETTLE: Final[Millis] = 10 * SECOND
"""A tick is looked at so long after it: by how much less a deciding clock may say once more is far below that."""

AT_ONCE: Final = 2_000
"""Entries read between two other readers."""

PORTIONS: Final = 250
"""Of them in one round: a daemon that is told to stop waits for the round."""

TICKS_AT_ONCE: Final = 288
"""Ticks between two other readers, and in one transaction: a day's, where licd was down for longer."""


class Rules:
    """The rounds."""

    def __init__(
        self, writer: Writer, reader: Reader, policies: Policies, metrics: Metrics, wall: Callable[[], Instant]
    ) -> None:
        self._writer: Final = writer
        self._reader: Final = reader
        self._policies: Final = policies
        self._metrics: Final = metrics
        self._wall: Final = wall
        self._history: History | None = None
        self._next = 0
        self._found: list[Finding] = []

    async def round(self) -> None:
        """Asks at every tick that is over. Raises what the ledger raises; the next round goes on where it stood."""
        if not self._policies.misuse.rules:
            return
        over = (self._wall() - SETTLE) // TICK * TICK
        asked = await self._asked(over)
        while asked.until < over:
            until = min(over, asked.until + TICKS_AT_ONCE * TICK)
            try:
                found = await self._find(asked, until)
            except Exception:
                self._history = None  # half a portion was taken: the next round reads anew
                raise
            if not found:
                return
            await self._raise(asked, until)
            asked = await self._asked(over)

    async def _asked(self, since: Instant) -> RulesAsked:
        """Where the rules in force stand; from since on, where none were asked before."""
        found = await self._reader.run(lambda connection: RULES_ASKED.get(connection, ASKED_ID))
        if found is not None and found.policy_version == self._policies.version:
            return found
        names = [rule.name for rule in self._policies.misuse.rules]
        return await self._writer.execute(AdoptRules(self._policies.version, names, since))

    async def _find(self, asked: RulesAsked, until: Instant) -> bool:
        """Takes what the log has more. Whether it came as far as shows this tick to be over; else the next round."""
        if self._history is None:
            self._history, self._next, self._found = History(self._policies.misuse.rules, asked.until), 0, []
        history = self._history
        since = asked.until - history.lookback
        for _ in range(PORTIONS):
            if history.judged >= until:
                break
            self._found += await self._reader.run(lambda connection: self._read(connection, history, since, until))
        return history.judged >= until

    def _read(self, connection: Connection, history: History, since: Instant, until: Instant) -> list[Finding]:
        """A portion of the log; at its end, the time that is over without anything that happened."""
        findings: list[Finding] = []
        end = self._next + AT_ONCE
        for line in read_entries(connection, self._next, end):
            if line.at >= until:
                break
            findings += history.follow(self._heard(line, since))
        if self._next < end:
            findings += history.reach(until)
        return findings

    def _heard(self, line: LoggedEntry, since: Instant) -> Iterator[Happening]:
        self._next = line.index + 1
        if line.kind not in HEARD or (line.at < since and line.kind not in STANDING_KINDS):
            return
        happening = happening_of(line.index, decode(line.body))
        if happening is not None:
            yield happening

    async def _raise(self, asked: RulesAsked, until: Instant) -> None:
        misuse = self._policies.misuse
        findings = [each for each in self._found if asked.until < each.tick <= until]
        casework = self._policies.casework
        command = RaiseSignals(
            findings=findings,
            until=until,
            policy_version=self._policies.version,
            brake=misuse.brake,
            acknowledge=misuse.acknowledge,
            steps=casework.asked,
            acknowledge_case=casework.acknowledge,
        )
        raised = await self._writer.execute(command)
        self._found = [each for each in self._found if each.tick > until]
        self._tell(raised)

    def _tell(self, signals: Sequence[Signal]) -> None:
        """Rules and signals by name; about whom is for those who may ask licd."""
        for signal in signals:
            self._metrics.signal_raised(signal.done)
            if signal.done == Done.BRAKED:
                logger.error(
                    "A RULE WANTS TO SUSPEND AND IS HELD BACK: rules have suspended as many licences as policy lets "
                    "them, and a person has to decide",
                    rule=signal.rule,
                    signal=signal.id,
                )
            else:
                logger.warning("a misuse rule holds", rule=signal.rule, signal=signal.id, done=signal.done)
