"""C2SP timestamped cosignatures (c2sp.org/tlog-cosignature), Ed25519: a witness saw this checkpoint, consistent, then.

The signed message is the two lines `cosignature/v1` and `time <seconds>`, followed by the whole checkpoint text; the
signature bytes are the time as eight bytes big endian, then the 64 bytes of Ed25519. The specification counts unix
seconds; here instants are milliseconds, as everywhere in licd, and are cut to the second when signing.
"""

import struct
from typing import Final

from licd.evidence.canonical import MAX_SIZE
from licd.evidence.note import (
    SIGNATURE_SIZE,
    Note,
    NoteInvalid,
    NoteSignature,
    SignatureType,
    Signer,
    VerifierKey,
    Verify,
)

_TIME: Final = struct.Struct(">Q")
_MILLIS: Final = 1000


def cosign(checkpoint: Note, signer: Signer, at: int) -> NoteSignature:
    """The cosignature of a checkpoint's note at the instant `at` (unix milliseconds).

    The caller has verified the checkpoint and its consistency with the last one. Add the result by
    `Note.with_signature`. Raises ValueError for a key of another type or an instant before 1970.
    """
    _need_type(signer.key)
    if at < 0:
        raise ValueError("a cosignature cannot be dated before 1970")
    seconds = at // _MILLIS
    signature = signer.sign(cosigned_message(checkpoint.text, seconds))
    return NoteSignature(signer.key.name, signer.key.key_id, _TIME.pack(seconds) + signature)


def verify_cosignature(checkpoint: Note, key: VerifierKey, verify: Verify) -> int:
    """When the witness `key` cosigned this checkpoint, in unix milliseconds.

    Raises NoteInvalid when it did not, or the signature does not hold; ValueError for a key of another type.
    """
    _need_type(key)
    found = checkpoint.signature_by(key)
    if found is None:
        raise NoteInvalid(f"no cosignature by {key.name}+{key.key_id.hex()}")
    if len(found.signature) != _TIME.size + SIGNATURE_SIZE:
        raise NoteInvalid(f"a cosignature has 72 bytes, the one by {key.name} has {len(found.signature)}")
    (seconds,) = _TIME.unpack_from(found.signature)
    if seconds > MAX_SIZE:
        raise NoteInvalid(f"the time of the cosignature by {key.name} is beyond 2^63 - 1")
    if not verify(key.public_key, found.signature[_TIME.size :], cosigned_message(checkpoint.text, seconds)):
        raise NoteInvalid(f"the cosignature by {key.name}+{key.key_id.hex()} does not hold")
    return int(seconds) * _MILLIS


def cosigned_message(text: str, seconds: int) -> bytes:
    """What a witness signs: header, time in unix seconds, the checkpoint's note text with its last newline."""
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()


def _need_type(key: VerifierKey) -> None:
    if key.type is not SignatureType.COSIGNATURE_V1:
        raise ValueError(f"key {key.name!r} is not for cosignatures")
