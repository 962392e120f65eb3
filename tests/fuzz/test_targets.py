"""Every target: valid samples hold, what once did harm does none, and so do some hundred changes from a fixed seed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from typing import Final

import pytest

from licd.v1.envelope_pb2 import Envelope
from tests.fuzz import runs, seeded
from tests.fuzz.mutation import of_message, of_text
from tests.fuzz.registry import TARGETS, opened
from tests.fuzz.target import REGRESSIONS, Part, Target, Violation, promise, refused_with

INPUTS: Final = {"seals": 1_500, "terms": 2_000, "cli_files": 500, "state_files": 800, "policies": 40, "sdk": 150,
                 "indicators": 120, "daemon": 900, "intake": 600}  # fmt: skip
SEED: Final = 20_260_101


@pytest.fixture(scope="module", params=sorted(TARGETS))
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    with opened(request.param) as made:
        yield made


def test_every_target_has_its_share_of_inputs_and_its_module():
    modules = {path.stem for path in (REGRESSIONS.parent / "targets").glob("*.py")} - {"__init__", "requests"}
    assert set(INPUTS) == set(TARGETS) == modules


def test_no_regression_is_of_a_target_that_is_gone():
    assert {path.name for path in REGRESSIONS.iterdir() if path.is_dir()} <= set(TARGETS)


def test_what_once_did_harm_does_none(target: Target):
    for path in target.regressions():
        seeded.judge(target, path.read_bytes())


def test_changes_do_no_harm(target: Target):
    with seeded.bounded_memory():
        for data in islice(seeded.inputs(target, SEED), INPUTS[target.name]):
            seeded.judge(target, data)


def test_the_same_seed_gives_the_same_inputs():
    with opened("seals") as one, opened("seals") as other:
        assert list(islice(seeded.inputs(one, 7), 400)) == list(islice(seeded.inputs(other, 7), 400))


# ------------------------------------------------------------------------------- fuzzing itself can find something
def careless(data: bytes) -> None:
    """A verifier that looks at nothing."""
    with refused_with(ValueError):
        envelope = Envelope.FromString(data) if data else Envelope()
        promise(envelope.payload in {b"", b"paid for one"}, "something was believed that nobody signed")


def planted(check: object = careless) -> Target:
    sample = Envelope(payload=b"paid for one", payload_type="t").SerializeToString()
    return Target("planted", (Part("one", (sample,), check, of_message(Envelope)),))  # type: ignore[arg-type]


def found(target: Target, count: int = 500) -> list[BaseException]:
    errors: list[BaseException] = []
    for data in islice(seeded.inputs(target, 1), count):
        try:
            seeded.judge(target, data)
        except Exception as error:  # noqa: BLE001 -- this is what is counted
            errors.append(error)
    return errors


def test_a_verifier_that_believes_anything_is_found():
    assert any(isinstance(error, Violation) for error in found(planted()))


def test_an_error_outside_of_the_family_is_found_and_says_with_which_input():
    def parse(data: bytes) -> None:
        with refused_with(ValueError):
            Envelope.FromString(data)  # DecodeError is no ValueError

    errors = found(planted(parse))
    assert any(type(error).__name__ == "DecodeError" for error in errors)
    assert all("target planted, input " in error.__notes__[0] for error in errors)


def test_a_reader_that_takes_longer_than_the_bound_is_found():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seeded, "CPU_LIMIT_NS", 0)
        errors = found(planted(lambda data: None), 3)
    assert ["ms of processor" in str(error) for error in errors] == [True] * 3


def test_a_reader_that_keeps_what_it_reads_is_found():
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Violation, match="MiB more"):
        patch.setattr(seeded, "GROWTH_LIMIT_KIB", -1)
        with seeded.bounded_memory():
            pass


def test_text_changes_reach_long_numbers_and_deep_nesting():
    part = Part("text", (b"a = 1\nb = [1]\n",), lambda data: None, of_text())
    made = list(islice(seeded.inputs(Target("text", (part,)), 1), 400))
    assert any(b"9" * 5000 in data for data in made)
    assert any(b"[" * 2000 in data for data in made)


def test_the_list_of_targets_is_what_the_command_shows():
    shown = subprocess.run(
        [sys.executable, "-m", "tests.fuzz"], cwd=runs.ROOT, capture_output=True, check=True, text=True
    )
    assert [line.split()[0] for line in shown.stdout.splitlines()] == list(TARGETS)
