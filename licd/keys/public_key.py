"""Raw Ed25519 public keys, with those refused that would let more than one message fit one signature.

OpenSSL takes any 32 bytes. A point of small order lets its owner make signatures that fit almost anything, and so deny
what was signed; a non-canonical encoding gives one key two spellings. Source: RFC 8032, section 5.1.3; Chalkias,
Garillot and Nikolaenko, "Taming the many EdDSAs", 2020.
"""

from typing import Final

from licd.keys.ed25519 import PublicKey
from licd.keys.errors import KeysError

PUBLIC_KEY_BYTES: Final = 32
"""Length of a raw Ed25519 public key."""

_P: Final = 2**255 - 19
_Y_MASK: Final = 2**255 - 1
# The y of every point whose order divides eight (x is free: the sign bit is masked off before comparing).
_SMALL_ORDER_Y: Final = frozenset(
    {
        0,
        1,
        _P - 1,
        int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"),
        int.from_bytes(bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"), "little"),
    }
)


class PublicKeyError(KeysError):
    """These bytes are no Ed25519 public key that licd accepts."""


def parse_public_key(raw: bytes) -> PublicKey:
    """Read a raw Ed25519 public key.

    Raises PublicKeyError for a wrong length, a non-canonical encoding, or a point of small order.
    """
    if len(raw) != PUBLIC_KEY_BYTES:
        raise PublicKeyError(f"a public key has {PUBLIC_KEY_BYTES} bytes, not {len(raw)}")
    y = int.from_bytes(raw, "little") & _Y_MASK
    if y >= _P:
        raise PublicKeyError("the public key is not in canonical form")
    if y in _SMALL_ORDER_Y:
        raise PublicKeyError("the public key is a point of small order: it would verify forged signatures")
    return PublicKey(raw)
