"""What a program asks for a lease under is understood, or refused where it was written."""

from typing import Any

import pytest

from licd.client.targets import acquisition_of

TARGET = bytes(32)


def asked(**terms: Any) -> object:
    return acquisition_of(TARGET, bytes(32), {}, terms)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("terms", "error", "named"),
    [
        ({"purpose": "licd:x", "foo": 1}, TypeError, "foo"),
        ({"purpose": "licd:x", "attested_not_protectd": True}, TypeError, "attested_not_protectd"),
        ({"purpose": None}, TypeError, "purpose"),
        ({}, TypeError, "purpose"),
        ({"purpose": 7}, TypeError, "purpose"),
        ({"purpose": "\ud800"}, ValueError, "purpose"),
        ({"purpose": "licd:x", "region": "\udfff"}, ValueError, "region"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(terms: dict[str, Any], error: type[Exception], named: str) -> None:
    with pytest.raises(error, match=named) as raised:
        asked(**terms)
    assert raised.type is error


def test_what_is_asked_for_is_sent_as_it_was_written() -> None:
    found: Any = asked(purpose="licd:x", region="NO", attested_not_protected=True)
    assert (found.purpose, found.regions[0].region, found.attested_not_protected) == ("licd:x", "NO", True)
