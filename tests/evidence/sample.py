"""What the evidence tests share: real Ed25519 from `cryptography` with fixed keys, and a small log."""

from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from licd.evidence import merkle
from licd.evidence.checkpoint import Checkpoint, LogVerifier, sign_checkpoint
from licd.evidence.entry import Sealed, seal
from licd.evidence.note import SignatureType, Signer, VerifierKey

ORIGIN = "licd.example/log"
GOLDEN = Path(__file__).resolve().parents[1] / "golden"


def verify(public_key: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def make_signer(name: str, seed: bytes, kind: SignatureType = SignatureType.ED25519) -> Signer:
    private = Ed25519PrivateKey.from_private_bytes(seed)
    return Signer(VerifierKey(name, private.public_key().public_bytes_raw(), kind), private.sign)


LOG_SIGNER = make_signer(ORIGIN, bytes(range(32)))
WITNESS = make_signer("witness.example/w1", bytes(31) + b"w", SignatureType.COSIGNATURE_V1)
LOG = LogVerifier(ORIGIN, (LOG_SIGNER.key,), verify)


def sealed_entry(number: int) -> Sealed:
    """Entry `number` of the sample log: three fields, salts that depend on the number."""
    fields = [("kind", b"lease.granted"), ("at", number.to_bytes(8, "big")), ("target", bytes([number % 256]) * 32)]
    return seal(fields, b"".join(bytes([number % 256, place]) * 8 for place in range(3)))


def signed_checkpoint(leaves: list[bytes]) -> bytes:
    return sign_checkpoint(Checkpoint(ORIGIN, len(leaves), merkle.root_of(leaves)), (LOG_SIGNER,)).encode()


def flip(data: bytes, bit: int) -> bytes:
    """The data with one bit turned over."""
    altered = bytearray(data)
    altered[bit // 8] ^= 1 << bit % 8
    return bytes(altered)
