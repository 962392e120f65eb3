"""policies/categories.toml: what a risk category allows at most.

Rules
- Ranks are different; a higher rank is a higher risk and never allows more in any respect.
- The highest category that may be licensed at all has no offline grace.
- A category without a ceiling says so (may_issue = false), and nothing can be licensed in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType

from licd.core.terms import PERMIT_CEILING
from licd.core.time import DAY, SECOND, Millis
from licd.policy.limits import KEYS, Limits, exceeded, read_limits
from licd.policy.reader import Reader

MINIMUM_APPROVALS = 2
LONGEST_REVIEW_INTERVAL_DAYS = 366


@dataclass(frozen=True, slots=True)
class Category:
    """A risk category. ceiling is None where no licence may be issued.

    approvals counts the persons an issue needs, the one who asks for it included.
    """

    name: str
    description: str
    rank: int
    ceiling: Limits | None
    shortest_permit: Millis
    least_penalty_years: int
    approvals: int
    review_interval: Millis


def read_categories(reader: Reader) -> Mapping[str, Category]:
    """Reads the file."""
    found = [(_read_category(name, table), table) for name, table in reader.named("category")]
    if not found:
        reader.note(None, "there must be at least one [category.NAME]")
    if reader.sound():
        _check_ladder(sorted(found, key=lambda pair: pair[0].rank))
    return MappingProxyType({category.name: category for category, _ in found})


def _read_category(name: str, reader: Reader) -> Category:
    reader.name(name)
    may_issue = reader.flag("may_issue", default=True)
    category = Category(
        name=name,
        description=reader.text("description"),
        rank=reader.whole("rank", least=1),
        ceiling=read_limits(reader.table_at("ceiling")) if may_issue else None,
        shortest_permit=reader.span("shortest_permit_seconds", SECOND, most=PERMIT_CEILING // SECOND)
        if may_issue
        else 0,
        least_penalty_years=reader.whole("least_penalty_years", most=100) if may_issue else 0,
        approvals=reader.whole("approvals", least=MINIMUM_APPROVALS, most=10) if may_issue else 0,
        review_interval=reader.span("review_interval_days", DAY, most=LONGEST_REVIEW_INTERVAL_DAYS) if may_issue else 0,
    )
    reader.done()
    if reader.sound() and category.ceiling and category.shortest_permit > category.ceiling.permit:
        reader.note("shortest_permit_seconds", "shortest_permit_seconds is longer than the ceiling's permit_seconds")
    return category


def _check_ladder(ladder: list[tuple[Category, Reader]]) -> None:
    for (lower, _), (higher, reader) in pairwise(ladder):
        if lower.rank == higher.rank:
            reader.note("rank", f"rank {higher.rank} is also that of category {lower.name}; ranks are different")
        for key in _wider(lower, higher):
            place = reader if key in reader.table else reader.table_at("ceiling")
            message = f"{key} is wider than in category {lower.name}, which is of lower risk"
            place.note(key if key in place.table else None, message)
    licensable = [(category, reader) for category, reader in ladder if category.ceiling]
    if not licensable:
        return
    highest, reader = licensable[-1]
    if highest.ceiling and highest.ceiling.grace:
        reader.table_at("ceiling").note(
            "grace_seconds", f"{highest.name} is the highest category in use: its grace_seconds must be 0"
        )


def _wider(lower: Category, higher: Category) -> list[str]:
    if higher.ceiling is None:
        return []
    if lower.ceiling is None:
        return ["may_issue"]
    respects = [KEYS[field] for field in exceeded(higher.ceiling, lower.ceiling)]
    if higher.least_penalty_years < lower.least_penalty_years:
        respects.append("least_penalty_years")
    if higher.approvals < lower.approvals:
        respects.append("approvals")
    if higher.review_interval > lower.review_interval:
        respects.append("review_interval_days")
    return respects
