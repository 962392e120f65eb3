"""C2SP signed notes (c2sp.org/signed-note): a text, an empty line, and one line per signature.

    <text, one or more lines>
    <empty line>
    EM-DASH SPACE <key name> SPACE base64(4-byte key id || signature)

Signing and verifying are injected, because this package imports no cryptography. The parser is strict and its errors
name the line; it also refuses two signature lines of one name and key id, as c2sp.org/tlog-checkpoint asks.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import Final

from licd.evidence.canonical import decode_base64, encode_base64
from licd.evidence.errors import EvidenceInvalid

Sign = Callable[[bytes], bytes]
"""Ed25519 signature (64 bytes) over a message."""

Verify = Callable[[bytes, bytes, bytes], bool]
"""(public key, signature, message) -> whether the Ed25519 signature holds. Must answer False, not raise."""

MAX_NOTE_BYTES: Final = 1 << 20
MAX_SIGNATURES: Final = 64
KEY_ID_SIZE: Final = 4
PUBLIC_KEY_SIZE: Final = 32
SIGNATURE_SIZE: Final = 64

_PREFIX: Final = "\u2014 "


class SignatureType(IntEnum):
    """The signature type bytes of c2sp.org/signed-note that licd understands."""

    ED25519 = 0x01
    COSIGNATURE_V1 = 0x04


class NoteInvalid(EvidenceInvalid):
    """A note or verifier key is malformed, or its signatures do not hold. The message names the line, from 1."""


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public Ed25519 key under the name and for the kind of signature it is known by.

    Raises NoteInvalid for an impossible name or key.
    """

    name: str
    public_key: bytes
    type: SignatureType = SignatureType.ED25519

    def __post_init__(self) -> None:
        _check_name(self.name)
        if len(self.public_key) != PUBLIC_KEY_SIZE:
            raise NoteInvalid(f"an Ed25519 public key has 32 bytes, not {len(self.public_key)}")

    @property
    def key_id(self) -> bytes:
        """SHA-256(name || 0x0A || type || public key)[:4]."""
        return sha256(self.name.encode() + bytes((0x0A, self.type)) + self.public_key).digest()[:KEY_ID_SIZE]

    def encode(self) -> str:
        """The text `name+hex(key id)+base64(type || public key)` (c2sp.org/signed-note, verifier keys)."""
        return f"{self.name}+{self.key_id.hex()}+{encode_base64(bytes((self.type,)) + self.public_key)}"


@dataclass(frozen=True, slots=True)
class Signer:
    """A way to sign, together with the verifier key others will check it by."""

    key: VerifierKey
    sign: Sign


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line: who claims to have signed, and the bytes after the key id."""

    name: str
    key_id: bytes
    signature: bytes

    def line(self) -> str:
        """The line without its newline."""
        return f"{_PREFIX}{self.name} {encode_base64(self.key_id + self.signature)}"


@dataclass(frozen=True, slots=True)
class Note:
    """A parsed note. Nothing in it is to be believed before `verify_note`."""

    text: str
    signatures: tuple[NoteSignature, ...]

    def encode(self) -> bytes:
        """The note as it is written to files and wires (UTF-8)."""
        lines = "".join(f"{signature.line()}\n" for signature in self.signatures)
        return f"{self.text}\n{lines}".encode()

    def signature_by(self, key: VerifierKey) -> NoteSignature | None:
        """The signature under this key's name and id, if there is one."""
        key_id = key.key_id
        for signature in self.signatures:
            if signature.name == key.name and signature.key_id == key_id:
                return signature
        return None

    def with_signature(self, signature: NoteSignature) -> "Note":
        """The note with one more signature, in place of an earlier one by the same key."""
        identity = (signature.name, signature.key_id)
        kept = tuple(other for other in self.signatures if (other.name, other.key_id) != identity)
        return Note(self.text, (*kept, signature))


def decode_verifier_key(text: str) -> VerifierKey:
    """The key written by `VerifierKey.encode`. Raises NoteInvalid for any other spelling."""
    parts = text.split("+", 2)
    if len(parts) != 3:
        raise NoteInvalid("a verifier key has the form name+id+key")
    name, key_id, material = parts
    try:
        raw = decode_base64(material)
    except ValueError as error:
        raise NoteInvalid(f"the key of verifier key {name!r} {error}") from error
    if not raw or raw[0] not in tuple(SignatureType):
        raise NoteInvalid(f"verifier key {name!r} has an unknown signature type")
    key = VerifierKey(name, raw[1:], SignatureType(raw[0]))
    if key.key_id.hex() != key_id:
        raise NoteInvalid(f"the id of verifier key {name!r} is {key.key_id.hex()}, not {key_id!r}")
    return key


def sign_note(text: str, signers: Sequence[Signer]) -> Note:
    """The note of `text` with plain Ed25519 signatures. Raises NoteInvalid for text that no note can hold."""
    message = check_text(text)
    return Note(text, tuple(sign_text(message, signer) for signer in signers))


def sign_text(message: bytes, signer: Signer) -> NoteSignature:
    """A plain Ed25519 signature over a note's text. Raises ValueError for a key of another type."""
    if signer.key.type is not SignatureType.ED25519:
        raise ValueError(f"key {signer.key.name!r} is not for plain Ed25519 note signatures")
    return NoteSignature(signer.key.name, signer.key.key_id, signer.sign(message))


def parse_note(data: bytes) -> Note:
    """Split a note into text and signatures, none of them verified. Raises NoteInvalid naming the line."""
    if len(data) > MAX_NOTE_BYTES:
        raise NoteInvalid(f"a note has at most {MAX_NOTE_BYTES} bytes, not {len(data)}")
    whole = _decode_utf8(data)
    _check_controls(whole)
    text, gap, tail = whole.rpartition("\n\n")
    if not gap or not text:
        raise NoteInvalid("a note is a text, an empty line and signature lines")
    text += "\n"
    return Note(text, _parse_signatures(tail, text.count("\n") + 2))


def verify_note(note: Note, keys: Iterable[VerifierKey], verify: Verify) -> tuple[VerifierKey, ...]:
    """The keys whose plain Ed25519 signature over the note holds, at least one.

    Signatures by other keys are ignored. Raises NoteInvalid when a signature by one of these keys does not hold or
    there is none (c2sp.org/signed-note, Signatures); ValueError for a key of another type.
    """
    message = note.text.encode()
    verified = []
    for key in keys:
        if key.type is not SignatureType.ED25519:
            raise ValueError(f"key {key.name!r} is not for plain Ed25519 note signatures")
        found = note.signature_by(key)
        if found is None:
            continue
        if len(found.signature) != SIGNATURE_SIZE or not verify(key.public_key, found.signature, message):
            raise NoteInvalid(f"the signature by {key.name}+{key.key_id.hex()} does not hold")
        verified.append(key)
    if not verified:
        raise NoteInvalid("no signature by a known key")
    return tuple(verified)


def check_text(text: str) -> bytes:
    """The bytes of a text that can be signed as a note. Raises NoteInvalid."""
    if not text.endswith("\n") or text == "\n":
        raise NoteInvalid("the text of a note is not empty and ends in a newline")
    _check_controls(text)
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise NoteInvalid("the text of a note is not valid Unicode") from error


def _parse_signatures(tail: str, first_line: int) -> tuple[NoteSignature, ...]:
    lines = tail.split("\n")
    if lines.pop() != "":
        raise NoteInvalid(f"line {first_line + len(lines)}: a note ends in a newline")
    if not 0 < len(lines) <= MAX_SIGNATURES:
        raise NoteInvalid(f"line {first_line}: a note has 1 to {MAX_SIGNATURES} signature lines, not {len(lines)}")
    signatures: dict[tuple[str, bytes], NoteSignature] = {}
    for number, line in enumerate(lines, first_line):
        signature = _parse_signature(line, number)
        if (signature.name, signature.key_id) in signatures:
            raise NoteInvalid(f"line {number}: a second signature by {signature.name}+{signature.key_id.hex()}")
        signatures[signature.name, signature.key_id] = signature
    return tuple(signatures.values())


def _parse_signature(line: str, number: int) -> NoteSignature:
    parts = line.removeprefix(_PREFIX).split(" ")
    if not line.startswith(_PREFIX) or len(parts) != 2:
        raise NoteInvalid(f"line {number}: a signature line is an em dash, the key name and base64")
    try:
        _check_name(parts[0])
        raw = decode_base64(parts[1])
    except NoteInvalid as error:
        raise NoteInvalid(f"line {number}: {error}") from error
    except ValueError as error:
        raise NoteInvalid(f"line {number}: the signature {error}") from error
    if len(raw) <= KEY_ID_SIZE:
        raise NoteInvalid(f"line {number}: a signature is longer than its 4-byte key id")
    return NoteSignature(parts[0], raw[:KEY_ID_SIZE], raw[KEY_ID_SIZE:])


def _check_name(name: str) -> None:
    if not name or "+" in name or any(character.isspace() or character < " " for character in name):
        raise NoteInvalid(f"a key name is not empty and has no space or plus, unlike {name!r}")
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise NoteInvalid(f"the key name {name!r} is not valid Unicode") from error


def _check_controls(text: str) -> None:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.isprintable() and any(character < " " for character in line):
            raise NoteInvalid(f"line {number}: a note has no control characters")


def _decode_utf8(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        raise NoteInvalid(f"line {number}: a note is valid UTF-8") from error
