"""policies/purposes.toml: what a target may be leased for, and what it may never be leased for.

Rules
- A purpose that is neither permitted nor prohibited here is unknown, and denied all the same.
- No code is both permitted and prohibited.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from licd.policy.reader import Reader
from licd.policy.schemes import Scheme, qualified, read_descriptions, read_schemes


@dataclass(frozen=True, slots=True)
class Purpose:
    """A purpose that a licence may name. offence_required: a lease for it must name an offence."""

    code: str
    description: str
    offence_required: bool


@dataclass(frozen=True, slots=True)
class PurposePolicy:
    """The whole file. prohibited maps codes to the reason in words."""

    schemes: Mapping[str, Scheme]
    permitted: Mapping[str, Purpose]
    prohibited: Mapping[str, str]

    def standing(self, code: str) -> str:
        """permitted, prohibited or unknown."""
        if code in self.permitted:
            return "permitted"
        return "prohibited" if code in self.prohibited else "unknown"


def read_purposes(reader: Reader) -> PurposePolicy:
    """Reads the file."""
    schemes: dict[str, Scheme] = {}
    permitted: dict[str, Purpose] = {}
    prohibited: dict[str, str] = {}
    for scheme, table in read_schemes(reader):
        schemes[scheme.name] = scheme
        for code, entry in table.named("purpose", default={}):
            purpose = _read_purpose(qualified(scheme, code, entry), entry)
            permitted[purpose.code] = purpose
        if table.has("prohibited"):
            prohibited |= _read_prohibited(scheme, table, permitted)
        table.done()
    return PurposePolicy(MappingProxyType(schemes), MappingProxyType(permitted), MappingProxyType(prohibited))


def _read_purpose(code: str, reader: Reader) -> Purpose:
    purpose = Purpose(code, reader.text("description"), reader.flag("offence_required"))
    reader.done()
    return purpose


def _read_prohibited(scheme: Scheme, table: Reader, permitted: Mapping[str, Purpose]) -> dict[str, str]:
    reader = table.table_at("prohibited")
    found = read_descriptions(scheme, reader)
    for code in found:
        if code in permitted:
            reader.note(code.partition(":")[2], f"{code} is permitted above and prohibited here")
    return found
