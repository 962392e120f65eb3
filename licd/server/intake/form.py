"""What a stranger's form says: the fields there are, each once, of a bounded length, or one line that says why not.

A refusal names the field and never what was in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qsl

from licd.keys.blinding import NumberInvalid, e164
from licd.keys.tracking_code import TrackingCode, TrackingCodeInvalid, read_code

FORM_TYPE: Final = "application/x-www-form-urlencoded"
MESSAGE_CHARACTERS: Final = 4000
FILING: Final[Mapping[str, int]] = MappingProxyType(
    {"account": 10_000, "about": 500, "period": 200, "number": 40, "name": 200, "contact": 500}
)
FOLLOWING: Final[Mapping[str, int]] = MappingProxyType({"code": 60, "message": MESSAGE_CHARACTERS})
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]")


class FormInvalid(ValueError):
    """What is wrong, in words for the stranger. values are what he typed, for him alone."""

    def __init__(self, problem: str, values: Mapping[str, str] = MappingProxyType({})) -> None:
        super().__init__(problem)
        self.problem: Final = problem
        self.values: Final = values


@dataclass(frozen=True, slots=True, repr=False)
class Filing:
    """An allegation as it was typed; number in E.164 form or empty."""

    account: str
    about: str
    period: str
    number: str
    name: str
    contact: str


@dataclass(frozen=True, slots=True, repr=False)
class Following:
    """Somebody comes back; message is empty when he only looks."""

    code: TrackingCode
    message: str


def fields_of(content_type: str, body: bytes, limits: Mapping[str, int]) -> dict[str, str]:
    """The fields of a form, missing ones empty. Raises FormInvalid."""
    if content_type.partition(";")[0].strip().lower() != FORM_TYPE:
        raise FormInvalid(f"send a form: {FORM_TYPE}")
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=len(limits),
        )
    except ValueError as error:  # UnicodeDecodeError is one
        raise FormInvalid("this is no form that can be read") from error
    values = dict.fromkeys(limits, "")
    seen: set[str] = set()
    for name, value in pairs:
        if name not in limits or name in seen:
            raise FormInvalid("a field is there that is not on the form, or one is there twice")
        seen.add(name)
        values[name] = value.replace("\r\n", "\n").replace("\r", "\n").strip()
    for name, value in values.items():
        if len(value) > limits[name]:
            raise FormInvalid(f"{name}: at most {limits[name]} characters", values)
        if _CONTROL.search(value):
            raise FormInvalid(f"{name}: there are characters in it that are no text")
    return values


def read_filing(content_type: str, body: bytes) -> Filing:
    """Raises FormInvalid."""
    values = fields_of(content_type, body, FILING)
    if not values["account"]:
        raise FormInvalid("account: say what happened", values)
    if values["number"]:
        try:
            return Filing(**{**values, "number": e164(values["number"])})
        except NumberInvalid as error:
            raise FormInvalid(f"number: {error}; or leave it empty", values) from error
    return Filing(**values)


def read_following(content_type: str, body: bytes) -> Following:
    """Raises FormInvalid."""
    values = fields_of(content_type, body, FOLLOWING)
    try:
        return Following(read_code(values["code"]), values["message"])
    except TrackingCodeInvalid as error:
        raise FormInvalid(f"code: {error}") from error
