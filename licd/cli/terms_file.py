"""Terms as a TOML file: what `licence get --terms` writes, and what `licence issue` and `licence amend` read.

    product = "…"   category = "…"   not_before = 2026-01-01T00:00:00Z   not_after = …
    [constraints]
    concurrent_targets = 3
    distinct_targets = { limit = 10, period = "30d" }
    target_churn = { limit = 5, period = "1d" }
    target_regions = { regions = ["DE"], bases = ["number_plan"] }
    deployment_regions = ["DE"]   deployment_addresses = ["192.0.2.0/24"]   purposes = […]   offences = […]
    authorisation_required = { max_life = "90d" }      or true: not bounded
    protected_person_attestation = true
    permit_length = "20s"   offline_grace = "60s"   deployments = 2   overlay_required = "export-qn"

Each limit by its name in licence.proto. A list of tables or of lists gives several limits of a kind; all of them hold.
"""

import json
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final, NoReturn

import typer

from licd.cli.failure import Exit, Stopped
from licd.cli.input_file import read_input_text
from licd.cli.times import instant_of, iso, parse_duration, parse_instant, short_span
from licd.core.time import Instant, Millis
from licd.core.toml_text import TomlInvalid, parse_toml
from licd.v1 import licence_pb2 as pb
from licd.v1.licence_service_pb2 import TermsDraft

_PLAIN: Final = ("product", "category")
_INSTANTS: Final = ("not_before", "not_after")
_NUMBERS: Final = {"concurrent_targets": pb.ConcurrentTargets, "deployments": pb.Deployments}
_VOLUMES: Final = {"distinct_targets": pb.DistinctTargets, "target_churn": pb.TargetChurn}
_SPANS: Final = {"permit_length": "length_ms", "offline_grace": "grace_ms"}
_LISTS: Final = {
    "deployment_regions": "regions",
    "deployment_addresses": "ranges",
    "purposes": "purposes",
    "offences": "offences",
}


def read_terms(path: Path) -> TermsDraft:
    """The terms in a file. Raises Stopped(USAGE) naming the file and the key, OSError."""
    try:
        found = parse_toml(read_input_text(path))
        only(found, "", {*_PLAIN, *_INSTANTS, "constraints"})
        constraints = expect(found.get("constraints"), dict, "constraints", "a table")
        return TermsDraft(
            product=_text(found, "product"),
            category=_text(found, "category"),
            not_before_ms=read_instant(found, "not_before"),
            not_after_ms=read_instant(found, "not_after"),
            constraints=read_constraints(constraints),
        )
    except (TomlInvalid, UnicodeDecodeError) as error:
        raise Stopped(Exit.USAGE, f"{path}: not TOML: {error}") from error
    except WrongKey as error:
        raise Stopped(Exit.USAGE, f"{path}: {error}") from error


def write_terms(terms: pb.LicenceTerms) -> str:
    """The terms as such a file. Raises Stopped(UNVERIFIED) when they hold a limit this licctl does not understand."""
    lines = [f"product = {json.dumps(terms.product)}", f"category = {json.dumps(terms.category)}"]
    lines += [f"not_before = {iso(terms.not_before_ms)}", f"not_after = {iso(terms.not_after_ms)}", "", "[constraints]"]
    several: dict[str, list[str]] = {}
    for one in terms.constraints:
        kind = one.WhichOneof("kind")
        if kind is None:
            raise Stopped(Exit.UNVERIFIED, "constraints: a limit that this licctl does not understand")
        several.setdefault(kind, []).append(_written(kind, one))
    for name, each in several.items():
        lines.append(f"{name} = {each[0]}" if len(each) == 1 else f"{name} = [{', '.join(each)}]")
    return "\n".join(lines) + "\n"


class WrongKey(ValueError):
    """A key of the file, and what would be right."""


def read_constraints(table: dict[str, Any]) -> list[pb.Constraint]:
    """The limits in a table [constraints]. Raises WrongKey."""
    return list(_constraints(table))


def _wrong(key: str, right: str) -> NoReturn:
    raise WrongKey(f"{key}: {right}")


def _constraints(table: dict[str, Any]) -> Iterator[pb.Constraint]:
    only(table, "constraints.", {one.name for one in pb.Constraint.DESCRIPTOR.fields})
    for kind, value in table.items():
        for one in _several(kind, value):
            yield _constraint(kind, one, f"constraints.{kind}")


def _several(kind: str, value: Any) -> list[Any]:
    if kind not in _LISTS:
        return value if isinstance(value, list) else [value]
    return value if isinstance(value, list) and value and all(isinstance(one, list) for one in value) else [value]


def _constraint(kind: str, value: Any, key: str) -> pb.Constraint:
    made = pb.Constraint()
    getattr(made, kind).SetInParent()
    if kind in _NUMBERS:
        getattr(made, kind).limit = _whole(value, key)
    elif kind in _VOLUMES:
        table = _table(value, key, {"limit", "period"})
        getattr(made, kind).limit = _whole(table["limit"], f"{key}.limit")
        getattr(made, kind).period_ms = _span(table["period"], f"{key}.period")
    elif kind in _SPANS:
        setattr(getattr(made, kind), _SPANS[kind], _span(value, key))
    elif kind in _LISTS:
        getattr(getattr(made, kind), _LISTS[kind]).extend(_texts(value, key))
    elif kind == "overlay_required":
        made.overlay_required.authority = str(expect(value, str, key, "the name of an authority"))
    elif kind == "target_regions":
        table = _table(value, key, {"regions", "bases"})
        made.target_regions.regions.extend(_texts(table["regions"], f"{key}.regions"))
        made.target_regions.bases.extend(_basis(one, f"{key}.bases") for one in _texts(table["bases"], f"{key}.bases"))
    elif kind == "authorisation_required" and value is not True:
        table = _table(value, key, {"max_life"})
        made.authorisation_required.max_life_ms = _span(table["max_life"], f"{key}.max_life")
    elif value is not True:
        _wrong(key, "write true, or leave it out")
    return made


def _written(kind: str, one: pb.Constraint) -> str:
    if kind in _NUMBERS:
        return str(getattr(one, kind).limit)
    if kind in _VOLUMES:
        volume = getattr(one, kind)
        return f'{{ limit = {volume.limit}, period = "{short_span(volume.period_ms)}" }}'
    if kind in _SPANS:
        return f'"{short_span(getattr(getattr(one, kind), _SPANS[kind]))}"'
    if kind in _LISTS:
        return json.dumps(list(getattr(getattr(one, kind), _LISTS[kind])), ensure_ascii=False)
    if kind == "overlay_required":
        return json.dumps(one.overlay_required.authority)
    if kind == "target_regions":
        bases = [pb.RegionBasis.Name(each).removeprefix("REGION_BASIS_").lower() for each in one.target_regions.bases]
        return f"{{ regions = {json.dumps(list(one.target_regions.regions))}, bases = {json.dumps(bases)} }}"
    if kind == "authorisation_required" and one.authorisation_required.max_life_ms:
        return f'{{ max_life = "{short_span(one.authorisation_required.max_life_ms)}" }}'
    return "true"


def only(table: dict[str, Any], prefix: str, known: set[str]) -> None:
    """Refuses a key that is not known. Raises WrongKey."""
    for key in table:
        if key not in known:
            _wrong(prefix + key, f"no such key; there are {', '.join(sorted(known))}")


def _table(value: Any, key: str, known: set[str]) -> dict[str, Any]:
    if not isinstance(value, dict) or value.keys() != known:
        _wrong(key, f"must be a table with {' and '.join(sorted(known))}")
    return value


def expect(value: Any, kind: type, key: str, right: str) -> Any:
    """The value, if it is of that type. Raises WrongKey."""
    if not isinstance(value, kind):
        _wrong(key, f"must be there, and {right}")
    return value


def _text(table: dict[str, Any], key: str) -> str:
    return str(expect(table.get(key), str, key, "a text"))


def _texts(value: Any, key: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        _wrong(key, 'must be a list of texts, as ["DE", "FR"]')
    return value


def _whole(value: Any, key: str) -> int:
    if type(value) is not int or not 0 <= value < 1 << 31:
        _wrong(key, "must be a whole number, 0 or more")
    return value


def _span(value: Any, key: str) -> Millis:
    try:
        return parse_duration(str(expect(value, str, key, 'a text as "20s" or "30d"')))
    except typer.BadParameter as error:
        _wrong(key, error.message)


def read_instant(table: dict[str, Any], key: str) -> Instant:
    """A date, a time, or a text that says one. Raises WrongKey."""
    value = table.get(key)
    if isinstance(value, datetime) and value.tzinfo is None:
        _wrong(key, "must name its offset, as in 2026-01-31T12:00:00Z")
    if isinstance(value, date):
        return instant_of(value)
    try:
        return parse_instant(_text(table, key))
    except typer.BadParameter as error:
        _wrong(key, error.message)


def _basis(word: str, key: str) -> pb.RegionBasis.ValueType:
    known = {name.removeprefix("REGION_BASIS_").lower(): number for name, number in pb.RegionBasis.items() if number}
    if word not in known:
        _wrong(key, f"{word!r} is no basis; there are {', '.join(known)}")
    return known[word]
