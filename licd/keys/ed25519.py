"""Ed25519 itself: libsodium's, through PyNaCl, for it verifies at less than half of OpenSSL's price.

What it takes OpenSSL takes as well: both check without the cofactor, and libsodium refuses more (points of small order,
in the key and in the signature). So whoever checks our evidence with another library finds what licd found.
"""

from typing import Final

from cryptography.exceptions import InvalidSignature
from nacl.bindings import crypto_sign, crypto_sign_open, crypto_sign_seed_keypair
from nacl.exceptions import BadSignatureError

SIGNATURE_BYTES: Final = 64
"""Length of a signature."""


class PublicKey:
    """A public key of which `parse_public_key` has found that it is one."""

    __slots__ = ("raw",)

    def __init__(self, raw: bytes) -> None:
        self.raw: Final = raw

    def verify(self, signature: bytes, message: bytes) -> None:
        """Return when it is this key's signature over exactly the message. Raises InvalidSignature."""
        if len(signature) != SIGNATURE_BYTES:
            raise InvalidSignature
        try:
            crypto_sign_open(signature + message, self.raw)
        except BadSignatureError as error:
            raise InvalidSignature from error


class PrivateKey:
    """The secret half, of a 32-byte seed (RFC 8032, section 5.1.5). Never shows it, not even in its repr."""

    __slots__ = ("_secret", "public_raw")

    def __init__(self, seed: bytes) -> None:
        public, secret = crypto_sign_seed_keypair(seed)
        self.public_raw: Final[bytes] = public
        self._secret: Final[bytes] = secret

    def sign(self, message: bytes) -> bytes:
        """Sign these bytes: 64 bytes, always the same for the same message."""
        signed: bytes = crypto_sign(message, self._secret)
        return signed[:SIGNATURE_BYTES]
