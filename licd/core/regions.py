"""Where a thing may happen: sets of region codes, and whether a code lies inside one.

Rules
- A code is an ISO 3166-1 country, an ISO 3166-2 subdivision, or XK, written as the standard writes it. Everything
  else ("", "001", "de", "EU", a group) is unknown, and what is unknown is never permitted.
- A country covers its subdivisions; a subdivision never covers its country.
- A place with a country code of its own is that country, whatever subdivision code it also has: US does not cover
  US-PR, because Puerto Rico is PR. Two codes for one place must not give two answers.
- Unset and empty differ: None does not limit, an empty set permits nothing.
- The world is not a region: there is no m49:001.

The table is licd.core.region_table; its VERSION belongs into every policy version.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping

from licd.core import region_table

TABLE_VERSION = region_table.VERSION
GROUP_PREFIX = "m49:"


class UnknownRegion(ValueError):
    """A name that is neither a region code nor a group of the table."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"unknown region {name!r}: want an ISO 3166-1 code (DE), an ISO 3166-2 code (DE-BY), XK, "
            "or an M49 group (m49:154)"
        )
        self.name = name


def is_known(code: str) -> bool:
    """Whether a code names a country or a subdivision. A group is not a code."""
    return code in _countries()


def country_of(code: str) -> str:
    """The country that a place belongs to: DE for DE-BY, but PR for US-PR. Raises UnknownRegion."""
    country = _countries().get(code)
    if country is None:
        raise UnknownRegion(code)
    return country


def expand(names: Iterable[str]) -> frozenset[str]:
    """The codes that codes and M49 groups stand for. Raises UnknownRegion for the first name that is neither."""
    return frozenset(code for name in names for code in _expansion(name))


def permits(allowed: frozenset[str] | None, code: str) -> bool:
    """Whether a place lies inside an expanded set of codes; None does not limit, but still refuses unknown codes."""
    country = _countries().get(code)
    if country is None:
        return False
    return allowed is None or code in allowed or country in allowed


def agree(codes: Iterable[str]) -> bool:
    """Whether several statements about one place can all be true: DE and DE-BY agree, DE-BY and DE-HE do not.

    No statement at all, or an unknown one, does not agree with anything.
    """
    said = frozenset(codes)
    if not said or not all(is_known(code) for code in said):
        return False
    subdivisions = [code for code in said if "-" in code]
    return len({country_of(code) for code in said}) == 1 and len(subdivisions) <= 1


def covers(outer: frozenset[str], inner: frozenset[str]) -> bool:
    """Whether every place that inner permits is permitted by outer: {DE} covers {DE-BY}. Both are expanded."""
    return all(permits(outer, code) for code in inner)


def intersect(one: frozenset[str], other: frozenset[str]) -> frozenset[str]:
    """The places that both sets permit: {DE} and {DE-BY, AT} leave {DE-BY}. Both are expanded."""
    return frozenset(code for code in one | other if permits(one, code) and permits(other, code))


def group_names() -> Mapping[str, str]:
    """Every M49 group with its English name."""
    return {f"{GROUP_PREFIX}{number}": name for number, name, _ in (*_leaves(), *_wholes())}


def codes() -> frozenset[str]:
    """Every country and subdivision code."""
    return frozenset(_countries())


def _expansion(name: str) -> frozenset[str]:
    if is_known(name):
        return frozenset((name,))
    if name in _groups():
        return _groups()[name]
    raise UnknownRegion(name)


@functools.cache
def _countries() -> dict[str, str]:
    """Every known code with the country that the place belongs to."""
    found = {country: country for country in region_table.COUNTRIES.split()}
    found |= {f"{country}-{suffix}": country for country, suffix in _pairs(region_table.SUBDIVISIONS)}
    for country, pair in _pairs(region_table.ALIASES):
        suffix, own = pair.split("=")
        found[f"{country}-{suffix}"] = own
    return found


@functools.cache
def _groups() -> dict[str, frozenset[str]]:
    leaves = {number: frozenset(members) for number, _, members in _leaves()}
    wholes = {number: frozenset[str]().union(*(leaves[part] for part in parts)) for number, _, parts in _wholes()}
    return {f"{GROUP_PREFIX}{number}": members for number, members in (leaves | wholes).items()}


def _leaves() -> list[tuple[str, str, list[str]]]:
    return _rows(region_table.M49_LEAVES)


def _wholes() -> list[tuple[str, str, list[str]]]:
    return _rows(region_table.M49_WHOLES)


def _rows(text: str) -> list[tuple[str, str, list[str]]]:
    """Rows of `154 Northern Europe: AX DK ...`; a row goes on over indented lines."""
    rows = []
    for row in text.strip().replace("\n  ", " ").splitlines():
        heading, members = row.split(": ")
        number, _, name = heading.partition(" ")
        rows.append((number, name, members.split()))
    return rows


def _pairs(text: str) -> list[tuple[str, str]]:
    return [(heading, suffix) for heading, _, suffixes in _rows(text) for suffix in suffixes]
