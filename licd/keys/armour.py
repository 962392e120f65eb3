"""Envelopes as text, for files, mail and paper: base64 between two lines that name the kind.

    -----BEGIN LICD LICENCE-----
    64 columns of base64 of the serialised envelope
    -----END LICD LICENCE-----

Text before and after is allowed and ignored, as around PEM (RFC 7468). Inside a block everything is exact: one spelling
for one envelope. The words in the lines are for people; reading checks them against the envelope's own type, and
believing either is `envelope.verify`'s business.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Final

from licd.keys.envelope import MAX_ENVELOPE_BYTES, claimed_kind, parse_envelope
from licd.keys.errors import KeysError
from licd.keys.kinds import Kind, kind_of_label
from licd.keys.seal_reasons import SealInvalid

COLUMNS: Final = 64
"""Characters of base64 on each line but the last."""
MAX_TEXT_BYTES: Final = 2 * MAX_ENVELOPE_BYTES
"""Longest text that is looked through."""
MAX_BLOCKS: Final = 64
"""Most blocks in one text."""

_BEGIN: Final = re.compile(r"-----BEGIN LICD ([A-Z ]{1,40})-----")
_FULL: Final = re.compile(r"[A-Za-z0-9+/]*")
_LAST: Final = re.compile(r"[A-Za-z0-9+/]+={0,2}")


class ArmourError(KeysError):
    """The text holds no such block, or a damaged one. `line` counts from 1; 0 means the whole text."""

    def __init__(self, line: int, detail: str) -> None:
        super().__init__(f"line {line}: {detail}" if line else detail)
        self.line = line
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Armoured:
    """One envelope read from text. Nothing in it is believed yet."""

    kind: Kind
    raw: bytes
    line: int


def armour(raw: bytes) -> str:
    """Write a serialised envelope as text. Raises SealInvalid when the bytes are no envelope of a known kind."""
    label = claimed_kind(parse_envelope(raw)).label
    text = base64.b64encode(raw).decode("ascii")
    lines = [text[at : at + COLUMNS] for at in range(0, len(text), COLUMNS)]
    return "\n".join([f"-----BEGIN LICD {label}-----", *lines, f"-----END LICD {label}-----", ""])


def dearmour(text: str | bytes) -> Armoured:
    """Read the one envelope in a text. Raises ArmourError, also when there is more than one."""
    blocks = dearmour_all(text)
    if not blocks:
        raise ArmourError(0, "no line reads -----BEGIN LICD …-----")
    if len(blocks) > 1:
        raise ArmourError(blocks[1].line, "a second block; one was asked for")
    return blocks[0]


def dearmour_all(text: str | bytes) -> tuple[Armoured, ...]:
    """Read every envelope in a text, in order; there may be none. Raises ArmourError on the first damaged one."""
    if len(text) > MAX_TEXT_BYTES:
        raise ArmourError(0, f"the text is longer than {MAX_TEXT_BYTES} bytes")
    decoded = text.decode("latin-1") if isinstance(text, bytes) else text
    lines = [line.removesuffix("\r") for line in decoded.split("\n")]
    blocks: list[Armoured] = []
    at = 0
    while at < len(lines):
        begins = _BEGIN.fullmatch(lines[at])
        if begins is None:
            at += 1
            continue
        if len(blocks) == MAX_BLOCKS:
            raise ArmourError(at + 1, f"more than {MAX_BLOCKS} blocks")
        block, at = _block(lines, at, begins[1])
        blocks.append(block)
    return tuple(blocks)


def _block(lines: list[str], start: int, label: str) -> tuple[Armoured, int]:
    """Read the block whose first line is at index `start`; return it and the index after its last line."""
    kind = kind_of_label(label)
    if kind is None:
        raise ArmourError(start + 1, f"no kind is called {label}")
    end_line = f"-----END LICD {label}-----"
    end = next((at for at in range(start + 1, len(lines)) if lines[at].startswith("-----")), len(lines))
    if end == len(lines):
        raise ArmourError(start + 1, f"the block has no line {end_line}")
    if lines[end] != end_line:
        raise ArmourError(end + 1, f"expected base64 or {end_line}")
    for at in range(start + 1, end):
        _refuse_bad_line(lines[at], at + 1, is_last=at + 1 == end)
    raw = _decoded("".join(lines[start + 1 : end]), start + 1)
    return Armoured(_kind_inside(raw, kind, start + 1), raw, start + 1), end + 1


def _refuse_bad_line(line: str, number: int, *, is_last: bool) -> None:
    if len(line) > COLUMNS or (len(line) < COLUMNS and not is_last):
        raise ArmourError(number, f"{len(line)} characters; every line but the last has {COLUMNS}")
    if (_LAST if is_last else _FULL).fullmatch(line) is None:
        raise ArmourError(number, "a character that is not base64 there")


def _decoded(text: str, line: int) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ArmourError(line, "the base64 of this block is incomplete") from error
    if base64.b64encode(raw).decode("ascii") != text:
        raise ArmourError(line, "the base64 of this block is not in its one right spelling")
    return raw


def _kind_inside(raw: bytes, labelled: Kind, line: int) -> Kind:
    try:
        inside = claimed_kind(parse_envelope(raw))
    except SealInvalid as error:
        raise ArmourError(line, str(error)) from error
    if inside is not labelled:
        raise ArmourError(line, f"the line says {labelled.label}, the envelope inside is a {inside}")
    return inside
