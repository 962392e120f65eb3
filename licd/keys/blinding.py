"""Numbers in allegations: blinded with a key before anything is kept, so that two about one number can be told.

A plain hash of a telephone number is undone by trying all numbers; a keyed one needs the key. Which key it is, is
committed to before the first allegation. Nothing here repeats a number in an error.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from licd.keys.errors import KeysError
from licd.keys.private_file import read_private, write_new

KEY_BYTES: Final = 32
_SPACING: Final = re.compile(r"[\s().\-/]")
_E164: Final = re.compile(r"\+[1-9][0-9]{6,14}")


class NumberInvalid(ValueError):
    """A text that is not the E.164 form of a number (ITU-T E.164). The message does not repeat it."""


@dataclass(frozen=True, slots=True, repr=False)
class BlindingKey:
    """What numbers are blinded with."""

    secret: bytes

    @property
    def commitment(self) -> bytes:
        """Says which key it is, and not the key."""
        return sha256(b"licd-number-key-v1\x00" + self.secret).digest()

    def blind(self, number: str) -> bytes:
        """The pseudonym of a number in E.164 form."""
        return hmac.digest(self.secret, b"licd-number-v1\x00" + number.encode(), "sha256")


def e164(text: str) -> str:
    """A number as somebody types it, in its one spelling. Raises NumberInvalid."""
    plain = _SPACING.sub("", text)
    if not plain.isascii() or not _E164.fullmatch(plain):
        raise NumberInvalid("a number begins with + and the country's code")
    return plain


def read_blinding_key(path: Path) -> BlindingKey:
    """Raises KeysError, OSError."""
    secret = read_private(path, KEY_BYTES)
    if len(secret) != KEY_BYTES:
        raise KeysError(f"{path}: not {KEY_BYTES} bytes")
    return BlindingKey(secret)


def make_blinding_key(path: Path, random: Callable[[int], bytes]) -> BlindingKey:
    """Writes a new one, for its owner alone. Raises KeyFileError, OSError."""
    made = BlindingKey(random(KEY_BYTES))
    write_new(path, made.secret)
    return made
