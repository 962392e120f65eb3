"""A log as static files: written by licctl out of an export, checked by licd-verify, and nothing of a value in them."""

from __future__ import annotations

import json
import random  # noqa: TID251 - seeded mistakes
from pathlib import Path

import pytest

from licd.cli.log_tiles import write_tiles
from licd.evidence.export import LogInvalid
from tests.evidence.sample import LOG
from tests.verify.sample import Story, verify

SIZE = 300


@pytest.fixture(scope="module")
def story() -> Story:
    story = Story(licence="a licence that nobody shall read of")
    for number in range(SIZE):
        story.tell("chain.head", system="north", sequence=number, head=b"h" * 32)
    return story


@pytest.fixture
def folder(story: Story, tmp_path: Path) -> Path:
    report, count = write_tiles(tmp_path / "tiles", story.lines(), LOG)
    assert (report.final.size, count) == (SIZE, 6)
    return tmp_path / "tiles"


def check(folder: Path, *more: object) -> int:
    return verify("tiles", folder, *more)


def test_the_files_are_the_log_and_go_on_from_what_was_kept(story: Story, folder: Path, tmp_path: Path, capsys):
    kept = tmp_path / "kept"
    kept.write_bytes(story.checkpoint(270))
    assert check(folder, "--held", kept, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["entries"], found["must_contain"]) == (SIZE, [270])


def test_no_value_and_no_salt_is_in_the_files(story: Story, folder: Path):
    together = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert b"sequence" in together
    assert b"nobody shall read" not in together
    assert b"chain.head" not in together
    salt = (7).to_bytes(8, "big") + (2).to_bytes(8, "big")
    assert salt in story.entries[7].encoded
    assert salt not in together


def test_files_gone_cut_or_altered_are_refused_by_name_and_without_a_traceback(folder: Path, capsys):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    assert len(files) == 6
    for seed in range(120):
        chance = random.Random(seed)
        path = chance.choice(files)
        whole = path.read_bytes()
        at = chance.randrange(len(whole))
        flipped = whole[:at] + bytes([whole[at] ^ 1 << chance.randrange(8)]) + whole[at + 1 :]
        path.write_bytes(chance.choice([whole[:at], flipped, whole + b"x"]))
        assert check(folder) == 1, f"seed {seed}: {path}"
        assert capsys.readouterr().err.startswith(f"licd-verify: does not hold: {folder}: "), f"seed {seed}"
        path.write_bytes(whole)
    for path in files:
        path.rename(path.with_suffix(".gone"))
        assert check(folder) == 1
        path.with_suffix(".gone").rename(path)
    assert check(folder) == 0


def test_a_folder_that_is_none_is_refused(tmp_path: Path, capsys):
    assert check(tmp_path / "nowhere") == 1
    assert "there is no file named checkpoint in it" in capsys.readouterr().err


def test_a_log_that_does_not_hold_leaves_no_folder(story: Story, tmp_path: Path):
    with pytest.raises(LogInvalid, match="does not end in a signed checkpoint"):
        write_tiles(tmp_path / "tiles", story.lines()[:-1], LOG)
    assert list(tmp_path.iterdir()) == []
