"""SECURITY.md points at code and tests: every path is there, every named test too, and every threat has both."""

import re

import pytest

from tests.architecture.sources import ROOT

PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
ROWS = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if re.match(r"\| [STRIDE] \|", line)]
FILE = r"(?:licd|tests|policies|deploy|\.ci)/[A-Za-z0-9_./]+|pyproject\.toml|requirements\.lock"
POINTED = sorted(set(re.findall(rf"`({FILE})(::\w+)?`", PAGE)))
BOUNDARIES = (
    "Customers' listener", "Enrolment", "Operators' listener", "Metrics", "State directory", "SDK directory",
    "Who reads the log", "Supply chain",
)  # fmt: skip


@pytest.mark.parametrize(("path", "test"), POINTED)
def test_what_the_page_points_at_is_there(path: str, test: str) -> None:
    file = ROOT / path
    assert file.exists()
    if test:
        assert f"def {test.removeprefix('::')}(" in file.read_text(encoding="utf-8")


def test_every_threat_names_what_holds_it_and_a_test_that_is_run() -> None:
    assert len(ROWS) > 40
    for letter, threat, held, code, test in ROWS:
        assert letter in "STRIDE"
        assert threat
        assert held
        assert re.findall(r"`[^`]+`", code), threat
        assert all(each.startswith("tests/") for each in re.findall(r"`([^`]+)`", test)), threat


def test_every_boundary_has_its_threats() -> None:
    titles = re.findall(r"^### (.*)$", PAGE, re.MULTILINE)
    assert [any(title.startswith(wanted) for title in titles) for wanted in BOUNDARIES] == [True] * len(BOUNDARIES)
    assert {letter for letter, *_ in ROWS} == set("STRIDE")
