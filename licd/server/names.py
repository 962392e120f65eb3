"""Identifiers that operators choose: one spelling, safe in URIs, file names and terminals."""

from __future__ import annotations

import re
from typing import Final

from licd.core.errors import Invalid

NAME: Final = re.compile(r"[a-z][a-z0-9-]{1,38}[a-z0-9]")


def checked_name(value: str, field: str) -> str:
    """Raises Invalid naming the field."""
    if not NAME.fullmatch(value):
        raise Invalid(
            f"3 to 40 lower-case letters, digits and hyphens, a letter first; got {value[:60]!r}", field=field
        )
    return value
