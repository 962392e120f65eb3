import pytest

from licd.client.numbers import region_of
from licd.core.regions import UnknownRegion, expand
from licd.policy import Policies
from tests.policy.folder import Folder

FILE = "regions.toml"


def test_a_name_stands_for_codes_groups_and_other_names(policies: Policies):
    named = policies.regions.named
    assert named["northern-europe"].codes == expand(["m49:154"])
    assert named["northern-waters"].codes == named["nordics"].codes | named["baltics"].codes | {"DE-MV", "DE-SH", "PL"}


def test_what_is_excluded_is_not_in_it(policies: Policies):
    assert policies.regions.named["western-europe-mainland"].codes == expand(["m49:155"]) - {"LI", "MC"}


def test_expands_names_codes_and_groups_side_by_side(policies: Policies):
    assert policies.regions.expand(("baltics", "XK", "m49:143")) == expand(["EE", "LT", "LV", "XK", "m49:143"])


def test_an_unknown_name_is_refused(policies: Policies):
    with pytest.raises(UnknownRegion):
        policies.regions.expand(("narnia",))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('include = ["EE", "LT", "LV"]', 'include = ["EE", "LT", "LX"]', 'unknown region "LX"'),
        ('include = ["EE", "LT", "LV"]', 'include = ["m49:001"]', 'unknown region "m49:001"'),
        ('include = ["EE", "LT", "LV"]', 'include = ["001"]', 'unknown region "001"'),
        ('include = ["EE", "LT", "LV"]', "include = []", "an empty list permits nothing"),
        (
            'include = ["EE", "LT", "LV"]',
            'include = ["EE", "LT", "LV"]\nexclude = ["LV", "LT", "EE"]',
            "nothing is left",
        ),
        ('include = ["nordics", "baltics",', 'include = ["nordic", "baltics",', 'did you mean "nordics"?'),
        (
            'exclude = ["LI", "MC"]',
            'exclude = ["LI", "SE"]',
            "SE cannot be taken out of western-europe-mainland: it is not",
        ),
        ('exclude = ["LI", "MC"]', 'exclude = ["DE-BY"]', "its country would still permit it"),
        ("[region.baltics]", "[region.Baltics]", "must be small letters"),
        ('prefix = "+7978"', 'prefix = "7978"', "prefix must be a plus sign"),
        ('prefix = "+7978"', 'prefix = "+90392"', 'prefix "+90392" is there twice'),
        ('region = "UA-43"', 'region = "UA-4"', 'unknown region "UA-4"'),
        ('reason = "Numbers of Crimea', 'why = "Numbers of Crimea', "reason is missing"),
    ],
)
def test_refuses_a_set_that_does_not_say_what_it_seems_to(folder: Folder, old: str, new: str, told: str):
    folder.edit(FILE, old, new)
    assert any(problem.startswith(f"{FILE}:") and told in problem for problem in folder.problems())


def test_names_that_stand_for_each_other_are_told_as_a_circle(folder: Folder):
    folder.append(
        FILE, '\n[region.a]\ndescription = "a"\ninclude = ["b"]\n[region.b]\ndescription = "b"\ninclude = ["a"]\n'
    )
    line = folder.line(FILE, "region", "b", "include", 0)
    assert f'{FILE}:{line}: "a" stands for itself: a → b → a' in folder.problems()


def test_a_name_that_stands_for_itself_is_told(folder: Folder):
    folder.edit(FILE, 'include = ["EE", "LT", "LV"]', 'include = ["EE", "baltics"]')
    assert any('"baltics" stands for itself: baltics → baltics' in problem for problem in folder.problems())


def test_the_sdk_takes_the_overrides_as_they_are(policies: Policies):
    overrides = policies.regions.override_map()
    assert region_of("+79781234567", overrides) == "UA-43"
    assert region_of("+903921234567", overrides) == "CY"
    assert region_of("+447700900123", overrides) == "GB"
    assert all(override.reason for override in policies.regions.overrides)
