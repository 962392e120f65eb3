"""Tracking codes: what a reporter keeps, and all that he needs to come back. licd keeps a hash of it.

A code has 130 random bits: nobody finds one by trying, so that its plain hash is enough. It is its holder's key as
well: messages to him are sealed to a key that is made of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from licd.keys.letter import KEY_BYTES, public_bytes

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no I, L, O or U, which are misread."""
LENGTH: Final = 26
GROUP: Final = 5
_SAME: Final = str.maketrans("ILO", "110")
_FORM: Final = re.compile(f"[{ALPHABET}]{{{LENGTH}}}")


class TrackingCodeInvalid(ValueError):
    """A text that is no tracking code. The message does not repeat it."""


@dataclass(frozen=True, slots=True)
class TrackingCode:
    """A code in its one spelling."""

    text: str

    @property
    def shown(self) -> str:
        """In groups, for people."""
        return "-".join(self.text[at : at + GROUP] for at in range(0, LENGTH, GROUP))

    @property
    def tracking(self) -> bytes:
        """What is kept of it."""
        return sha256(b"licd-tracking-v1\x00" + self.text.encode()).digest()

    @property
    def key(self) -> X25519PrivateKey:
        """What opens messages to its holder."""
        made = HKDF(SHA256(), KEY_BYTES, salt=None, info=b"licd-tracking-key-v1").derive(self.text.encode())
        return X25519PrivateKey.from_private_bytes(made)

    @property
    def public_key(self) -> bytes:
        """What messages to its holder are sealed to."""
        return public_bytes(self.key)

    def __repr__(self) -> str:
        """Without the code: nothing that prints a value gives it away."""
        return "TrackingCode(…)"


def new_code(random: Callable[[int], bytes]) -> TrackingCode:
    """A fresh one."""
    return TrackingCode("".join(ALPHABET[byte % len(ALPHABET)] for byte in random(LENGTH)))


def read_code(text: str) -> TrackingCode:
    """A code as somebody types it: small letters, spaces and hyphens say nothing. Raises TrackingCodeInvalid."""
    plain = re.sub(r"[\s-]", "", text).upper().translate(_SAME)
    if not _FORM.fullmatch(plain):
        raise TrackingCodeInvalid(f"a tracking code has {LENGTH} letters and digits")
    return TrackingCode(plain)
