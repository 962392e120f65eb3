import hashlib
import importlib.metadata
import importlib.util
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licd.core import region_table
from licd.core.regions import (
    TABLE_VERSION,
    UnknownRegion,
    agree,
    codes,
    country_of,
    covers,
    expand,
    group_names,
    intersect,
    is_known,
    permits,
)

COUNTRIES = sorted(code for code in codes() if "-" not in code)
BALTIC_AND_NORDIC = frozenset(("AX", "DK", "EE", "FI", "FO", "IS", "LT", "LV", "NO", "SE", "SJ"))
a_code = st.sampled_from(sorted(codes()))
code_sets = st.frozensets(a_code, max_size=6)

UNKNOWN = ["", " ", "001", "1", "de", "De", "DE ", " DE", "DEU", "276", "EU", "UK", "AC", "TA", "XX", "ZZ", "AA", "DE-",
           "DE-XX", "-BY", "DE_BY", "de-by", "m49:154", "m49:001", "\x00", "DE\n", "\uff24\uff25"]  # fmt: skip


def test_knows_every_country_and_kosovo():
    assert len(COUNTRIES) == 250
    assert is_known("XK")


@pytest.mark.parametrize("code", ["DE-BY", "US-CA", "GB-SCT", "FR-75C", "UA-43", "SH-AC"])
def test_knows_a_subdivision(code: str):
    assert is_known(code)
    assert country_of(code) == code[:2]


@pytest.mark.parametrize("code", UNKNOWN)
def test_permits_nothing_unknown_to_anyone(code: str):
    assert not is_known(code)
    assert not permits(None, code)
    assert not permits(frozenset((code, "DE", "m49:154")), code)
    with pytest.raises(UnknownRegion):
        country_of(code)


@given(st.text(max_size=8))
def test_permits_no_text_that_is_not_a_code(text: str):
    assert permits(None, text) is (text in codes())


def test_an_unset_limit_permits_any_known_place_and_an_empty_one_permits_none():
    assert all(permits(None, code) for code in COUNTRIES)
    assert not any(permits(frozenset(), code) for code in codes())


def test_a_country_covers_its_subdivisions_and_not_the_other_way_round():
    assert permits(frozenset(("DE",)), "DE-BY")
    assert not permits(frozenset(("DE-BY",)), "DE")
    assert not permits(frozenset(("DE-BY",)), "DE-HE")
    assert not permits(frozenset(("DE",)), "AT-1")


@pytest.mark.parametrize(
    ("sovereign", "subdivision", "country"),
    [
        ("US", "US-PR", "PR"),
        ("US", "US-GU", "GU"),
        ("CN", "CN-HK", "HK"),
        ("CN", "CN-TW", "TW"),
        ("FR", "FR-974", "RE"),
        ("FR", "FR-BL", "BL"),
        ("FI", "FI-01", "AX"),
        ("NO", "NO-21", "SJ"),
        ("NL", "NL-BQ2", "BQ"),
        ("RS", "RS-KM", "XK"),
    ],
)
def test_a_place_with_a_country_code_of_its_own_is_that_country(sovereign: str, subdivision: str, country: str):
    assert country_of(subdivision) == country
    assert not permits(frozenset((sovereign,)), subdivision)
    assert not permits(frozenset((sovereign,)), country)
    assert permits(frozenset((country,)), subdivision)
    assert agree((subdivision, country))
    assert not agree((subdivision, sovereign))


def test_every_alias_joins_two_codes_of_the_table():
    aliased = [code for code in codes() if "-" in code and country_of(code) != code[:2]]
    assert len(aliased) == 36
    assert all(is_known(country_of(code)) for code in aliased)


def test_expands_a_group_to_its_countries():
    northern = expand(["m49:154"])
    assert northern == {*BALTIC_AND_NORDIC, "GB", "GG", "IE", "IM", "JE"}
    assert expand(["m49:154", "DE-BY", "XK"]) == northern | {"DE-BY", "XK"}


def test_expanding_nothing_gives_the_empty_set():
    assert expand([]) == frozenset()


@pytest.mark.parametrize("name", ["m49:001", "001", "", "m49:", "m49:999", "nordics", "de", "M49:154", "154"])
def test_refuses_to_expand_an_unknown_name_and_says_which(name: str):
    with pytest.raises(UnknownRegion) as refused:
        expand(["DE", name])
    assert refused.value.name == name
    assert repr(name) in str(refused.value)


def test_every_country_but_three_stands_in_exactly_one_smallest_group():
    leaves = [row.split(": ")[1].split() for row in region_table.M49_LEAVES.strip().replace("\n  ", " ").splitlines()]
    members = [code for leaf in leaves for code in leaf]
    assert sorted(set(COUNTRIES) - set(members)) == ["AQ", "TW", "XK"]
    assert len(members) == len(set(members))


def test_the_five_regions_together_are_all_groups_together():
    five = expand(["m49:002", "m49:009", "m49:019", "m49:142", "m49:150"])
    assert five == expand(group_names())
    assert len(five) == 247


@pytest.mark.parametrize(
    ("group", "member", "stranger"),
    [
        ("m49:150", "XK", "RS"),
        ("m49:003", "BR", "MX"),
        ("m49:202", "EG", "NG"),
        ("m49:419", "US", "MX"),
        ("m49:145", "IR", "TR"),
        ("m49:021", "PR", "US"),
    ],
)
def test_groups_end_where_the_united_nations_end_them(group: str, member: str, stranger: str):
    assert member not in expand([group])
    assert stranger in expand([group])


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        (["DE", "DE"], True),
        (["DE", "DE-BY"], True),
        (["DE-BY", "DE-HE"], False),
        (["DE", "AT"], False),
        (["DE", "XX"], False),
        (["DE", ""], False),
        (["XX", "XX"], False),
        ([], False),
        (["PR", "US-PR"], True),
        (["BQ", "NL-BQ1", "NL-BQ2"], False),
    ],
)
def test_statements_agree_only_when_all_can_be_true(said: list[str], verdict: bool):
    assert agree(said) is verdict


def test_narrowing_a_country_to_its_subdivision_is_seen_as_narrowing():
    assert covers(frozenset(("DE", "AT")), frozenset(("DE-BY",)))
    assert not covers(frozenset(("DE-BY",)), frozenset(("DE",)))
    assert not covers(frozenset(("US",)), frozenset(("US-PR",)))
    assert intersect(frozenset(("DE",)), frozenset(("DE-BY", "AT"))) == {"DE-BY"}


@given(code_sets, code_sets, a_code)
def test_an_intersection_permits_what_both_sets_permit(one: frozenset[str], other: frozenset[str], code: str):
    assert permits(intersect(one, other), code) is (permits(one, code) and permits(other, code))


@given(code_sets, code_sets, a_code)
def test_a_covered_set_permits_nothing_more(outer: frozenset[str], inner: frozenset[str], code: str):
    if covers(outer, inner) and permits(inner, code):
        assert permits(outer, code)


def test_the_table_has_not_been_edited_by_hand():
    body = Path(region_table.__file__).read_text(encoding="utf-8").split(f'DIGEST = "{region_table.DIGEST}"\n\n')[1]
    assert hashlib.sha256(body.encode()).hexdigest() == region_table.DIGEST


def test_the_table_is_what_its_generator_makes():
    if importlib.util.find_spec("pycountry") is None:
        pytest.skip("pycountry is not installed: pip install pycountry compares the region table with its source")
    installed = importlib.metadata.version("pycountry")
    if f"iso-codes-{installed}+" not in TABLE_VERSION:
        pytest.skip(f"the region table is {TABLE_VERSION}, pycountry {installed}")
    from tests.policy import make_region_table  # noqa: PLC0415  needs pycountry

    assert make_region_table.render() == Path(region_table.__file__).read_text(encoding="utf-8")
