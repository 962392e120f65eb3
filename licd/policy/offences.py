"""policies/offences.toml: the offences that a lease may name, by scheme and version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from licd.policy.problems import unknown
from licd.policy.reader import Reader
from licd.policy.schemes import Scheme, read_descriptions, read_schemes

ALL = "*"


@dataclass(frozen=True, slots=True)
class Offence:
    """An offence. least_penalty_years is the lowest maximum penalty that the scheme asks for, 0 if it asks for none."""

    code: str
    description: str
    least_penalty_years: int


@dataclass(frozen=True, slots=True)
class OffencePolicy:
    """The whole file."""

    schemes: Mapping[str, Scheme]
    offences: Mapping[str, Offence]


def read_offences(reader: Reader) -> OffencePolicy:
    """Reads the file."""
    schemes: dict[str, Scheme] = {}
    offences: dict[str, Offence] = {}
    for scheme, table in read_schemes(reader):
        schemes[scheme.name] = scheme
        years = table.whole("least_penalty_years", most=100)
        for code, description in read_descriptions(scheme, table.table_at("offences")).items():
            offences[code] = Offence(code, description, years)
        table.done()
    return OffencePolicy(MappingProxyType(schemes), MappingProxyType(offences))


def read_offence_codes(reader: Reader, key: str, policy: OffencePolicy) -> frozenset[str]:
    """Reads a list of codes; scheme:* stands for every offence that the scheme has in this version."""
    found: set[str] = set()
    for index, code in enumerate(reader.texts(key)):
        scheme, _, word = code.partition(":")
        if word == ALL and scheme in policy.schemes:
            found |= {known for known in policy.offences if known.startswith(f"{scheme}:")}
        elif code in policy.offences:
            found.add(code)
        else:
            reader.note(key, unknown("offence", code, policy.offences), element=index, refers=True)
    return frozenset(found)
