"""Rules and happenings for tests, in Python: conditions are functions here, CEL is the policy's."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from licd.core.happenings import Happening
from licd.core.misuse import Outcome, Rule, Subject
from licd.core.terms import ConcurrentTargets, Constraint, DistinctTargets, TargetChurn
from licd.core.time import DAY, HOUR, Instant, Millis
from tests.builders import make_terms

START: Instant = 20_000 * DAY


def rule(
    names: str, holds: Callable[[Mapping[str, int]], bool], *, subject: Subject = Subject.LICENCE, **changes: Any
) -> Rule:
    plain = Rule(
        name="tried",
        description="a rule that is tried",
        subject=subject,
        window=HOUR,
        quiet=HOUR,
        outcome=Outcome.ALERT,
        code="",
        when=names,
        names=frozenset(names.split()),
        holds=holds,
    )
    return replace(plain, **changes)


def issued(licence: str = "north-1", customer: str = "north", at: Instant = START, **limits: Any) -> Happening:
    constraints: tuple[Constraint, ...] = (
        ConcurrentTargets(limits.get("cap", 5)),
        *(DistinctTargets(*each) for each in limits.get("distinct", ())),
        *(TargetChurn(*each) for each in limits.get("churn", ())),
    )
    terms = replace(make_terms(), customer=customer, not_before=at, not_after=at + 400 * DAY, constraints=constraints)
    return Happening(0, at, "licence.issued", licence=licence, terms=terms, epoch=1)


def denied(after: Millis, reason: str = "REGION_UNKNOWN", licence: str = "north-1", **more: Any) -> Happening:
    kind = "denied.counted" if more.get("times", 1) > 1 else "denied"
    plain = Happening(0, START + after, kind, licence=licence, system=f"{licence}/a", reason=reason)
    return replace(plain, **more)


def granted(after: Millis, target: bytes, licence: str = "north-1") -> Happening:
    return Happening(0, START + after, "lease.granted", licence=licence, system=f"{licence}/a", target=target)


def of_system(after: Millis, kind: str, **more: Any) -> Happening:
    return replace(Happening(0, START + after, kind, licence="north-1", system="north-1/a"), **more)


def numbered(*happenings: Happening) -> list[Happening]:
    return [replace(each, index=index) for index, each in enumerate(happenings)]
