"""The one envelope: DSSE v1 in protobuf, Ed25519, kept as it came.

The signature covers PAE(payload_type, payload). What is outside of it decides nothing: `keyid` only says which key of
the keyring to try, and purpose, owner and validity are read from the keyring, never from the envelope. There is no
algorithm field, and no key is ever taken from a message.

An envelope is judged in this order; the first that fails is the reason:
  1. size, number of signatures            TOO_LARGE, TOO_FEW_SIGNATURES
  2. payload_type is the kind asked for    KIND_MISMATCH
  3. of each signature: key known, not withdrawn, for this kind, valid now, signature right
  4. enough distinct keys                  TOO_FEW_SIGNATURES
The payload is handed out, and so can be parsed, only after that.

Source: DSSE protocol v1.0.2 (github.com/secure-systems-lab/dsse). Stricter than it in one thing: a signature without
a keyid that the verifier knows does not count.
"""

from dataclasses import dataclass
from typing import Final

from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

from licd.keys.keyring import Keyring
from licd.keys.kinds import Kind, kind_of_type
from licd.keys.seal_reasons import SealInvalid, SealReason
from licd.keys.signer import Signer
from licd.keys.verification_key import VerificationKey
from licd.v1.envelope_pb2 import Envelope, Signature

MAX_ENVELOPE_BYTES: Final = 1 << 20
"""Largest serialised envelope that is parsed. The largest real one is a trust bundle of some thousand keys."""
MAX_PAYLOAD_BYTES: Final = MAX_ENVELOPE_BYTES - (1 << 14)
"""Largest payload that is signed or verified: leaves room for the signatures."""
MAX_SIGNATURES: Final = 16
"""Most signatures on one envelope; bounds what verifying a hostile one costs."""


@dataclass(frozen=True, slots=True)
class Verified:
    """A payload whose seal holds, and the keys that sealed it, in the order of their signatures."""

    kind: Kind
    payload: bytes
    keys: tuple[VerificationKey, ...]

    @property
    def key_ids(self) -> tuple[str, ...]:
        """Ids of the keys that signed, each once."""
        return tuple(key.key_id for key in self.keys)

    @property
    def owners(self) -> frozenset[str]:
        """Whose keys signed. Two keys of one person are one owner: count these where two people are asked for."""
        return frozenset(key.owner for key in self.keys)


def pae(payload_type: str, payload: bytes) -> bytes:
    """Encode for signing: `DSSEv1 SP LEN(type) SP type SP LEN(body) SP body`, lengths in bytes, ASCII decimal."""
    type_bytes = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(type_bytes), type_bytes, len(payload), payload)


def seal(kind: Kind, payload: bytes, *signers: Signer) -> Envelope:
    """Sign `payload` as `kind` with every signer.

    Raises SealInvalid: KEY_PURPOSE when a signer is for other kinds, KEY_REPEATED when one comes twice,
    TOO_FEW_SIGNATURES without any, TOO_LARGE. A signer's own errors (SigningHeld) pass through.
    """
    if len(signers) != 1:
        _refuse_signers(signers)
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise SealInvalid(SealReason.TOO_LARGE, f"payload of {len(payload)} bytes, at most {MAX_PAYLOAD_BYTES}")
    envelope = Envelope()
    envelope.payload = payload
    envelope.payload_type = kind.payload_type
    message = b"%b%d %b" % (kind.pae_prefix, len(payload), payload)
    for signer in signers:
        if signer.purpose is not kind.purpose:
            detail = f"key {signer.key_id} is for {signer.purpose.word}, not for a {kind}"
            raise SealInvalid(SealReason.KEY_PURPOSE, detail)
        made = signer.sign(message)
        signature = envelope.signatures.add()
        signature.sig = made
        signature.keyid = signer.key_id
    return envelope


def countersign(envelope: Envelope, kind: Kind, signer: Signer) -> Envelope:
    """Return the same payload bytes with one signature more: the second person signs what the first signed.

    Raises SealInvalid as `seal` does, and KIND_MISMATCH. The signatures already there are kept and not judged.
    """
    _refuse_other_kind(envelope, kind)
    if any(signature.keyid == signer.key_id for signature in envelope.signatures):
        raise SealInvalid(SealReason.KEY_REPEATED, f"key {signer.key_id} has signed already")
    if len(envelope.signatures) >= MAX_SIGNATURES:
        raise SealInvalid(SealReason.TOO_LARGE, f"at most {MAX_SIGNATURES} signatures")
    signed = Envelope()
    signed.CopyFrom(envelope)
    signed.signatures.extend(seal(kind, envelope.payload, signer).signatures)
    return signed


def parse_envelope(raw: bytes) -> Envelope:
    """Read an envelope from untrusted bytes. Nothing in it is believed yet.

    Raises SealInvalid: TOO_LARGE, MALFORMED, UNKNOWN_FIELD.
    """
    if len(raw) > MAX_ENVELOPE_BYTES:
        raise SealInvalid(SealReason.TOO_LARGE, f"envelope of {len(raw)} bytes, at most {MAX_ENVELOPE_BYTES}")
    try:
        envelope = Envelope.FromString(raw)
    except DecodeError as error:
        raise SealInvalid(SealReason.MALFORMED, "these bytes are no envelope") from error
    if len(UnknownFieldSet(envelope)) or any(len(UnknownFieldSet(part)) for part in envelope.signatures):
        raise SealInvalid(SealReason.UNKNOWN_FIELD, "the envelope has a field that this reader does not know")
    return envelope


def claimed_kind(envelope: Envelope) -> Kind:
    """Return the kind an envelope claims to be, to choose how to verify it. Raises SealInvalid(KIND_UNKNOWN)."""
    kind = kind_of_type(envelope.payload_type)
    if not envelope.payload_type:
        raise SealInvalid(SealReason.KIND_UNKNOWN, "it is empty, or does not say what it is")
    if kind is None:
        raise SealInvalid(SealReason.KIND_UNKNOWN, f"no kind has the type {_shown(envelope.payload_type)}")
    return kind


def verify(envelope: Envelope, kind: Kind, keyring: Keyring, now_ms: int, *, threshold: int = 1) -> Verified:
    """Check that `threshold` distinct keys of `keyring`, valid at `now_ms`, sealed this payload as `kind`.

    Raises SealInvalid. With a threshold of one the reason is that of the first signature that failed; with a higher
    one it is TOO_FEW_SIGNATURES and the detail lists them. All good signatures are reported, not only the first.
    """
    return _verify(envelope, kind, keyring, now_ms, threshold)


def verify_ageless(envelope: Envelope, kind: Kind, keyring: Keyring, *, threshold: int = 1) -> Verified:
    """Check as `verify` does, without looking at the keys' validity.

    For what names its own signing time: the caller must compare that with `keys` once it has read the payload.
    """
    return _verify(envelope, kind, keyring, None, threshold)


def open_envelope(raw: bytes, kind: Kind, keyring: Keyring, now_ms: int, *, threshold: int = 1) -> Verified:
    """Parse and verify: from untrusted bytes to a payload that somebody known has sealed. Raises SealInvalid."""
    return _verify(parse_envelope(raw), kind, keyring, now_ms, threshold)


def _verify(envelope: Envelope, kind: Kind, keyring: Keyring, now_ms: int | None, threshold: int) -> Verified:
    if threshold < 1:
        raise ValueError(f"a threshold is at least 1, not {threshold}")
    payload = envelope.payload
    signatures = envelope.signatures
    if len(payload) > MAX_PAYLOAD_BYTES or len(signatures) > MAX_SIGNATURES:
        raise SealInvalid(SealReason.TOO_LARGE, f"{len(payload)} payload bytes, {len(signatures)} signatures")
    _refuse_other_kind(envelope, kind)
    message = b"%b%d %b" % (kind.pae_prefix, len(payload), payload)
    if len(signatures) == threshold == 1:  # nearly always; the rest comes to the same, at more cost
        judged = _judge(signatures[0], kind, message, keyring, now_ms)
        if isinstance(judged, SealInvalid):
            raise judged
        return Verified(kind, payload, (judged,))
    return _counted(envelope, kind, message, keyring, now_ms, threshold=threshold)


def _counted(
    envelope: Envelope, kind: Kind, message: bytes, keyring: Keyring, now_ms: int | None, *, threshold: int
) -> Verified:
    accepted: list[VerificationKey] = []
    refused: list[SealInvalid] = []
    for signature in envelope.signatures:
        judged = _judge(signature, kind, message, keyring, now_ms)
        if isinstance(judged, SealInvalid):
            refused.append(judged)
        elif judged not in accepted:
            accepted.append(judged)
    if len(accepted) < threshold:
        raise _too_few(accepted, refused, threshold)
    return Verified(kind, envelope.payload, tuple(accepted))


def _judge(
    signature: Signature, kind: Kind, message: bytes, keyring: Keyring, now_ms: int | None
) -> VerificationKey | SealInvalid:
    key_id = signature.keyid
    key = keyring.find(key_id)
    if key is None:
        return _not_found(key_id, keyring)
    if key.purpose is not kind.purpose:
        return SealInvalid(SealReason.KEY_PURPOSE, f"key {key_id} is for {key.purpose.word}, not for a {kind}")
    if now_ms is not None and not key.is_valid_at(now_ms):
        return _out_of_validity(key, now_ms)
    if not key.verifies(signature.sig, message):
        return SealInvalid(SealReason.SIGNATURE_INVALID, f"not the signature of key {key_id} over this {kind}")
    return key


def _not_found(key_id: str, keyring: Keyring) -> SealInvalid:
    if keyring.is_withdrawn(key_id):
        return SealInvalid(SealReason.KEY_WITHDRAWN, f"key {_shown(key_id)} was withdrawn")
    return SealInvalid(SealReason.KEY_UNKNOWN, f"no key {_shown(key_id)} in this keyring")


def _out_of_validity(key: VerificationKey, now_ms: int) -> SealInvalid:
    if now_ms < key.not_before_ms:
        return SealInvalid(SealReason.KEY_NOT_YET_VALID, f"key {key.key_id} signs from {key.not_before_ms} on")
    return SealInvalid(SealReason.KEY_EXPIRED, f"key {key.key_id} signed until {key.not_after_ms}")


def _too_few(accepted: list[VerificationKey], refused: list[SealInvalid], threshold: int) -> SealInvalid:
    if threshold == 1 and refused:
        return refused[0]
    why = "; ".join(str(refusal) for refusal in refused)
    detail = f"{len(accepted)} of {threshold} distinct keys signed" + (f" ({why})" if why else "")
    return SealInvalid(SealReason.TOO_FEW_SIGNATURES, detail)


def _refuse_signers(signers: tuple[Signer, ...]) -> None:
    if not signers:
        raise SealInvalid(SealReason.TOO_FEW_SIGNATURES, "nobody to sign")
    if len(signers) > MAX_SIGNATURES:
        raise SealInvalid(SealReason.TOO_LARGE, f"at most {MAX_SIGNATURES} signatures")
    if len({signer.key_id for signer in signers}) < len(signers):
        raise SealInvalid(SealReason.KEY_REPEATED, "a key signs once")


def _refuse_other_kind(envelope: Envelope, kind: Kind) -> None:
    if envelope.payload_type != kind.payload_type:
        claimed = _shown(envelope.payload_type)
        raise SealInvalid(SealReason.KIND_MISMATCH, f"a {kind} was asked for, the envelope says {claimed}")


def _shown(text: str) -> str:
    """Quote untrusted text for a message, bounded."""
    shown = 60
    return repr(text[:shown]) + ("…" if len(text) > shown else "")
