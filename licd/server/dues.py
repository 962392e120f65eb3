"""By the clock: begins to count what licences oblige their customers to, and carries out what follows from being late.

All of it follows from the rows, the policy in force and the time: a round that was missed is made up by the next, and
one that is made twice changes nothing the second time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final

import structlog

from licd.core.condition import Condition, Consequence, Due, due_now
from licd.core.errors import Conflict, IllegalTransition
from licd.core.model import Licence, LicenceStatus
from licd.core.terms import Constraint
from licd.core.time import Instant
from licd.ledger import tables
from licd.ledger.database import Connection
from licd.ledger.rows import LICENCES
from licd.ledger.standing import conditions_of
from licd.ledger.transaction import Command
from licd.ledger.verbs.conditions import CarryOut, OpenConditions
from licd.policy import Policies
from licd.policy.suspension import Obligation
from licd.policy.tighten import tightened
from licd.server.reader import Reader
from licd.server.writer import Writer

logger = structlog.get_logger("licd.dues")

AT_ONCE: Final = 100
"""Licences looked at between two other readers."""


class Dues:
    """The rounds."""

    def __init__(self, writer: Writer, reader: Reader, policies: Policies, wall: Callable[[], Instant]) -> None:
        self._writer: Final = writer
        self._reader: Final = reader
        self._policies: Final = policies
        self._wall: Final = wall
        self._by_rank: Final = sorted(policies.categories.values(), key=lambda each: each.rank)

    async def round(self) -> None:
        """Opens, reminds, tightens, suspends. Raises what the ledger raises."""
        now = self._wall()
        running = await self._reader.run(lambda connection: _running(connection, now))
        for at in range(0, len(running), AT_ONCE):
            part = running[at : at + AT_ONCE]
            for command in await self._reader.run(partial(self._look, part, now)):
                try:
                    await self._writer.execute(command)
                except (Conflict, IllegalTransition) as error:
                    logger.info("a licence has changed meanwhile; the next round looks at it", error=str(error))

    def _look(self, licences: Sequence[Licence], now: Instant, connection: Connection) -> list[Command[Any]]:
        return [command for licence in licences for command in self._of(licence, now, connection)]

    def _of(self, licence: Licence, now: Instant, connection: Connection) -> Iterator[Command[Any]]:
        known = self._policies.suspension.obligations
        found = conditions_of(connection, licence.id)
        have = {each.name for each in found}
        missing = [(name, known[name].every) for name in licence.terms.conditions if name not in have and name in known]
        if missing:
            yield OpenConditions(licence.id, missing)
        for condition in found:
            obligation = known.get(condition.name)
            due = due_now(condition, obligation.schedule, now) if obligation else None
            if obligation is not None and due is not None:
                yield self._carrying_out(licence, condition, obligation, due, now)

    def _carrying_out(
        self, licence: Licence, condition: Condition, obligation: Obligation, due: Due, now: Instant
    ) -> CarryOut:
        limits, until = self._step(licence, due, now)
        schedule, code = obligation.schedule, obligation.consequence
        return CarryOut(condition.id, condition.period, schedule, due, limits, until, code)

    def _step(self, licence: Licence, due: Due, now: Instant) -> tuple[tuple[Constraint, ...], Instant]:
        """What a step of tightening adds to the terms: the ceiling so many categories worse, as far as there is one."""
        terms = licence.terms
        names = [each.name for each in self._by_rank if each.ceiling is not None]
        if due.consequence is not Consequence.TIGHTEN or terms.category not in names:
            return (), terms.not_after
        worse = names[min(names.index(terms.category) + due.step, len(names) - 1)]
        ceiling = self._policies.categories[worse].ceiling
        if ceiling is None:
            return (), terms.not_after
        narrower = tightened(terms, ceiling, now)
        return narrower.constraints[len(terms.constraints) :], narrower.not_after


def _running(connection: Connection, now: Instant) -> list[Licence]:
    """Every licence that is not terminated and whose term is not over."""
    found = LICENCES.where(connection, tables.licence.c.status != LicenceStatus.TERMINATED.value)
    return [licence for licence in found if licence.terms.not_after > now]
