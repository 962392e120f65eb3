"""What rules hear of entries: each kind as licd writes it, erased fields as not said, others not at all."""

import pytest

from licd.core.entry_kinds import ENTRY_KINDS
from licd.core.errors import Invalid
from licd.core.happenings import COUNTED_KINDS, SIGNS_OF_LIFE, STANDING_KINDS, Happening
from licd.evidence.entry import Entry, Field, erase
from licd.v1.envelope_pb2 import Envelope
from licd.wire.happenings import HEARD, happening_of
from licd.wire.terms import terms_payload
from tests.builders import make_terms


def entry(kind: str, **fields: bytes | str | int) -> Entry:
    named = {"kind": kind, "at": 1_000, **fields}
    values = {name: each if isinstance(each, bytes) else str(each).encode() for name, each in named.items()}
    return Entry(tuple(Field(name, value, bytes(16)) for name, value in values.items()))


def test_every_kind_that_is_heard_of_is_one_that_licd_writes():
    assert HEARD <= ENTRY_KINDS
    assert SIGNS_OF_LIFE <= HEARD
    assert not STANDING_KINDS & COUNTED_KINDS


def test_a_denial_says_why_and_a_counted_one_how_often():
    found = happening_of(7, entry("denied", licence="n", system="n/a", reason="CHURN_LIMIT", target=b"t", detail="d"))
    assert found == Happening(7, 1_000, "denied", licence="n", system="n/a", reason="CHURN_LIMIT")
    assert found.counters() == ("denied", "denied_churn_limit")
    more = happening_of(8, entry("denied.counted", licence="n", system="n/a", reason="CHURN_LIMIT", count=12, minute=3))
    assert more is not None
    assert more.times == 12


def test_a_grant_says_which_target():
    found = happening_of(0, entry("lease.granted", licence="n", epoch=2, system="n/a", lease=5, target=b"\x00\xff"))
    assert found is not None
    assert (found.target, found.counters()) == (b"\x00\xff", ("granted",))


def test_an_issued_licence_says_its_terms():
    token = Envelope(payload=terms_payload(make_terms())).SerializeToString()
    found = happening_of(0, entry("licence.issued", licence="n", epoch=1, customer="north", token=token))
    assert found is not None
    assert found.terms == make_terms()


def test_an_acknowledgement_says_which_epoch_it_acknowledges():
    found = happening_of(0, entry("directive.acknowledged", licence="n", epoch=9, system="n/a", acknowledged=4))
    assert found is not None
    assert found.epoch == 4


def test_what_was_erased_counts_as_not_said():
    whole = entry("lease.granted", licence="n", epoch=2, system="n/a", target=b"t")
    found = happening_of(0, erase(whole, ["target", "system"]))
    assert found is not None
    assert (found.target, found.system, found.licence) == (b"", "", "n")


@pytest.mark.parametrize("kind", sorted(ENTRY_KINDS - HEARD))
def test_of_other_kinds_nothing_is_heard(kind: str):
    assert happening_of(0, entry(kind)) is None


@pytest.mark.parametrize(
    "broken",
    [
        entry("denied.counted", count="many", reason="X"),
        entry("licence.issued", licence="n", token=b"\xff"),
        entry("denied", reason=b"\xff"),
    ],
)
def test_an_entry_that_licd_did_not_write_is_refused_by_its_index(broken: Entry):
    with pytest.raises(Invalid, match="entry 3"):
        happening_of(3, broken)
