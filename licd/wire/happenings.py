"""Entries of the log → what misuse rules hear of them."""

from __future__ import annotations

from typing import Final

from google.protobuf.message import DecodeError

from licd.core.errors import Invalid
from licd.core.happenings import COUNTED_KINDS, STANDING_KINDS, Happening
from licd.core.terms import Terms
from licd.evidence.entry import Entry, Field
from licd.v1.envelope_pb2 import Envelope
from licd.wire.terms import terms_from_payload

HEARD: Final = STANDING_KINDS | COUNTED_KINDS


def happening_of(index: int, entry: Entry) -> Happening | None:
    """What rules hear of this entry; None: nothing. A field that was erased counts as not said.

    Raises Invalid for an entry that licd did not write.
    """
    kind = _text(entry, "kind")
    if kind not in HEARD:
        return None
    try:
        return Happening(
            index=index,
            at=_number(entry, "at"),
            kind=kind,
            licence=_text(entry, "licence"),
            system=_text(entry, "system"),
            reason=_text(entry, "reason") if kind.startswith("denied") else "",
            times=_number(entry, "count") if kind == "denied.counted" else 1,
            target=_value(entry, "target") if kind == "lease.granted" else b"",
            epoch=_number(entry, "acknowledged" if kind == "directive.acknowledged" else "epoch"),
            code=_text(entry, "code") if kind == "licence.suspended" else "",
            terms=_terms(entry),
        )
    except (ValueError, DecodeError) as error:
        raise Invalid(f"entry {index} of kind {kind}: {error}") from error


def _value(entry: Entry, name: str) -> bytes:
    found = entry.field(name)
    return found.value if isinstance(found, Field) else b""


def _text(entry: Entry, name: str) -> str:
    return _value(entry, name).decode()


def _number(entry: Entry, name: str) -> int:
    return int(_value(entry, name) or b"0")


def _terms(entry: Entry) -> Terms | None:
    token = _value(entry, "token")
    return terms_from_payload(Envelope.FromString(token).payload) if token else None
