"""policies/regions.toml: names for sets of regions, and where policy decides otherwise than a number plan.

Rules
- A name stands for codes, M49 groups and other names of the file; what stands under exclude is taken out.
- What is taken out must have been in: taking DE-BY out of DE would leave a set that still permits DE-BY.
- An override of a number plan records its reason.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from licd.core.regions import UnknownRegion, codes, expand, group_names, permits
from licd.policy.problems import unknown
from licd.policy.reader import Reader

_PREFIX = re.compile(r"\+[1-9][0-9]{1,14}")


@dataclass(frozen=True, slots=True)
class NamedRegion:
    """A name for a set of region codes, fully expanded."""

    name: str
    description: str
    codes: frozenset[str]


@dataclass(frozen=True, slots=True)
class NumberOverride:
    """Numbers that begin with the prefix belong to the region, for the reason given."""

    prefix: str
    region: str
    reason: str


@dataclass(frozen=True, slots=True)
class RegionPolicy:
    """The whole file."""

    named: Mapping[str, NamedRegion]
    overrides: tuple[NumberOverride, ...]

    def expand(self, names: tuple[str, ...]) -> frozenset[str]:
        """The codes that names, codes and groups stand for. Raises UnknownRegion."""
        return frozenset(
            code for name in names for code in (self.named[name].codes if name in self.named else expand((name,)))
        )

    def override_map(self) -> Mapping[str, str]:
        """Prefix to region, as licd.client.numbers.region_of takes it."""
        return {override.prefix: override.region for override in self.overrides}


def read_regions(reader: Reader) -> RegionPolicy:
    """Reads the file."""
    tables = dict(reader.named("region"))
    resolver = _Resolver(tables)
    named = {name: resolver.region(name) for name in tables}
    return RegionPolicy(MappingProxyType(named), _read_overrides(reader))


def read_region_names(reader: Reader, key: str, policy: RegionPolicy) -> frozenset[str]:
    """Reads a list of names, codes and groups and expands it; notes each that is unknown."""
    found: set[str] = set()
    for index, name in enumerate(reader.texts(key)):
        try:
            found |= policy.expand((name,))
        except UnknownRegion:
            known = (*policy.named, *group_names(), *codes())
            reader.note(key, unknown("region", name, known), element=index, refers=True)
    return frozenset(found)


def _read_overrides(reader: Reader) -> tuple[NumberOverride, ...]:
    found: list[NumberOverride] = []
    for table in reader.tables("number_override"):
        override = NumberOverride(table.text("prefix"), table.text("region", choices=codes()), table.text("reason"))
        table.done()
        if not _PREFIX.fullmatch(override.prefix):
            table.note("prefix", "prefix must be a plus sign and 2 to 15 digits")
        if override.prefix in [earlier.prefix for earlier in found]:
            table.note("prefix", f'prefix "{override.prefix}" is there twice')
        found.append(override)
    return tuple(found)


class _Resolver:
    """Expands names that stand for other names, each once, and notes circles."""

    def __init__(self, tables: Mapping[str, Reader]) -> None:
        self.tables = tables
        self.known: dict[str, NamedRegion] = {}
        self.open: list[str] = []

    def region(self, name: str) -> NamedRegion:
        if name not in self.known:
            self.open.append(name)
            self.known[name] = self._read(name, self.tables[name])
            self.open.pop()
        return self.known[name]

    def _read(self, name: str, reader: Reader) -> NamedRegion:
        reader.name(name)
        description = reader.text("description")
        included = self._expanded(reader, "include", reader.texts("include"))
        excluded = self._expanded(reader, "exclude", reader.texts("exclude", default=[], least=0))
        reader.done()
        for code in sorted(excluded - included):
            why = "its country would still permit it" if permits(included, code) else "it is not in it"
            reader.note("exclude", f"{code} cannot be taken out of {name}: {why}")
        if included and not included - excluded:
            reader.note("exclude", f"nothing is left of {name}; an empty set permits nothing")
        return NamedRegion(name, description, included - excluded)

    def _expanded(self, reader: Reader, key: str, names: tuple[str, ...]) -> frozenset[str]:
        found: set[str] = set()
        for index, name in enumerate(names):
            if name in self.open:
                reader.note(key, f'"{name}" stands for itself: {" → ".join([*self.open, name])}', element=index)
            elif name in self.tables:
                found |= self.region(name).codes
            else:
                found |= self._plain(reader, key, index, name)
        return frozenset(found)

    def _plain(self, reader: Reader, key: str, index: int, name: str) -> frozenset[str]:
        try:
            return expand((name,))
        except UnknownRegion:
            reader.note(key, unknown("region", name, [*self.tables, *group_names(), *codes()]), element=index)
            return frozenset()
