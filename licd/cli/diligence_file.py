"""A file that describes an opportunity: who, what for how long, the answers, and the files that show what is done.

customer = "north"
country = "AT"                      # two letters of ISO 3166-1
product = "locator"
licence_days = 270

[answers]                           # a factor of policies/diligence.toml = one of its options
end-user = "documented"

[evidence]                          # an item of the checklist = a file beside this one; only its hash is sent
clause-suspension = "clause-suspension.txt"
user-questionnaire = { file = "questionnaire.pdf", note = "answered in person" }
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NoReturn

from licd.cli.failure import Exit, Stopped
from licd.cli.input_file import read_input, read_input_text
from licd.core.time import DAY
from licd.core.toml_text import TomlInvalid, parse_toml
from licd.v1.diligence_pb2 import FactorAnswer
from licd.v1.diligence_service_pb2 import AssessCustomerRequest, ItemEvidence

MOST_EVIDENCE_BYTES: Final = 512 * 1024 * 1024
_TEXTS: Final = ("customer", "country", "product")
_KEYS: Final = (*_TEXTS, "licence_days", "answers", "evidence")


def read_opportunity(path: Path) -> AssessCustomerRequest:
    """The request that a file describes, without an id. Raises Stopped(USAGE) naming file and key, OSError."""
    try:
        found = parse_toml(read_input_text(path))
    except (TomlInvalid, UnicodeDecodeError) as error:
        raise Stopped(Exit.USAGE, f"{path}: not TOML: {error}") from error
    for key in found:
        if key not in _KEYS:
            _wrong(path, key, f"no such key; there are {', '.join(_KEYS)}")
    days = found.get("licence_days")
    if type(days) is not int or not 0 < days <= 3_660:
        _wrong(path, "licence_days", "must be a whole number of days, from 1 to 3660")
    answers, evidence = _table(path, found, "answers"), _table(path, found, "evidence")
    return AssessCustomerRequest(
        **{key: _text(path, found, key) for key in _TEXTS},
        term_ms=days * DAY,
        answers=[FactorAnswer(factor=name, option=_text(path, answers, name, "answers.")) for name in answers],
        evidence=list(_evidence(path, evidence)),
    )


def evidence_of(item: str, file: Path, note: str) -> ItemEvidence:
    """What is sent of a file: its hash. Raises Stopped(USAGE), OSError."""
    return ItemEvidence(item=item, sha256=sha256(read_input(file, MOST_EVIDENCE_BYTES)).digest(), note=note)


def _evidence(path: Path, table: dict[str, Any]) -> Iterator[ItemEvidence]:
    for item, value in table.items():
        given = {"file": value} if isinstance(value, str) else value
        if not isinstance(given, dict) or not {"file"} <= given.keys() <= {"file", "note"}:
            _wrong(path, f"evidence.{item}", 'must be a file, or { file = "…", note = "…" }')
        note = _text(path, given, "note", f"evidence.{item}.") if "note" in given else ""
        yield evidence_of(item, path.parent / _text(path, given, "file", f"evidence.{item}."), note)


def _table(path: Path, found: dict[str, Any], key: str) -> dict[str, Any]:
    value = found.get(key, {})
    if not isinstance(value, dict):
        _wrong(path, key, f"must be a table, [{key}]")
    return value


def _text(path: Path, table: dict[str, Any], key: str, prefix: str = "") -> str:
    value = table.get(key)
    if not isinstance(value, str) or not value.strip():
        _wrong(path, prefix + key, "must be a text")
    return value


def _wrong(path: Path, key: str, right: str) -> NoReturn:
    raise Stopped(Exit.USAGE, f"{path}: {key}: {right}")
