"""A log entry: named fields, each committed to under its own salt, so that one can be erased or shown alone.

What goes into the tree is a leaf over the commitments; values and salts stand beside it. Erasing a value with its salt
leaves the commitment, hence the leaf, the root and every proof as they were; without the 16-byte salt the commitment
tells nothing about the value. The same step discloses: erase all fields but one, and whoever holds the leaf can check
that one. The formats, byte by byte (integers big endian):

    commitment  SHA-256 over:  14  "licd/field/v1" 0x00
                                1  length n of the name, 1 to 64
                                n  name, ASCII [a-z][a-z0-9_.]*
                               16  salt, random, never used twice
                             rest  value

    leaf data                  14  "licd/entry/v1" 0x00
                                1  number of fields, 1 to 255
                 each field:    1  length n of the name
                                n  name
                 each field:   32  commitment

    leaf hash   SHA-256(0x00 || leaf data), RFC 6962

    stored entry                1  0x01, version of this encoding
                                1  number of fields, 1 to 255
                 each field:    1  0x51 value present, 0xAE erased
                                1  length n of the name
                                n  name
               each present:   16  salt
                each erased:   32  commitment
               each present:    4  length m of the value
               each present:    m  value

Names are unique within an entry and keep their order; its values have at most 2^20 bytes together. A commitment's
input starts with neither 0x00 nor 0x01, so it is never the input of a tree hash. The two kinds differ in every bit.
Like things stand together because it is quick: of a new entry the names, in all three places, are constant for its
kind, and the salts are one block.
"""

import re
import struct
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Final, assert_never

from licd.evidence import merkle
from licd.evidence.errors import EvidenceInvalid

if TYPE_CHECKING:
    from _hashlib import HASH

SALT_SIZE: Final = 16
MAX_FIELDS: Final = 255
MAX_NAME_BYTES: Final = 64
MAX_VALUES_BYTES: Final = 1 << 20
"""What the values of one entry may take together."""

_FIELD_DOMAIN: Final = b"licd/field/v1\x00"
_ENTRY_DOMAIN: Final = b"licd/entry/v1\x00"
_VERSION: Final = 0x01
_PRESENT: Final = 0x51
_ERASED: Final = 0xAE
_LENGTH_SIZE: Final = 4
_NAME: Final = re.compile(r"[a-z][a-z0-9_.]*", re.ASCII)


class EntryInvalid(EvidenceInvalid):
    """Fields that make no entry, or bytes that are none. The message names the field or the offset."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field whose value is known. Raises EntryInvalid for a bad name or salt."""

    name: str
    value: bytes
    salt: bytes

    def __post_init__(self) -> None:
        _name_bytes(self.name)
        if len(self.salt) != SALT_SIZE:
            raise EntryInvalid(f"field {self.name!r}: a salt has 16 bytes, not {len(self.salt)}")

    @property
    def commitment(self) -> bytes:
        """The 32 bytes that stand for this field in the leaf."""
        return sha256(_FIELD_DOMAIN + _name_bytes(self.name) + self.salt + self.value).digest()


@dataclass(frozen=True, slots=True)
class ErasedField:
    """A field of which only the commitment is left. Raises EntryInvalid for a bad name or commitment size."""

    name: str
    commitment: bytes

    def __post_init__(self) -> None:
        _name_bytes(self.name)
        if len(self.commitment) != merkle.HASH_SIZE:
            raise EntryInvalid(f"field {self.name!r}: a commitment has 32 bytes, not {len(self.commitment)}")


AnyField = Field | ErasedField


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as read back from storage or an export.

    Raises EntryInvalid for no, too many or repeated fields, and for values too long.
    """

    fields: tuple[AnyField, ...]

    def __post_init__(self) -> None:
        _check_names([field.name for field in self.fields])
        _check_values(sum(len(field.value) for field in self.fields if isinstance(field, Field)))

    def field(self, name: str) -> AnyField | None:
        """The field of this name, if the entry has one."""
        return next((field for field in self.fields if field.name == name), None)

    def leaf_data(self) -> bytes:
        """The bytes under the leaf hash: the same before and after erasing."""
        names = [_name_bytes(field.name) for field in self.fields]
        commitments = [field.commitment for field in self.fields]
        return b"".join((_ENTRY_DOMAIN, bytes((len(names),)), *names, *commitments))

    def leaf_hash(self) -> bytes:
        """The leaf of this entry in the tree."""
        return merkle.leaf_hash(self.leaf_data())


@dataclass(frozen=True, slots=True)
class Sealed:
    """A new entry ready to be written: its leaf for the tree, its encoding for storage."""

    leaf_hash: bytes
    encoded: bytes


def seal(fields: Sequence[tuple[str, bytes]], salts: bytes) -> Sealed:
    """Commit to these (name, value) pairs. `salts` is fresh randomness, 16 bytes for each field in order.

    Equal to encoding an Entry of the same fields and taking its leaf.
    Raises EntryInvalid for bad names, values or length of `salts`.
    """
    return Sealed(*seal_columns(tuple([name for name, _ in fields]), [value for _, value in fields], salts))


def seal_columns(names: tuple[str, ...], values: Sequence[bytes], salts: bytes) -> tuple[bytes, bytes]:
    """As `seal`, names and values each by themselves: the leaf hash and the encoding. The hot path.

    About one microsecond a field, nearly all of it the hash. Each goes on from one that has taken what is the same for
    all fields of the name: a hash made anew costs as much as what it then hashes.
    """
    shape = _shape(names)
    if len(salts) != SALT_SIZE * len(values):
        raise EntryInvalid(f"{len(values)} fields need {SALT_SIZE * len(values)} bytes of salt, not {len(salts)}")
    lengths = list(map(len, values))
    _check_values(sum(lengths))
    commitments: list[bytes] = []
    for begun, salt, value in zip(shape.begun, shape.salts.unpack(salts), values, strict=True):
        commitment = begun.copy()
        commitment.update(salt + value)
        commitments.append(commitment.digest())
    leaf = shape.leaf_begun.copy()
    leaf.update(b"".join(commitments))
    return leaf.digest(), b"".join((shape.stored_head, salts, shape.lengths.pack(*lengths), *values))


def erase(entry: Entry, names: Collection[str]) -> Entry:
    """The entry without the values and salts of these fields: same leaf. Fields already erased stay so.

    Raises EntryInvalid for a name the entry does not have, so that a misspelt erasure is not taken for done.
    """
    unknown = sorted(set(names) - {field.name for field in entry.fields})
    if unknown:
        raise EntryInvalid(f"the entry has no field {unknown[0]!r}")
    return Entry(tuple(_erased(field) if field.name in names else field for field in entry.fields))


def disclose(entry: Entry, names: Collection[str]) -> Entry:
    """The entry with the values of these fields only, to be shown to somebody who may see no more: same leaf.

    Raises EntryInvalid for a name the entry does not have.
    """
    hidden = {field.name for field in entry.fields} - set(names)
    erase(entry, names)
    return erase(entry, hidden)


def encode(entry: Entry) -> bytes:
    """The stored form of an entry, values and salts included."""
    head = [bytes((_VERSION, len(entry.fields)))]
    salts, commitments, lengths, values = [], [], [], []
    for field in entry.fields:
        match field:
            case Field():
                head.append(bytes((_PRESENT,)) + _name_bytes(field.name))
                salts.append(field.salt)
                lengths.append(len(field.value).to_bytes(_LENGTH_SIZE, "big"))
                values.append(field.value)
            case ErasedField():
                head.append(bytes((_ERASED,)) + _name_bytes(field.name))
                commitments.append(field.commitment)
            case _:
                assert_never(field)
    return b"".join((*head, *salts, *commitments, *lengths, *values))


def decode(data: bytes) -> Entry:
    """The entry in its stored form. Raises EntryInvalid, saying where, for anything `encode` does not write."""
    reader = _Reader(data)
    version = reader.byte("the version")
    if version != _VERSION:
        raise EntryInvalid(f"offset 0: unknown version {version}")
    head = [reader.name() for _ in range(reader.byte("the number of fields"))]
    present = [name for name, kind in head if kind == _PRESENT]
    salts = [reader.take(SALT_SIZE, "the salt", name) for name in present]
    erased = [name for name, kind in head if kind == _ERASED]
    commitments = [reader.take(merkle.HASH_SIZE, "the commitment", name) for name in erased]
    lengths = [reader.take(_LENGTH_SIZE, "the length", name) for name in present]
    values = [
        reader.take(int.from_bytes(length, "big"), "the value", name)
        for name, length in zip(present, lengths, strict=True)
    ]
    reader.finish()
    gone = map(ErasedField, erased, commitments)
    there = map(Field, present, values, salts)
    return Entry(tuple([next(there) if kind == _PRESENT else next(gone) for _, kind in head]))


class _Reader:
    """A cursor over stored bytes that never reads past their end."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int, what: str, of: str | None = None) -> bytes:
        """Said in words only where there is too little: every entry of the log is read when licd starts."""
        start, end = self._at, self._at + size
        if end > len(self._data):
            whole = what if of is None else f"{what} of {of!r}"
            raise EntryInvalid(f"offset {start}: {whole} takes {size} bytes, {len(self._data) - start} are left")
        self._at = end
        return self._data[start:end]

    def byte(self, what: str) -> int:
        return self.take(1, what)[0]

    def name(self) -> tuple[str, int]:
        """The name of a field and its kind."""
        start = self._at
        kind = self.byte("the kind of a field")
        if kind not in (_PRESENT, _ERASED):
            raise EntryInvalid(f"offset {start}: unknown kind of field 0x{kind:02X}")
        return self.take(self.byte("the length of a name"), "a name").decode("latin-1"), kind

    def finish(self) -> None:
        if self._at != len(self._data):
            raise EntryInvalid(f"offset {self._at}: {len(self._data) - self._at} bytes after the last field")


def _erased(field: AnyField) -> ErasedField:
    return ErasedField(field.name, field.commitment)


@lru_cache(maxsize=4096)
def _name_bytes(name: str) -> bytes:
    """The name with its length before it."""
    if len(name) > MAX_NAME_BYTES or not _NAME.fullmatch(name):
        raise EntryInvalid(f"field name {name!r} is not 1 to {MAX_NAME_BYTES} of a-z, 0-9, _ and dot, letter first")
    return bytes((len(name),)) + name.encode("ascii")


@dataclass(frozen=True, slots=True)
class _Shape:
    """What all new entries with the same names in the same order share. There are few such shapes: cached.

    begun and leaf_begun are hashes of what a field's and the leaf's input begin with, to be copied and gone on with.
    """

    begun: tuple["HASH", ...]
    salts: struct.Struct
    leaf_begun: "HASH"
    stored_head: bytes
    lengths: struct.Struct


@lru_cache(maxsize=256)
def _shape(names: tuple[str, ...]) -> _Shape:
    """Asked only for names that licd itself writes: a hostile export must not fill the cache."""
    _check_names(names)
    encoded = [_name_bytes(name) for name in names]
    count = bytes((len(names),))
    tag = bytes((_PRESENT,))
    return _Shape(
        begun=tuple(sha256(_FIELD_DOMAIN + name) for name in encoded),
        salts=struct.Struct(f"{SALT_SIZE}s" * len(names)),
        leaf_begun=sha256(b"\x00" + _ENTRY_DOMAIN + count + b"".join(encoded)),
        stored_head=bytes((_VERSION,)) + count + b"".join(tag + name for name in encoded),
        lengths=struct.Struct(f">{len(names)}I"),
    )


def _check_names(names: Sequence[str]) -> None:
    if not 0 < len(names) <= MAX_FIELDS:
        raise EntryInvalid(f"an entry has 1 to {MAX_FIELDS} fields, not {len(names)}")
    if len(set(names)) != len(names):
        repeated = next(name for at, name in enumerate(names) if name in names[:at])
        raise EntryInvalid(f"field {repeated!r} appears twice")


def _check_values(size: int) -> None:
    if size > MAX_VALUES_BYTES:
        raise EntryInvalid(f"the values of an entry have at most {MAX_VALUES_BYTES} bytes together, not {size}")
