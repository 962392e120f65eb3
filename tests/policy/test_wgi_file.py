"""The World Bank's file: what is read, what is listed as not read, and what refuses the whole of it."""

import io
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

from licd.policy import Policies
from licd.policy.indicators.edition import Edition, FileRefused, Missing, Unmapped, Value
from licd.policy.indicators.wgi import read_wgi
from tests.policy.workbook import WGI_HEADING, wgi_file, wgi_row, wgi_rows, workbook

NORWAY = ("NOR", "Norway")
SOUND = wgi_rows({NORWAY: [1.9, 1.8, 0.8, 1.8, 1.6, 1.7], ("ROM", "Romania"): [0.0, -0.2, 0.5, 0.4, 0.3, 0.6]})


def read(policies: Policies, data: bytes, year: int | None = None) -> Edition:
    return read_wgi(data, policies.diligence.aliases, year)


def test_every_estimate_of_the_latest_year_is_read(policies: Policies):
    older = wgi_rows({NORWAY: [1, 1, 1, 1, 1, 1]}, year=2022)
    data = wgi_file(*older, *SOUND)
    edition = read(policies, data)
    assert (edition.year, edition.rows, edition.taken, edition.rejected) == (2023, 12, 12, 0)
    assert Value("NO", "cc", 1900) in edition.values
    assert edition.sha256 == sha256(data).hexdigest()


def test_another_year_can_be_named(policies: Policies):
    edition = read(policies, wgi_file(*wgi_rows({NORWAY: [1, 1, 1, 1, 1, 1]}, year=2022), *SOUND), 2022)
    assert {(value.country, value.value) for value in edition.values} == {("NO", 1000)}


def test_a_year_that_is_not_there_is_refused_with_those_that_are(policies: Policies):
    with pytest.raises(FileRefused, match="no row of 2024; there are 2023 to 2023"):
        read(policies, wgi_file(*SOUND), 2024)


def test_the_publishers_own_codes_are_the_countries_that_policy_says(policies: Policies):
    edition = read(policies, wgi_file(*SOUND))
    assert {value.country for value in edition.values} == {"NO", "RO"}


def test_an_economy_that_is_no_country_is_listed_and_not_guessed(policies: Policies):
    antilles = wgi_rows({("ANT", "Netherlands Antilles (former)"): [".."] * 6})
    edition = read(policies, wgi_file(*SOUND, *antilles))
    assert edition.unmapped == (Unmapped("ANT", "Netherlands Antilles (former)"),)
    assert edition.rejected == 6


def test_a_code_that_policy_does_not_map_is_listed_even_where_its_name_is_known():
    edition = read_wgi(wgi_file(*SOUND), {})
    assert edition.unmapped == (Unmapped("ROM", "Romania"),)


def test_a_value_that_the_publisher_left_out_is_listed_as_missing(policies: Policies):
    edition = read(policies, wgi_file(*SOUND, *wgi_rows({("NIU", "Niue"): [1, 1, "..", 1, 1, ".."]})))
    assert edition.missing == (Missing("NU", "pv"), Missing("NU", "va"))
    assert not [value for value in edition.values if value.country == "NU" and value.dimension == "va"]


@pytest.mark.parametrize(
    ("estimate", "thousandths"), [(0.75, 750), (0.7499999, 749), (-0.0004, -1), (0.29, 290), (-1.2, -1200), (2, 2000)]
)
def test_a_value_is_never_rounded_up_to_a_floor(policies: Policies, estimate: float, thousandths: int):
    edition = read(policies, wgi_file(wgi_row("NOR", "Norway", 2023, "cc", estimate)))
    assert [value.value for value in edition.values] == [thousandths]


def shifted() -> bytes:
    return wgi_file(*[[row[0], "new", *row[1:]] for row in SOUND])


def moved() -> bytes:
    """Estimate and standard deviation changed places, and their headings with them: that is read right."""
    heading = [*WGI_HEADING[:5], "stddev", "estimate", *WGI_HEADING[7:]]
    return wgi_file(*[[*row[:5], row[6], row[5], *row[7:]] for row in SOUND], heading=heading)


def test_columns_are_found_by_their_headings(policies: Policies):
    assert read(policies, moved()).values == read(policies, wgi_file(*SOUND)).values


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "no .xlsx workbook"),
        (b"code,estimate\nNOR,1.9\n", "no .xlsx workbook"),
        (wgi_file(*SOUND)[:900], "no .xlsx workbook"),
        (workbook({"Sheet1": []}), "its first sheet is empty"),
        (wgi_file(), "no row of 0"),
        (wgi_file(*SOUND, heading=["a", *WGI_HEADING[:5]]), "row 1: the heading 'estimate' is not there"),
        (wgi_file(*SOUND, heading=[*WGI_HEADING[:10], "code"]), "row 1: the heading 'code' is there more than once"),
        (shifted(), "row 2: year must be a whole number, got 'Norway': has a column moved?"),
        (
            wgi_file(*SOUND, wgi_row("NOR", "Norway", 2023, "cc", 1.9)),
            "row 14: cc of NOR in 2023 is there a second time",
        ),
        (
            wgi_file(*SOUND, wgi_row("ROU", "Romania", 2023, "cc", 0.1)),
            "row 14: cc of ROU in 2023 is there a second time",
        ),
        (wgi_file(*SOUND, wgi_row("SWE", "Sweden", 2023, "xx", 1.9)), "row 14: 'xx' is none of cc, ge, pv, rl, rq, va"),
        (wgi_file(*SOUND, wgi_row("SWE", "Sweden", 2023, "cc", "1,9")), "row 14: cc of SWE must be a number"),
        (wgi_file(*SOUND, wgi_row("SWE", "Sweden", 2023, "cc", 97.5)), "and the scale is -4 to 4"),
        (wgi_file(*SOUND, wgi_row("<<<<<<< HEAD", "", 2023, "cc", 0.1)), "row 14: a merge's markers"),
    ],
)
def test_what_is_not_the_publishers_table_is_refused_as_a_whole(policies: Policies, data: bytes, told: str):
    with pytest.raises(FileRefused) as refused:
        read(policies, data)
    assert told in str(refused.value)


def test_a_file_that_unpacks_to_more_than_any_table_is_not_unpacked(
    policies: Policies, monkeypatch: pytest.MonkeyPatch
):
    data = wgi_file(*SOUND)
    monkeypatch.setattr("licd.policy.indicators.workbook_bounds.MOST_UNPACKED", 2_000)
    with pytest.raises(FileRefused, match="unpacks to over"):
        read(policies, data)


def changed(old: bytes, new: bytes, part: str = "xl/worksheets/sheet1.xml") -> bytes:
    """A sound file with something else inside."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(wgi_file(*SOUND))) as sound, zipfile.ZipFile(made, "w") as archive:
        for name in sound.namelist():
            text = sound.read(name)
            if name == part:
                assert old in text
                text = text.replace(old, new, 1)
            archive.writestr(zipfile.ZipInfo(name), text)
    return made.getvalue()


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (changed(b'r="A2"', b'r="XFD1048576"'), "reaches over 1048576 rows and 16384 columns"),
        (changed(b'r="A2"', b'r="ZZZZ2"'), "b'ZZZZ2' is no place in a sheet"),
        (changed(b'r="A2"', b"r='&#65;2'"), "is no place in a sheet"),
        (changed(b'<row r="2">', b'<row r="9999999">'), "reaches over 9999999 rows"),
        (changed(b'<row r="2">', b'<row r="400000">' + b"<c/>" * 9), "reaches over 400000 rows"),
        (changed(b"<sheetData>", b"<!doctype x><sheetData>"), "not the plain UTF-8"),
        (changed(b"<sheetData>", b"\x00<sheetData>"), "not the plain UTF-8"),
        (changed(b"<sheet ", b"<sheeet ", "xl/workbook.xml"), "it has no sheet"),
    ],
)
def test_a_small_file_that_says_it_holds_a_huge_table_is_not_read(policies: Policies, data: bytes, told: str):
    with pytest.raises(FileRefused) as refused:
        read(policies, data)
    assert told in str(refused.value)


def test_what_the_reader_panics_over_is_refused_as_well(policies: Policies, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("licd.policy.indicators.spreadsheet.refuse_boundless", lambda archive: None)
    with pytest.raises(FileRefused, match="the reader gave up: capacity overflow"):
        read(policies, changed(b'r="A2"', b'r="ZZZZZZ99999999999"'))


def test_the_publishers_own_file_of_2023(policies: Policies, publishers: Path):
    edition = read(policies, (publishers / "wgidataset.xlsx").read_bytes())
    assert edition.sha256 == "df332a76c7da5e1c210950689acd23cc1d1ad07d4f53a7641fdc3c8d52abd922"
    assert (edition.year, edition.rows, edition.taken) == (2023, 1284, 1269)
    assert edition.unmapped == (Unmapped("ANT", "Netherlands Antilles (former)"),)
    assert Missing("GU", "va") in edition.missing
    assert len(edition.missing) == 9
    found = {(value.country, value.dimension): value.value for value in edition.values}
    assert (found["HK", "rl"] > 1_000, found["HK", "va"] < 0) == (True, True)
    assert {country for country, _ in found} >= {"AD", "CD", "PS", "RO", "TL", "XK"}


def test_a_year_that_the_publisher_left_out_is_not_there(policies: Policies, publishers: Path):
    with pytest.raises(FileRefused, match="no row of 1997; there are 1996 to 2023"):
        read(policies, (publishers / "wgidataset.xlsx").read_bytes(), 1997)
