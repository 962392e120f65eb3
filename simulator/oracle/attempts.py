"""What the fleet tried beyond its licences, and how much of it got through: judged by the terms, not by the answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from simulator.oracle.facts import Attempt, Rule, Violation
from simulator.oracle.rules import Rights
from simulator.oracle.scope import fault_of_length, faults


class Beyond(StrEnum):
    """In what respect a request went beyond the licence."""

    WHILE_SUSPENDED = "while suspended"
    AFTER_EXPIRY = "after expiry"
    OUT_OF_REGION = "out of region"
    OUT_OF_PURPOSE = "out of purpose"
    UNAUTHORISED = "without authorisation"
    OUT_OF_PLACE = "from the wrong place"
    OVER_CAP = "over cap"
    OVER_VOLUME = "over volume"


@dataclass(frozen=True, slots=True)
class Tried:
    """How often, and how often with success."""

    attempts: int
    through: int


_BY_REASON = {
    "LICENCE_SUSPENDED": Beyond.WHILE_SUSPENDED,
    "LICENCE_TERMINATED": Beyond.WHILE_SUSPENDED,
    "LICENCE_EXPIRED": Beyond.AFTER_EXPIRY,
    "DEPLOYMENT_REGION_NOT_PERMITTED": Beyond.OUT_OF_PLACE,
    "ADDRESS_NOT_PERMITTED": Beyond.OUT_OF_PLACE,
    "CONCURRENT_CAP": Beyond.OVER_CAP,
    "DISTINCT_CAP": Beyond.OVER_VOLUME,
    "CHURN_LIMIT": Beyond.OVER_VOLUME,
}
_BY_RULE = {
    Rule.STOPPED: Beyond.WHILE_SUSPENDED,
    Rule.TERM: Beyond.AFTER_EXPIRY,
    Rule.REGION: Beyond.OUT_OF_REGION,
    Rule.PURPOSE: Beyond.OUT_OF_PURPOSE,
    Rule.AUTHORISATION: Beyond.UNAUTHORISED,
    Rule.PLACE: Beyond.OUT_OF_PLACE,
    Rule.CAP: Beyond.OVER_CAP,
    Rule.DISTINCT: Beyond.OVER_VOLUME,
    Rule.CHURN: Beyond.OVER_VOLUME,
}


def count_attempts(rights: Rights, violations: Sequence[Violation]) -> dict[Beyond, Tried]:
    """Attempts in every respect; a request that fails in several counts in the first that licd looks at."""
    wrong: dict[bytes, list[Violation]] = {}
    for violation in violations:
        if violation.permit is not None:
            wrong.setdefault(violation.permit, []).append(violation)
    tried: Counter[Beyond] = Counter()
    through: Counter[Beyond] = Counter()
    for attempt in rights.record.attempts:
        granted = not attempt.reason
        beyond = _granted_beyond(attempt, wrong) if granted else _denied_beyond(rights, attempt)
        if beyond is not None:
            tried[beyond] += 1
            through[beyond] += granted
    return {each: Tried(tried[each], through[each]) for each in Beyond}


def count_denials(rights: Rights) -> dict[str, int]:
    """Denied requests by licd's reason."""
    counted = Counter(attempt.reason for attempt in rights.record.attempts if attempt.reason)
    return dict(sorted(counted.items(), key=lambda pair: (-pair[1], pair[0])))


def _granted_beyond(attempt: Attempt, wrong: dict[bytes, list[Violation]]) -> Beyond | None:
    found = {_BY_RULE[each.rule] for each in wrong.get(attempt.permit, ()) if each.rule in _BY_RULE}
    return next((each for each in Beyond if each in found), None)


def _denied_beyond(rights: Rights, attempt: Attempt) -> Beyond | None:
    by_reason = _BY_REASON.get(attempt.reason)
    if by_reason in {Beyond.WHILE_SUSPENDED, Beyond.AFTER_EXPIRY} or attempt.ask is None:
        return by_reason
    return next(_by_terms(rights, attempt), by_reason)


def _by_terms(rights: Rights, attempt: Attempt) -> Iterator[Beyond]:
    terms = rights.terms_at(attempt.licence, attempt.decided)
    if terms is None or attempt.ask is None:
        return
    for rule, _ in faults(attempt.ask, terms, attempt.decided):
        yield _BY_RULE[rule]
    if fault_of_length(attempt.ask, terms, attempt.decided):
        yield Beyond.UNAUTHORISED
