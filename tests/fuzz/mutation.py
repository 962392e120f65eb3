"""How samples are changed: by field as a descriptor says, by wire type, by line, by byte."""

from __future__ import annotations

import random  # noqa: TID251 -- seeded
from collections.abc import Callable, Sequence
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

from tests.fuzz.target import Mutator

DEEPEST: Final = 6
INTEGERS: Final = (0, 1, -1, 2, 7, 31, 255, 1 << 16, (1 << 31) - 1, 1 << 31, -(1 << 31), (1 << 53) + 1, 1 << 62,
                   (1 << 63) - 1, -(1 << 63), 1_800_000_000_000, (1 << 64) - 1)  # fmt: skip
TEXTS: Final = ("", " ", "\0", "\n", "é", "\u202e", "\U0010ffff", "../x", "licd.example", "NO", "DE", "zz",
                "customer/acme/system/north", "0.0.0.0/0", "::/0", "1.2.3.4/33", "x" * 300, "9" * 5000)  # fmt: skip


def any_bytes(data: bytes, chance: random.Random, samples: Sequence[bytes]) -> bytes:
    """Knows nothing of what it changes: flips, cuts, repeats, splices."""
    where = chance.randrange(len(data) + 1)
    until = min(len(data), where + 1 + chance.randrange(16))
    match chance.randrange(8):
        case 0 if data:
            at = chance.randrange(len(data))
            return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]
        case 1 if data:
            at = chance.randrange(len(data))
            return data[:at] + bytes([chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))]) + data[at + 1 :]
        case 2:
            return data[:where]
        case 3:
            return data[:where] + data[until:]
        case 4:
            return data[:until] + data[where:until] * (1 + chance.randrange(3)) + data[until:]
        case 5:
            return data[:where] + chance.randbytes(1 + chance.randrange(8)) + data[where:]
        case 6:
            other = chance.choice(samples)
            return data[:where] + other[chance.randrange(len(other) + 1) :]
        case _:
            return data + chance.randbytes(1 + chance.randrange(8))


# ----------------------------------------------------------------------------------------------------------- protobuf
Inner = Callable[[Message, FieldDescriptor], type[Message] | None]


def nothing_inside(message: Message, field: FieldDescriptor) -> type[Message] | None:
    """No bytes field holds another message."""
    return None


def of_message(kind: type[Message], inner: Inner = nothing_inside) -> Mutator:
    """Changes a serialised message as its descriptor says; now and then its bytes.

    inner names the message that a bytes field holds, as an envelope's payload does.
    """

    def mutate(data: bytes, chance: random.Random, samples: Sequence[bytes]) -> bytes:
        if not chance.randrange(4):
            return wire(data, chance, samples)
        try:
            message = kind.FromString(data)
        except DecodeError:
            return any_bytes(data, chance, samples)
        try:
            change(message, chance, inner, _parsed(kind, chance.choice(samples)))
            return message.SerializeToString()
        except (ValueError, TypeError):  # a value that the field cannot hold
            return any_bytes(data, chance, samples)

    return mutate


def _parsed(kind: type[Message], data: bytes) -> Message | None:
    try:
        return kind.FromString(data)
    except DecodeError:
        return None


def change(message: Message, chance: random.Random, inner: Inner, other: Message | None, depth: int = 0) -> None:
    """Changes one field of a message, or of one inside it."""
    fields: list[Any] = list(message.DESCRIPTOR.fields)
    if not fields:
        return
    present = [field for field, _ in message.ListFields()]
    field: Any = chance.choice(present if present and chance.randrange(4) else fields)
    if other is not None and not chance.randrange(8) and _same(message, other):
        message.ClearField(field.name)
        _splice(message, other, field)
        return
    if field.is_repeated:
        _change_repeated(message, field, chance, inner, depth)
    elif not chance.randrange(8):
        message.ClearField(field.name)
    elif field.message_type is not None:
        getattr(message, field.name).SetInParent()
        if depth < DEEPEST:
            change(getattr(message, field.name), chance, inner, None, depth + 1)
    else:
        setattr(message, field.name, _changed(message, field, getattr(message, field.name), chance, inner))


def _same(message: Message, other: Message) -> bool:
    return message.DESCRIPTOR is other.DESCRIPTOR


def _splice(message: Any, other: Any, field: FieldDescriptor) -> None:
    value = getattr(other, field.name)
    if field.is_repeated:
        getattr(message, field.name).MergeFrom(value)
    elif field.message_type is not None:
        getattr(message, field.name).CopyFrom(value)
    else:
        setattr(message, field.name, value)


def _change_repeated(message: Any, field: FieldDescriptor, chance: random.Random, inner: Inner, depth: int) -> None:
    values = getattr(message, field.name)
    at = chance.randrange(len(values)) if values else 0
    match chance.randrange(6):
        case 0 if values:
            del values[at]
        case 1 if values:
            values.extend([values[at]] * (1 + chance.randrange(3)))
        case 2 if len(values) > 1:
            shuffled = list(values)
            chance.shuffle(shuffled)
            del values[:]
            values.extend(shuffled)
        case 3 | 4 if values and field.message_type is not None and depth < DEEPEST:
            change(values[at], chance, inner, None, depth + 1)
        case 3 | 4 if values and field.message_type is None:
            values[at] = _changed(message, field, values[at], chance, inner)
        case _ if field.message_type is not None:
            change(values.add(), chance, inner, None, depth + 1)
        case _:
            values.append(_changed(message, field, field.default_value or _nothing(field), chance, inner))


def _nothing(field: FieldDescriptor) -> Any:
    match field.type:
        case FieldDescriptor.TYPE_STRING:
            return ""
        case FieldDescriptor.TYPE_BYTES:
            return b""
        case _:
            return 0


def _changed(message: Message, field: FieldDescriptor, value: Any, chance: random.Random, inner: Inner) -> Any:
    match field.type:
        case FieldDescriptor.TYPE_STRING:
            return _text(value, chance)
        case FieldDescriptor.TYPE_BYTES:
            held = inner(message, field)
            if held is not None and chance.randrange(4):
                return of_message(held, inner)(value, chance, [value])
            return any_bytes(value, chance, [value])
        case FieldDescriptor.TYPE_BOOL:
            return not value
        case FieldDescriptor.TYPE_ENUM:
            return chance.choice((0, 1, 2, 3, 77, -1, (1 << 31) - 1))
        case _:
            return _number(field, value, chance)


def _number(field: FieldDescriptor, value: int, chance: random.Random) -> int:
    bits = 32 if field.cpp_type in {FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_UINT32} else 64
    unsigned = field.cpp_type in {FieldDescriptor.CPPTYPE_UINT32, FieldDescriptor.CPPTYPE_UINT64}
    picked = chance.choice((*INTEGERS, value + 1, value - 1, value * 2, -value, value ^ 1 << chance.randrange(bits)))
    wrapped = picked & (1 << bits) - 1
    return wrapped if unsigned or wrapped < 1 << bits - 1 else wrapped - (1 << bits)


def _text(value: str, chance: random.Random) -> str:
    at = chance.randrange(len(value) + 1)
    match chance.randrange(4):
        case 0:
            return chance.choice(TEXTS)
        case 1:
            return value[:at] + chance.choice(TEXTS) + value[at:]
        case 2:
            return value[:at] + value[at + 1 :]
        case _:
            return value.swapcase()


# -------------------------------------------------------------------------------------------------------------- wire
def wire(data: bytes, chance: random.Random, samples: Sequence[bytes]) -> bytes:
    """Changes that no descriptor allows: unknown fields, other wire types, long varints, fields twice, deep groups."""
    parts = _split(data)
    if not parts:
        return any_bytes(data, chance, samples)
    at = chance.randrange(len(parts))
    match chance.randrange(8):
        case 0:
            parts.insert(at, _varint(chance.choice((1000, 19_000, 536_870_911)) << 3 | 2) + b"\x01x")
        case 1:
            parts.append(parts[at])
        case 2:
            chance.shuffle(parts)
        case 3:
            parts[at] = _longer_varint(parts[at])
        case 4:
            depth = chance.choice((3, 99, 101, 2000))
            parts.insert(at, bytes([15 << 3 | 3]) * depth + bytes([15 << 3 | 4]) * depth)
        case 5:
            parts[at] = bytes([parts[at][0] ^ 1 << chance.randrange(3)]) + parts[at][1:]
        case 6:
            del parts[at]
        case _:
            return any_bytes(data, chance, samples)
    return b"".join(parts)


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def _longer_varint(part: bytes) -> bytes:
    """The same tag with a zero more than it needs."""
    return bytes([part[0] | 0x80, 0x00]) + part[1:] if part[0] < 0x80 else part


def _split(data: bytes) -> list[bytes]:
    """The fields of a message, each with its tag; empty for bytes that are none."""
    found, at = [], 0
    while at < len(data):
        begin = at
        tag, at = _read_varint(data, at)
        match tag & 7:
            case 0:
                _, at = _read_varint(data, at)
            case 1:
                at += 8
            case 2:
                length, at = _read_varint(data, at)
                at += length
            case 5:
                at += 4
            case _:
                return []
        if at > len(data):
            return []
        found.append(data[begin:at])
    return found


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 64:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    return 0, len(data) + 1


# -------------------------------------------------------------------------------------------------------------- text
WORDS: Final = (
    "=", "[", "]", "[[", "{", "}", '"', '"""', "'''", ",", ":", ".", "#", "\\", "\\u0000", "\ufeff", "\r", "\x00", "-",
    "true", "null", "NaN", "1e999", "-0", "0x10", "inf", "nan", "1979-05-27T07:32:00Z", "07:32:00", "2026-02-30",
    "9" * 5000, "0x" + "f" * 5000, "[" * 2000, '{"a":' * 2000, "x" * 2000, "a.b = 1", "é", "∞", "../..",
    "-----BEGIN LICD LICENCE-----",
)  # fmt: skip


def of_text(*words: str) -> Mutator:
    """Changes text by line, by word and by number; words are what the format knows."""
    dictionary = (*WORDS, *words)

    def mutate(data: bytes, chance: random.Random, samples: Sequence[bytes]) -> bytes:
        if not chance.randrange(5):
            return any_bytes(data, chance, samples)
        text = data.decode("utf-8", "surrogateescape")
        changed = chance.choice((_lines, _word, _digits))(text, chance, samples, dictionary)
        return changed.encode("utf-8", "surrogateescape")

    return mutate


def _lines(text: str, chance: random.Random, samples: Sequence[bytes], dictionary: Sequence[str]) -> str:
    lines = text.split("\n")
    at = chance.randrange(len(lines))
    match chance.randrange(4):
        case 0:
            del lines[at]
        case 1:
            lines.insert(at, lines[at])
        case 2:
            others = chance.choice(samples).decode("utf-8", "surrogateescape").split("\n")
            lines.insert(at, chance.choice(others))
        case _:
            other = chance.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
    return "\n".join(lines)


def _word(text: str, chance: random.Random, samples: Sequence[bytes], dictionary: Sequence[str]) -> str:
    at = chance.randrange(len(text) + 1)
    return text[:at] + chance.choice(dictionary) + text[at + chance.randrange(4) :]


def _digits(text: str, chance: random.Random, samples: Sequence[bytes], dictionary: Sequence[str]) -> str:
    places = [at for at, letter in enumerate(text) if letter.isdigit()]
    if not places:
        return _word(text, chance, samples, dictionary)
    at = chance.choice(places)
    until = at
    while until < len(text) and text[until].isdigit():
        until += 1
    return text[:at] + chance.choice(("0", "-1", "1.5", "9" * 19, "9" * 5000, "0" * 9, "1_0", '"1"')) + text[until:]
