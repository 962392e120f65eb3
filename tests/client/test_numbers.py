import hashlib
import hmac
import traceback

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from licd.client.numbers import NumberInvalid, pseudonym, region_of
from licd.core.regions import is_known, permits

KEY = bytes(range(32))
SOMEBODY = "+491711234567"


@pytest.mark.parametrize(
    ("number", "region"),
    [
        ("+14165550123", "CA"),  # Toronto: the calling code alone says US
        ("+12125550123", "US"),
        ("+18762345678", "JM"),
        ("+17872345678", "PR"),
        ("+77012345678", "KZ"),  # the calling code alone says RU
        ("+79161234567", "RU"),
        ("+390669812345", "VA"),  # the calling code alone says IT
        ("+390612345678", "IT"),
        ("+393471234567", "IT"),
        ("+441534123456", "JE"),  # the calling code alone says GB
        ("+441481256789", "GG"),
        ("+441624756789", "IM"),
        ("+442079460958", "GB"),
        ("+447781123456", "GG"),
        ("+4779123456", "SJ"),
        ("+4721123456", "NO"),
        ("+61891641234", "CX"),
        ("+61891621234", "CC"),
        ("+61412345678", "AU"),
        ("+262692123456", "RE"),
        ("+262639012345", "YT"),
        ("+358181234567", "AX"),
        ("+358412345678", "FI"),
        ("+59995181234", "CW"),
        ("+5997151234", "BQ"),
        ("+212650123456", "MA"),
        ("+38344123456", "XK"),
        ("+37744123456", "MC"),  # Monaco's range that Kosovo once used
        ("+37793123456", "MC"),
        ("+24740123", "SH-AC"),  # Ascension: AC is only reserved in ISO 3166-1
        ("+33612345678", "FR"),
        (SOMEBODY, "DE"),
    ],
)
def test_names_the_region_of_the_number_and_not_of_its_calling_code(number: str, region: str):
    assert region_of(number) == region


@pytest.mark.parametrize(
    "number",
    [
        "+80012345678",
        "+80812345678",
        "+870773111632",
        "+87812345678901",
        "+881612345678",
        "+88213300655",
        "+8835100000000",
        "+888123456789",
        "+979123456789",
    ],
)
def test_names_no_region_for_a_number_that_belongs_to_no_place(number: str):
    assert phonenumbers.region_code_for_number(phonenumbers.parse(number)) == "001"
    assert region_of(number) is None


@pytest.mark.parametrize(
    ("number", "claimants"),
    [
        ("+212528812345", "MA and EH: El Aaiún"),
        ("+590590271234", "BL and MF"),
    ],
)
def test_names_no_region_for_a_fixed_line_that_two_regions_claim(number: str, claimants: str):
    assert region_of(number) is None


@pytest.mark.parametrize(
    "number", ["+18005551234", "+19005551234", "+15005550006", "+448001111111", "+78001234567", "+39800123456"]
)
def test_names_no_region_for_a_service_number_in_a_shared_plan(number: str):
    assert region_of(number) is None


def test_names_a_region_for_a_service_number_in_a_plan_of_one_region():
    assert region_of("+498001234567") == "DE"


@pytest.mark.parametrize(
    "number",
    [
        "+447700900123",  # Ofcom's range for drama
        "+13115552368",
        "+490",
        "+4900",
        "+37711111111111",
        "+2476123",
    ],
)
def test_names_no_region_for_a_number_that_nobody_can_have(number: str):
    assert _region_or_refused(number) is None


GARBAGE = [
    "",
    " ",
    "+",
    "++491711234567",
    "491711234567",
    "00491711234567",
    "+0491711234567",
    "+49 171 1234567",
    "+49-171-1234567",
    " +491711234567",
    "+491711234567 ",
    "+491711234567\n",
    "+491711234567;ext=1",
    "tel:+491711234567",
    "+49171CALLME",
    "\uff0b491711234567",
    "+\u0664\u0669171\u0661234567",
    "+4917112345678901234567",
    "\x00",
    "+\ud800",
    "+9991234567",
    "nobody",
]


@pytest.mark.parametrize("text", GARBAGE)
def test_refuses_what_is_not_e164(text: str):
    with pytest.raises(NumberInvalid):
        region_of(text)
    with pytest.raises(NumberInvalid):
        pseudonym(KEY, text)


@pytest.mark.parametrize(("spelling", "number"), [("+4901711234567", SOMEBODY), ("+4402079460958", "+442079460958")])
def test_refuses_a_second_spelling_of_one_number(spelling: str, number: str):
    """Two spellings would be two pseudonyms: two seats, and an inquiry that finds nothing."""
    assert region_of(number) is not None
    with pytest.raises(NumberInvalid):
        pseudonym(KEY, spelling)


def test_keeps_the_zero_that_is_part_of_an_italian_number():
    assert region_of("+390236618300") == "IT"
    assert pseudonym(KEY, "+390236618300") != pseudonym(KEY, "+39236618300")


@pytest.mark.parametrize("number", [*GARBAGE, "+4901711234567", "+9991234567"])
def test_no_error_repeats_the_number(number: str):
    with pytest.raises(NumberInvalid) as refused:
        region_of(number)
    told = "".join(traceback.format_exception_only(refused.value))
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__ or refused.value.__context__ is None
    digits = "".join(c for c in number if c.isdigit())
    if len(digits) > 3:
        assert digits[-4:] not in told


def test_an_override_decides_before_the_number_plan_and_the_longest_prefix_wins():
    overrides = {"+7978": "UA-43", "+79781": "UA-40", "+447700900": "GB"}
    assert region_of("+79782345678", overrides) == "UA-43"
    assert region_of("+79781234567", overrides) == "UA-40"
    assert region_of("+79161234567", overrides) == "RU"
    assert region_of("+447700900123", overrides) == "GB"
    assert region_of("+79782345678") == "RU"


@pytest.mark.parametrize("overrides", [{"": "DE"}, {"+": "DE"}, {"49": "DE"}, {"+49x": "DE"}, {"+0": "DE"}])
def test_refuses_an_override_whose_prefix_would_match_anything(overrides: dict[str, str]):
    with pytest.raises(ValueError, match="prefix"):
        region_of(SOMEBODY, overrides)


@pytest.mark.parametrize("region", ["001", "", "ZZ", "m49:150"])
def test_refuses_an_override_to_an_unknown_region(region: str):
    with pytest.raises(ValueError, match="known region code"):
        region_of(SOMEBODY, {"+49": region})


def test_an_override_does_not_make_garbage_a_number():
    with pytest.raises(NumberInvalid):
        region_of("+49 171 1234567", {"+49": "DE"})


def _region_or_refused(number: str) -> str | None:
    try:
        return region_of(number)
    except NumberInvalid:
        return None


@given(st.one_of(st.text(max_size=20), st.from_regex(r"\+[0-9]{0,16}", fullmatch=True)))
def test_any_text_is_refused_or_gives_a_known_region_or_none(text: str):
    region = _region_or_refused(text)
    assert region is None or is_known(region)


def test_every_region_that_the_number_plan_can_name_is_a_known_code():
    for region in phonenumbers.SUPPORTED_REGIONS:
        example = phonenumbers.example_number(region)
        if example is None:
            continue
        named = region_of(phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164))
        assert named is None or permits(None, named)
        assert named is not None or region in {"EH", "BL", "MF"}


def test_a_pseudonym_is_a_keyed_hash_of_the_number():
    expected = hmac.new(KEY, b"licd-target-v1\x00+491711234567", hashlib.sha256).digest()
    assert pseudonym(KEY, SOMEBODY) == expected
    assert expected.hex() == "2e6fba30161bd9e68f9b4aad70949d47c20d6bffdcf2f8d7f9216630fe090253"


def test_pseudonyms_of_two_systems_cannot_be_joined():
    assert pseudonym(KEY, SOMEBODY) != pseudonym(bytes(32), SOMEBODY)


@pytest.mark.parametrize("length", [0, 1, 16, 31])
def test_refuses_a_short_pseudonym_key(length: int):
    with pytest.raises(ValueError, match="at least 32 bytes"):
        pseudonym(bytes(length), SOMEBODY)


def test_gives_a_pseudonym_to_a_number_whose_region_is_unknown():
    """An inquiry may name any number; that nobody could have leased it is for the proof to say."""
    assert len(pseudonym(KEY, "+447700900123")) == 32
