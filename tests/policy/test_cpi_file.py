"""Transparency International's file: two sheets, headings in row 3, a mean that is no country, two scales."""

from pathlib import Path

import pytest

from licd.policy import Policies
from licd.policy.indicators.cpi import read_cpi
from licd.policy.indicators.edition import Edition, FileRefused, Missing, Unmapped, Value
from tests.policy.workbook import cpi_file, cpi_history, cpi_rows, workbook

SCORES = {("NZL", "New Zealand"): 89, ("KSV", "Kosovo"): 39, ("SOM", "Somalia"): 9}
MEAN = Unmapped("", "GLOBAL AVARAGE")
HISTORY = "CPI historical data 2012-2017"


def read(policies: Policies, data: bytes, year: int | None = None) -> Edition:
    return read_cpi(data, policies.diligence.aliases, year)


def test_the_editions_own_year_is_read_from_its_first_sheet(policies: Policies):
    edition = read(policies, cpi_file(2017, SCORES))
    assert edition.year == 2017
    assert edition.values == (Value("NZ", "cpi", 89_000), Value("SO", "cpi", 9_000), Value("XK", "cpi", 39_000))


def test_the_worlds_mean_is_listed_and_is_no_country(policies: Policies):
    edition = read(policies, cpi_file(2017, SCORES))
    assert edition.unmapped == (MEAN,)
    assert (edition.rows, edition.taken, edition.rejected) == (4, 3, 1)


def test_an_earlier_year_is_read_from_the_sheet_of_earlier_years(policies: Policies):
    history = cpi_history(
        {("NZL", "New Zealand"): {2017: 89, 2013: 91}, ("PRI", "Puerto Rico"): {2014: 63}}, 2017, 2013
    )
    edition = read(policies, workbook({"CPI 2017": cpi_rows(2017, SCORES), HISTORY: history}), 2013)
    assert edition.values == (Value("NZ", "cpi", 91_000),)
    assert edition.missing == (Missing("PR", "cpi"),)


@pytest.mark.parametrize(
    ("data", "year", "told"),
    [
        (workbook({"Tabelle1": []}), None, "no sheet is called CPI and its year; there are 'Tabelle1'"),
        (cpi_file(2017, SCORES), 2016, "there is no sheet 'CPI historical data'"),
        (cpi_file(2017, SCORES), 2011, "until 2011 the scale was another, 0 to 10"),
        (workbook({"CPI 2017": [["Country"]]}), None, "no headings in row 3"),
        (workbook({"CPI 2017": cpi_rows(2017, SCORES)[1:]}), None, "row 3: the heading 'Country' is not there"),
        (workbook({"CPI 2017": cpi_rows(2016, SCORES)}), None, "row 3: the heading 'CPI score 2017' is not there"),
        (cpi_file(2017, {("NZL", "New Zealand"): 9.4, ("SOM", "Somalia"): 1.0}), None, "no score above 10"),
        (cpi_file(2017, SCORES | {("FIN", "Finland"): 101}), None, "row 7: cpi of FIN is 101.0, and the scale is 0"),
        (cpi_file(2017, SCORES | {("XXX", "x"): "", ("NZL", "NZ again"): 88}), None, "row 8: cpi of NZL in 2017 is"),
        (cpi_file(2017, {("NZL", "New Zealand"): "best"}), None, "row 4: cpi of NZL must be a number, got 'best'"),
        (cpi_file(2017, {("NZL", "New Zealand"): ""}), None, "no value of 2017 in it"),
        (cpi_file(2017, SCORES | {("=======", ""): 50}), None, "row 7: a merge's markers"),
    ],
)
def test_what_is_not_the_publishers_table_is_refused_as_a_whole(
    policies: Policies, data: bytes, year: int | None, told: str
):
    with pytest.raises(FileRefused) as refused:
        read(policies, data, year)
    assert told in str(refused.value)


def test_the_publishers_own_file_of_2017(policies: Policies, publishers: Path):
    edition = read(policies, (publishers / "CPI2017.xlsx").read_bytes())
    assert edition.sha256 == "9449938a70f8ef8ec3a29e013e52791d78e20cd7f17a539aee6f704baea88dc5"
    assert (edition.year, edition.rows, edition.taken) == (2017, 181, 180)
    assert edition.unmapped == (MEAN,)
    assert Value("XK", "cpi", 39_000) in edition.values


def test_the_publishers_own_sheet_of_earlier_years(policies: Policies, publishers: Path):
    edition = read(policies, (publishers / "CPI2017.xlsx").read_bytes(), 2012)
    assert Value("PR", "cpi", 63_000) in edition.values
    assert Missing("SS", "cpi") in edition.missing
