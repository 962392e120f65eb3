"""Publishers' files: read where they lie, by the codes that the policy in force maps, and told what gave no value."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from licd import __version__
from licd.cli.desk import Desk
from licd.cli.failure import Exit, Stopped
from licd.cli.input_file import read_input
from licd.cli.printing import Columns, Pairs
from licd.cli.times import iso, when
from licd.core.diligence import shown
from licd.core.time import Instant
from licd.core.toml_text import TomlInvalid, parse_toml
from licd.policy.indicators.cpi import read_cpi
from licd.policy.indicators.edition import Edition, FileRefused
from licd.policy.indicators.spreadsheet import MOST_BYTES
from licd.policy.indicators.wgi import read_wgi
from licd.v1 import diligence_pb2 as pb
from licd.v1.policy_service_pb2 import GetPolicyRequest
from licd.v1.policy_service_pb2_grpc import PolicyServiceStub

POLICY_FILE: Final = "diligence.toml"
READERS: Final = {"wgi": read_wgi, "cpi": read_cpi}

COLUMNS: Columns = (
    ("IMPORT", lambda one: one.indicators),
    ("SOURCE", lambda one: one.source),
    ("YEAR", lambda one: str(one.year)),
    ("ROWS", lambda one: str(one.rows)),
    ("VALUES", lambda one: str(one.taken)),
    ("MISSING", lambda one: str(len(one.missing))),
    ("UNMAPPED", lambda one: str(len(one.unmapped))),
    ("IMPORTED", lambda one: iso(one.imported_at_ms)),
    ("BY", lambda one: one.imported_by),
)


def read_file(desk: Desk, source: str, path: Path, year: int | None) -> pb.Indicators:
    """What a publisher's file says. Raises Stopped(USAGE) naming the file and the row, OSError."""
    data = read_input(path, MOST_BYTES)
    try:
        edition = READERS[source](data, _aliases(desk), year)
    except FileRefused as error:
        raise Stopped(Exit.USAGE, f"{path}: {error}") from error
    return _message(edition)


def _aliases(desk: Desk) -> Mapping[str, str]:
    """The publishers' own codes, as the policy in force maps them: licd's, not that of a folder that lies here."""
    found = desk.ask(PolicyServiceStub(desk.channel).GetPolicy, GetPolicyRequest(with_text=True))
    for file in found.files:
        if file.path == POLICY_FILE:
            try:
                table = parse_toml(file.text).get("economy", {})
            except TomlInvalid as error:
                raise Stopped(Exit.UNVERIFIED, f"the policy in force: {POLICY_FILE}: not TOML: {error}") from error
            return {str(code): str(country) for code, country in table.items()}
    raise Stopped(Exit.CONFLICT, f"the policy in force has no {POLICY_FILE}: licd does not assess")


def _message(edition: Edition) -> pb.Indicators:
    return pb.Indicators(
        source=edition.source.name,
        year=edition.year,
        file_sha256=bytes.fromhex(edition.sha256),
        rows=edition.rows,
        taken=edition.taken,
        values=[
            pb.IndicatorValue(country=one.country, dimension=one.dimension, thousandths=one.value)
            for one in edition.values
        ],
        missing=[pb.IndicatorGap(country=one.country, dimension=one.dimension) for one in edition.missing],
        unmapped=[pb.UnmappedEconomy(code=one.code, name=one.name) for one in edition.unmapped],
        read_by=f"licctl {__version__}",
    )


def import_pairs(found: pb.Indicators, now: Instant) -> Pairs:
    """Where it came from, and everything that gave no value, by name."""
    pairs = [
        ("import", found.indicators),
        ("what", f"{found.title}, {found.year}"),
        ("publisher", f"{found.publisher}, {found.terms}"),
        ("file", f"SHA-256 {found.file_sha256.hex()}"),
        ("rows", f"{found.rows}, of which {found.taken} gave a value"),
        ("imported", f"{when(found.imported_at_ms, now)}, by {found.imported_by}, read by {found.read_by}"),
    ]
    missing = [f"{one.country} {one.dimension}" for one in found.missing]
    pairs += [("no value" if at == 0 else "", each) for at, each in enumerate(missing)]
    unmapped = [f"{one.code or '(no code)'} {one.name}" for one in found.unmapped]
    return [*pairs, *(("no country we know" if at == 0 else "", each) for at, each in enumerate(unmapped))]


def value_rows(found: pb.Indicators) -> list[list[str]]:
    """Each value, as its publisher writes it."""
    return [[one.country, one.dimension, shown(one.thousandths)] for one in found.values]
