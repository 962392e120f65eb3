"""Looks again at every licence, by the calendar and by what has changed: opens reviews, and narrows where policy says.

All of it follows from the rows, the policy in force and the time: a round that was missed is made up by the next, and
one that is made twice changes nothing the second time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog

from licd.core.diligence import Judgement, LineKind, judge
from licd.core.errors import Conflict
from licd.core.gate import Assessment
from licd.core.model import Licence, LicenceStatus
from licd.core.rights import IN_FORCE
from licd.core.terms import Terms
from licd.core.time import Instant
from licd.ledger import tables
from licd.ledger.database import Connection
from licd.ledger.rows import LICENCES
from licd.ledger.standing import current_assessment
from licd.ledger.transaction import Command
from licd.ledger.verbs.diligence import Finding, OpenReviews
from licd.ledger.verbs.licences import AmendLicence, SuspendLicence, SuspensionScope
from licd.policy import Policies
from licd.policy.diligence import OnWorse
from licd.policy.tighten import tightened
from licd.server.country import Snapshot, snapshot
from licd.server.reader import Reader
from licd.server.writer import Writer
from licd.v1.diligence_pb2 import AssessedFacts
from licd.wire.diligence import facts_from_message

logger = structlog.get_logger("licd.reviews")

ACTOR: Final = "licd"
AT_ONCE: Final = 100
"""Licences looked at between two other readers: a round over many holds nobody up."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What a round found: reviews to open, and what follows by itself."""

    findings: tuple[Finding, ...]
    consequences: tuple[Command[object], ...]


class Reviews:
    """The rounds."""

    def __init__(self, writer: Writer, reader: Reader, policies: Policies, wall: Callable[[], Instant]) -> None:
        self._writer: Final = writer
        self._reader: Final = reader
        self._policies: Final = policies
        self._wall: Final = wall

    async def round(self) -> None:
        """Opens what is due and does what follows. Raises what the ledger raises."""
        if not self._policies.diligence.assesses:
            return
        now = self._wall()
        running = await self._reader.run(lambda connection: _running(connection, now))
        for at in range(0, len(running), AT_ONCE):
            part = running[at : at + AT_ONCE]
            await self._act(await self._reader.run(partial(self._look, part, now)))

    async def _act(self, looked: Looked) -> None:
        if looked.findings:
            await self._writer.execute(OpenReviews(looked.findings, self._policies.diligence.review.time))
        for command in looked.consequences:
            try:
                await self._writer.execute(command)
            except Conflict as error:
                logger.info("a licence has changed meanwhile; the next round looks at it", error=str(error))

    def _look(self, licences: Sequence[Licence], now: Instant, connection: Connection) -> Looked:
        taken = snapshot(connection, self._policies.diligence)
        findings: list[Finding] = []
        consequences: list[Command[object]] = []
        for licence in licences:
            assessment = current_assessment(connection, licence.customer, licence.terms.product)
            if assessment is None:
                findings += self._never_assessed(licence)
                continue
            worse = self._worse(assessment, taken, now)
            findings += self._due(licence, assessment, now)
            if worse is not None:
                findings.append(self._finding(licence, assessment, worse, taken))
            category = assessment.category if worse is None else self._worst(assessment.category, worse.category)
            consequences += self._consequences(licence, assessment, category, now)
        return Looked(tuple(findings), tuple(consequences))

    def _never_assessed(self, licence: Licence) -> Iterator[Finding]:
        if self._policies.diligence.gate.on_issue:
            yield Finding(licence.id, "", "rule", "it was issued when nothing asked for an assessment")

    def _due(self, licence: Licence, assessment: Assessment, now: Instant) -> Iterator[Finding]:
        if now >= assessment.review_due:
            yield Finding(licence.id, assessment.id, "calendar", f"category {assessment.category} is looked at again")

    def _worse(self, assessment: Assessment, taken: Snapshot, now: Instant) -> Judgement | None:
        """What the same answers come to today, where that is worse than what was judged."""
        facts = AssessedFacts.FromString(assessment.facts)
        _, answers = facts_from_message(facts)
        policy = self._policies.diligence
        readings = taken.readings(policy, assessment.country, now)
        found = judge(policy.rules, readings, policy.answered(answers, assessment.product, assessment.term))
        return found if self._worst(assessment.judged, found.category) != assessment.judged else None

    def _finding(self, licence: Licence, assessment: Assessment, worse: Judgement, taken: Snapshot) -> Finding:
        """Whether the policy has changed or the world, and what weighs most in words."""
        facts = AssessedFacts.FromString(assessment.facts)
        same_world = {each.indicators for each in facts.readings if each.indicators} == taken.ids
        by_rule = same_world and assessment.policy_version != self._policies.version
        weighing = [
            line for line in worse.lines if line.category == worse.category and line.kind is not LineKind.FACTOR
        ]
        told = f": {weighing[0].subject} {weighing[0].found}" if weighing else ""
        detail = f"{assessment.judged} has become {worse.category}{told}"
        return Finding(licence.id, assessment.id, "rule" if by_rule else "indicators", detail)

    def _worst(self, one: str, other: str) -> str:
        """The category of the higher risk; one that policy knows no longer counts as the lowest."""
        ladder = self._policies.diligence.rules.ladder
        return max(one, other, key=lambda name: ladder.index(name) if name in ladder else -1)

    def _consequences(
        self, licence: Licence, assessment: Assessment, category: str, now: Instant
    ) -> Iterator[Command[object]]:
        """Once an assessed or rejudged category is worse than the licence's own, its terms come below that ceiling."""
        policy = self._policies.diligence.review
        if policy.on_worse is not OnWorse.TIGHTEN or self._worst(licence.terms.category, category) != category:
            return
        if category == licence.terms.category or licence.status not in IN_FORCE:
            return
        why = f"assessment {assessment.id} of {assessment.country}, looked at again: {category}"
        ceiling = self._policies.categories[category].ceiling
        if ceiling is None:
            scope = SuspensionScope(licence=licence.id)
            yield SuspendLicence(scope, policy.suspend_code, why, ACTOR)
            return
        narrower = tightened(licence.terms, ceiling, now)
        if narrower.constraints != licence.terms.constraints or _ends_sooner(narrower, licence.terms):
            yield AmendLicence(licence.id, licence.version, narrower, policy.suspend_code, why, ACTOR, "amended")


def _running(connection: Connection, now: Instant) -> list[Licence]:
    """Every licence that is not terminated and whose term is not over."""
    found = LICENCES.where(connection, tables.licence.c.status != LicenceStatus.TERMINATED.value)
    return [licence for licence in found if licence.terms.not_after > now]


def _ends_sooner(narrower: Terms, terms: Terms) -> bool:
    return narrower.not_after < terms.not_after
