"""Text forms that have exactly one spelling: padded base64 (RFC 4648, sections 3.5 and 4) and plain decimals."""

import base64
import binascii
from typing import Final

MAX_SIZE: Final = 2**63 - 1
"""The largest tree size: what fits a signed 64-bit column."""

_MAX_DIGITS: Final = len(str(MAX_SIZE))


def encode_base64(data: bytes) -> str:
    """Standard padded base64."""
    return base64.b64encode(data).decode("ascii")


def decode_base64(text: str) -> bytes:
    """The bytes of `text`. Raises ValueError unless `text` is the one canonical spelling of them."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("is not padded standard base64") from error
    if encode_base64(data) != text:
        raise ValueError("is not canonical base64")
    return data


def decode_decimal(text: str) -> int:
    """A non-negative ASCII decimal up to MAX_SIZE without sign or leading zeros. Raises ValueError."""
    if not (text.isascii() and text.isdigit()) or len(text) > _MAX_DIGITS:
        raise ValueError("is not a decimal number")
    if text[0] == "0" and text != "0":
        raise ValueError("has a leading zero")
    number = int(text)
    if number > MAX_SIZE:
        raise ValueError("is larger than 2^63 - 1")
    return number
