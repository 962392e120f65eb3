"""Witnesses: k of them must have cosigned, and a claim holds only in what they have seen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from licd.evidence import merkle
from licd.evidence.addition import encode_addition
from licd.evidence.cosignature import cosign
from licd.evidence.note import SignatureType, Signer, parse_note
from tests.evidence.sample import LOG_SIGNER, flip, make_signer
from tests.verify.sample import Story, stopped_story, verify

ANNA, BERT, CARL = (
    make_signer(f"{name}.example/w", name.encode().ljust(32), SignatureType.COSIGNATURE_V1)
    for name in ("anna", "bert", "carl")
)
KNOWN = [word for each in (ANNA, BERT, CARL) for word in ("--witness", each.key.encode())]
STORY, STOP = stopped_story()
SIZE = len(STORY.entries)


def cosigned(story: Story, size: int, *witnesses: Signer) -> bytes:
    note = parse_note(story.checkpoint(size))
    for each in witnesses:
        note = note.with_signature(cosign(note, each, 1_800_000_000_000))
    return note.encode()


def saved(folder: Path, *files: bytes) -> list[str]:
    words = []
    for number, data in enumerate(files):
        path = folder / f"cosigned-{number}"
        path.write_bytes(data)
        words += ["--cosigned", str(path)]
    return words


def test_k_witnesses_vouch_for_what_the_kth_has_seen(tmp_path: Path, capsys):
    words = saved(tmp_path, cosigned(STORY, 9, ANNA, BERT), cosigned(STORY, 12, ANNA), cosigned(STORY, 3, CARL))
    file = STORY.save(tmp_path)
    for demanded, size in ((1, 12), (2, 9), (3, 3)):
        assert verify("log", file, *words, *KNOWN, "--witnesses", demanded, "--json") == 0
        found = json.loads(capsys.readouterr().out)
        assert found["witnessed_entries"] == size
        assert found["witnesses"] == ["anna.example/w (12)", "bert.example/w (9)", "carl.example/w (3)"]


@pytest.mark.parametrize("claim", [["log"], ["suspension", "--entry", STOP]])
def test_too_few_witnesses_are_refused(tmp_path: Path, capsys, claim: list[object]):
    words = saved(tmp_path, cosigned(STORY, SIZE, ANNA, BERT))
    first, *more = claim
    assert verify(str(first), STORY.save(tmp_path), *more, *words, *KNOWN, "--witnesses", 3) == 1
    assert "--witnesses: 3 demanded, and 2 of them have cosigned" in capsys.readouterr().err
    assert verify(str(first), STORY.save(tmp_path), *more, *words, *KNOWN, "--witnesses", 2) == 0


def test_an_effect_that_no_witness_has_seen_yet_is_not_enough(tmp_path: Path, capsys):
    words = saved(tmp_path, cosigned(STORY, STOP + 1, ANNA))
    file = STORY.save(tmp_path)
    assert verify("suspension", file, "--entry", STOP) == 0
    assert verify("suspension", file, "--entry", STOP, *words, *KNOWN, "--witnesses", 1) == 1
    assert f"in the {STOP + 1} entries that 1 witnesses have seen: the stop of entry {STOP} is not shown" in (
        capsys.readouterr().err
    )


def test_a_log_that_showed_its_witnesses_another_history_is_refused(tmp_path: Path, capsys):
    other, _ = stopped_story()
    other.entries[4], other.entries[5] = other.entries[5], other.entries[4]
    words = saved(tmp_path, cosigned(other, SIZE, ANNA, BERT))
    assert verify("log", STORY.save(tmp_path), *words, *KNOWN, "--witnesses", 2) == 1
    assert f"the root over {SIZE} entries is not the one in the held checkpoint" in capsys.readouterr().err


def test_unknown_witnesses_do_not_count_and_do_no_harm(tmp_path: Path, capsys):
    words = saved(tmp_path, cosigned(STORY, SIZE, ANNA, BERT, CARL))
    known = ["--witness", ANNA.key.encode()]
    assert verify("log", STORY.save(tmp_path), *words, *known, "--witnesses", 1, "--json") == 0
    assert json.loads(capsys.readouterr().out)["witnesses"] == [f"anna.example/w ({SIZE})"]


def test_a_cosignature_of_an_empty_log_vouches_for_nothing(tmp_path: Path):
    words = saved(tmp_path, cosigned(STORY, 0, ANNA))
    assert verify("log", STORY.save(tmp_path), *words, *KNOWN, "--witnesses", 1) == 1


def test_every_flipped_bit_of_a_cosigned_checkpoint_is_refused(tmp_path: Path):
    file, words = STORY.save(tmp_path), saved(tmp_path, b"")
    data = cosigned(STORY, SIZE, ANNA)
    for bit in range(0, len(data) * 8, 3):
        Path(words[1]).write_bytes(flip(data, bit))
        assert verify("log", file, *words, *KNOWN, "--witnesses", 1) == 1, f"bit {bit}"


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ([*KNOWN, "--witnesses", 4], "4 demanded, and 3 known by --witness"),
        ([*KNOWN], "say how many of them must have cosigned"),
        (["--witness", LOG_SIGNER.key.encode(), "--witnesses", 1], "is a key for ed25519, and not for cosignature_v1"),
        (["--witnesses", 1], "1 demanded, and 0 known by --witness"),
        ([*KNOWN, "--witness", ANNA.key.encode(), "--witnesses", 4], "one key is there twice"),
    ],
)
def test_what_could_never_be_fulfilled_is_not_asked(tmp_path: Path, capsys, more: list[object], why: str):
    assert verify("log", STORY.save(tmp_path), *more) == 2
    assert why in capsys.readouterr().err


def test_the_log_is_no_witness_of_itself(tmp_path: Path, capsys):
    own = make_signer("anybody", bytes(range(32)), SignatureType.COSIGNATURE_V1)
    words = saved(tmp_path, cosigned(STORY, SIZE, own))
    assert verify("log", STORY.save(tmp_path), *words, "--witness", own.key.encode(), "--witnesses", 1) == 2
    assert "nobody is a witness of himself" in capsys.readouterr().err


def test_a_checkpoint_goes_on_from_an_older_one_by_its_proof(tmp_path: Path, capsys):
    old, asked = tmp_path / "old", tmp_path / "asked"
    old.write_bytes(STORY.checkpoint(5))
    proof = merkle.consistency_proof(STORY.leaves, 5, SIZE)
    asked.write_bytes(encode_addition(5, proof, STORY.checkpoint()))
    assert verify("addition", asked, "--old", old) == 0
    assert f"the log of {SIZE} entries goes on from that of 5" in capsys.readouterr().out
    asked.write_bytes(encode_addition(5, proof[::-1], STORY.checkpoint()))
    assert verify("addition", asked, "--old", old) == 1
    assert f"asked: the proof from 5 to {SIZE} does not lead to the" in capsys.readouterr().err
    old.write_bytes(STORY.checkpoint(6))
    assert verify("addition", asked, "--old", old) == 1
    assert "goes on from size 5, the latest one held is of 6" in capsys.readouterr().err
