"""The example files of docs: what their maker writes, and nothing of them is about a country that exists."""

import pytest

from licd.core.regions import is_known
from licd.policy import Policies
from licd.policy.indicators.cpi import read_cpi
from licd.policy.indicators.wgi import read_wgi
from tests.policy.make_example_indicators import FILES, FOLDER, YEAR


@pytest.mark.parametrize("name", FILES)
def test_the_files_are_those_that_their_maker_writes(name: str):
    assert (FOLDER / name).read_bytes() == FILES[name]()


@pytest.mark.parametrize(("name", "read"), [("wgi-made-up.xlsx", read_wgi), ("cpi-made-up.xlsx", read_cpi)])
def test_their_economies_do_not_exist(policies: Policies, name: str, read):
    edition = read((FOLDER / name).read_bytes(), policies.diligence.aliases)
    assert edition.year == YEAR
    assert {value.country for value in edition.values} == {"QN", "QS", "QW"}
    assert not [value for value in edition.values if is_known(value.country)]
