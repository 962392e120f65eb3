"""Everybody who takes part in one run: licences issued, systems invited and enrolled, then let loose."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from licd.v1 import licence_pb2, licence_service_pb2, operator_pb2
from simulator.bench import Bench
from simulator.clock import SECOND, Clock, Instant, Millis
from simulator.kinds import make_system
from simulator.office import Office
from simulator.oracle.record import Record
from simulator.oracle.trust import read_trust
from simulator.papers import PolicyFigures
from simulator.participant import Participant, Stage
from simulator.raw.enrolment import read_join_token
from simulator.scenario import Scenario, WantedLicence
from simulator.wanted_terms import term_of

ENROLLING_AT_ONCE: Final = 8
LONGEST_TERM: Final[Millis] = 366 * 86_400 * SECOND
"""For how long each customer is assessed; the longest licence of a scenario is of a year."""


class Fleet:
    """The systems of a run, and what they share."""

    def __init__(self, scenario: Scenario, office: Office, figures: PolicyFigures, clock: Clock, folder: Path) -> None:
        self.scenario: Final = scenario
        self.clock: Final = clock
        self.bench: Final = Bench(clock)
        self.systems: Final[list[Participant]] = []
        self.licences: Final[dict[str, operator_pb2.Licence]] = {}
        self._office: Final = office
        self._figures: Final = figures
        self._folder: Final = folder
        self._record: Record | None = None

    @property
    def record(self) -> Record:
        """The oracle's notebook."""
        if self._record is None:
            raise RuntimeError("nobody has been invited yet")
        return self._record

    def __iter__(self) -> Iterator[Participant]:
        return iter(self.systems)

    def named(self, names: Sequence[str]) -> list[Participant]:
        """The systems that these names, of systems or groups, stand for."""
        wanted = {system for name in names for system in self.scenario.named(name)}
        return [system for system in self.systems if system.name in wanted]

    # ------------------------------------------------------------------------------------------- set up
    async def gather(self) -> None:
        """Create and assess customers, issue licences, invite and enrol systems. Licences that end early come last.

        A customer gets all his licences before his systems are enrolled: of each that is enrolled the gate asks whether
        it acknowledges orders, and none of them is let loose yet.
        """
        await self._office.import_indicators(_year_before(self.clock.wall_ms()))
        for customer in self.scenario.customers:
            await self._office.create_customer(customer.name, customer.title)
        for customer_name, product in sorted({(each.customer, self._product(each)) for each in self.scenario.licences}):
            await self._office.assess(customer_name, product, LONGEST_TERM)
        licences = sorted(self.scenario.licences, key=_is_timed)
        steady = {each.customer for each in licences if not _is_timed(each)}
        for wanted in [each for each in licences if each.customer in steady]:
            await self._issue(wanted)
        for licence in list(self.licences.values()):
            await self._enrol(licence)
        for wanted in [each for each in licences if each.customer not in steady]:
            await self._enrol(await self._issue(wanted))

    def _product(self, wanted: WantedLicence) -> str:
        return wanted.terms.product if wanted.terms else self._figures.products[wanted.template]

    async def _issue(self, wanted: WantedLicence) -> operator_pb2.Licence:
        licence = await self._office.issue(self._request(wanted, self.clock.wall_ms()))
        self.licences[licence.licence] = licence
        return licence

    def _request(self, wanted: WantedLicence, now: Instant) -> licence_service_pb2.IssueLicenceRequest:
        request = licence_service_pb2.IssueLicenceRequest(customer=wanted.customer, licence=wanted.name)
        terms = wanted.terms
        length = terms.term if terms else self._figures.terms[wanted.template]
        begins, ends = term_of(wanted.starts_after, wanted.ends_after, now, length)
        if terms is None:
            request.template = wanted.template
            request.not_before_ms = begins
            return request
        request.terms.CopyFrom(
            licence_service_pb2.TermsDraft(
                not_before_ms=begins,
                not_after_ms=ends,
                product=terms.product,
                category=terms.category,
                constraints=terms.constraints(),
            )
        )
        return request

    async def _enrol(self, licence: operator_pb2.Licence) -> None:
        groups = [group for group in self.scenario.groups if group.licence == licence.licence]
        tokens = {name: await self._office.invite(licence.licence, name) for group in groups for name in group.systems}
        if not tokens:
            return
        stage = await self._stage(next(iter(tokens.values())))
        stage.record.licence(licence.token)
        terms = licence_pb2.LicenceTerms.FromString(licence.token.payload)
        invited = [make_system(name, group, terms, stage) for group in groups for name in group.systems]
        turn = asyncio.Semaphore(ENROLLING_AT_ONCE)
        async with asyncio.TaskGroup() as tasks:
            for system in invited:
                tasks.create_task(_enrol_in_turn(system, tokens[system.name], turn))
        self.systems.extend(invited)

    async def _stage(self, join_token: str) -> Stage:
        """What systems share. Whom the oracle believes begins with what the first join token pins."""
        if self._record is None:
            chain = await self._office.trust()
            self._record = Record(read_trust(chain.bundles, read_join_token(join_token)["bundle_sha256"]))
        return Stage(self.clock, self.scenario.seed, self._record, self.bench, self._folder)

    # ---------------------------------------------------------------------------------------------- run
    async def run(self) -> None:
        """Let all loose, until cancelled. A system that fails, other than by being a cheat, ends the run."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.bench.run())
            for system in self.systems:
                tasks.create_task(system.run(), name=system.name)


def _is_timed(wanted: WantedLicence) -> bool:
    """Whether its term begins or ends within the run."""
    return bool(wanted.ends_after or wanted.starts_after)


def _year_before(now: Instant) -> int:
    return datetime.fromtimestamp(now / SECOND, UTC).year - 1


async def _enrol_in_turn(system: Participant, join_token: str, turn: asyncio.Semaphore) -> None:
    async with turn:
        await system.enrol(join_token)
