"""Who signed these bytes? DSSE v1 and Ed25519, read from the specification and written for the oracle alone.

Source: DSSE protocol v1.0.2 (github.com/secure-systems-lab/dsse). The key id on an envelope is not believed: every key
of the right purpose is tried.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from licd.v1.envelope_pb2 import Envelope, Signature


class NotSealed(Exception):
    """Nobody who may sign this kind of thing has signed these bytes."""


@dataclass(frozen=True, slots=True)
class Key:
    """A public key that signs from (inclusive) to (exclusive), unix milliseconds."""

    public: Ed25519PublicKey
    begins: int
    ends: int


def payload_type(kind: str) -> str:
    """How an envelope names a kind."""
    return f"application/vnd.licd.{kind}.v1+proto"


def pae(kind: str, payload: bytes) -> bytes:
    """The pre-authentication encoding: what is really signed."""
    name = payload_type(kind).encode()
    return b"DSSEv1 %d %s %d %s" % (len(name), name, len(payload), payload)


def signers(envelope: Envelope, kind: str, keys: Iterable[Key]) -> list[Key]:
    """The keys that signed the envelope as this kind, each once."""
    if envelope.payload_type != payload_type(kind):
        return []
    message = pae(kind, envelope.payload)
    return [key for key in keys if any(_verifies(key.public, each.sig, message) for each in envelope.signatures)]


def opened(envelope: Envelope, kind: str, keys: Iterable[Key]) -> tuple[bytes, Key]:
    """The payload and the key that sealed it. Raises NotSealed."""
    found = signers(envelope, kind, keys)
    if not found:
        raise NotSealed(f"no key that may sign a {kind} has signed this {envelope.payload_type or 'nothing'}")
    return envelope.payload, found[0]


def sealed(kind: str, payload: bytes, secret: Ed25519PrivateKey, key_id: str) -> Envelope:
    """Sign as the fleet's cheats and the tests' forgers do: with code of their own."""
    signature = Signature(sig=secret.sign(pae(kind, payload)), keyid=key_id)
    return Envelope(payload=payload, payload_type=payload_type(kind), signatures=[signature])


def _verifies(key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True
