import pytest

from licd.policy import Policies
from tests.policy.folder import Folder


def test_reads_purposes_by_scheme(policies: Policies):
    purposes = policies.purposes
    assert purposes.permitted["licd:serious-crime"].offence_required
    assert not purposes.permitted["sar:search-and-rescue"].offence_required
    assert purposes.standing("licd:journalism") == "prohibited"
    assert purposes.schemes["ipa20"].version


def test_reads_offences_with_the_least_penalty_of_their_scheme(policies: Policies):
    offences = policies.offences.offences
    assert len([code for code in offences if code.startswith("eaw:")]) == 32
    assert len([code for code in offences if code.startswith("aia2:")]) == 16
    assert offences["euud-il:terrorist-act"].least_penalty_years == 6


def test_no_purpose_is_permitted_and_prohibited(folder: Folder):
    folder.edit("purposes.toml", "journalism = ", 'terrorism = "x"\njournalism = ')
    line = folder.line("purposes.toml", "scheme", "licd", "prohibited", "terrorism")
    assert folder.problems() == [f"purposes.toml:{line}: licd:terrorism is permitted above and prohibited here"]


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("purposes.toml", "offence_required = true", "", "offence_required is missing"),
        ("purposes.toml", 'version = "2.1"', "", "version is missing"),
        (
            "purposes.toml",
            "[scheme.dpv.purpose.CrimeDetection]",
            '[scheme.dpv.purpose."Crime Detection"]',
            "must be letters",
        ),
        ("purposes.toml", "journalism = ", '"*" = ', 'the code "*" must be letters'),
        ("offences.toml", 'fraud = "Fraud', 'fraud = ""#', "fraud must be a text that is not blank"),
        ("offences.toml", "least_penalty_years = 3", "least_penalty_years = -1", "from 0 to 100, got -1"),
        ("offences.toml", "[scheme.euud-il]", "[scheme.EUUD]", "must be small letters"),
    ],
)
def test_refuses_a_scheme_that_is_not_sound(folder: Folder, file: str, old: str, new: str, told: str):
    folder.edit(file, old, new)
    assert any(problem.startswith(f"{file}:") and told in problem for problem in folder.problems())


@pytest.mark.parametrize("file", ["purposes.toml", "offences.toml"])
def test_there_is_at_least_one_scheme(folder: Folder, file: str):
    folder.write(file, "example = true\nscheme = {}\n")
    assert f"{file}:1: there must be at least one [scheme.NAME]" in folder.problems()
