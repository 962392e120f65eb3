"""Any message of the operator API in words, field by field: nothing in it is left out."""

import hashlib
from collections.abc import Iterator
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from licd.cli.json_form import enum_word
from licd.cli.printing import Pairs
from licd.cli.terms_words import constraint_words
from licd.cli.times import span, when
from licd.core.time import Instant
from licd.keys.kinds import KeyPurpose, Kind
from licd.keys.verification_key import key_id_of
from licd.v1.envelope_pb2 import Envelope
from licd.v1.licence_pb2 import Constraint
from licd.v1.overlay_pb2 import OverlayTerms

_SHOWN_BYTES: Final = 32
_AUTHORITYS: Final = ("an authority's", KeyPurpose.OVERSEER)
_CONTACTS: Final = ("a contact's", KeyPurpose.CONTACT)
_KEY_OF: Final = {
    "Authority": _AUTHORITYS,
    "RegisterAuthorityRequest": _AUTHORITYS,
    "Contact": _CONTACTS,
    "RegisterContactRequest": _CONTACTS,
}
_DURATIONS: Final = frozenset(
    {
        "cool_down_ms",
        "grace_ms",
        "length_ms",
        "max_life_ms",
        "move_ms",
        "period_ms",
        "pull_ms",
        "push_ms",
        "refresh_hint_ms",
        "valid_for_ms",
    }
)


def message_pairs(message: Message, now: Instant) -> Pairs:
    """Every field that is set, by its path: `terms.not_after`, `terms.constraints[0]`."""
    return list(_pairs(message, "", now))


def _pairs(message: Message, prefix: str, now: Instant) -> Iterator[tuple[str, str]]:
    for one, value in message.ListFields():
        name = prefix + one.name.removesuffix("_ms")
        if not one.is_repeated:
            yield from _value(one, name, value, now)
            continue
        if one.message_type is None:
            yield name, ", ".join(text for each in value for _, text in _value(one, name, each, now))
            continue
        for at, each in enumerate(value):
            yield from _value(one, f"{name}[{at}]", each, now)


def _value(one: FieldDescriptor, name: str, value: Any, now: Instant) -> Iterator[tuple[str, str]]:
    match value:
        case Constraint():
            yield name, constraint_words(value)
        case Envelope() if value.payload_type == Kind.OVERLAY.payload_type:
            # Whoever agrees to what an authority has signed must see what that is.
            yield from _pairs(OverlayTerms.FromString(value.payload), f"{name}.", now)
        case Message() if value.ListFields():
            yield from _pairs(value, f"{name}.", now)
        case Message():
            yield name, "there, and empty"
        case bytes() if one.name == "public_key":
            within = one.containing_type.name if one.containing_type else ""
            whose, purpose = _KEY_OF.get(within, ("an operator's", KeyPurpose.OPERATOR))
            yield name, f"{value.hex()} (as {whose}: key {key_id_of(purpose, value)})"
        case bytes():
            yield name, _bytes_words(value)
        case bool():
            yield name, "yes" if value else "no"
        case int() if one.type == FieldDescriptor.TYPE_ENUM:
            yield name, enum_word(one, value)
        case int() if one.name in _DURATIONS:
            yield name, span(value)
        case int() if one.name.endswith("_ms"):
            yield name, when(value, now)
        case _:
            yield name, str(value)


def _bytes_words(value: bytes) -> str:
    if len(value) <= _SHOWN_BYTES:
        return value.hex()
    return f"{len(value)} bytes, SHA-256 {hashlib.sha256(value).hexdigest()}"
