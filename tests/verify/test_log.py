"""licd-verify log: what was exported is whole and was only added to, or it is refused by name, with no traceback."""

from __future__ import annotations

import json
import os
import random  # noqa: TID251 - seeded mistakes
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from licd.evidence.canonical import decode_base64, encode_base64
from licd.verify.main import main
from tests.evidence.sample import LOG_SIGNER, WITNESS, flip, make_signer
from tests.verify.sample import KEY, Story, stopped_story, verify, write

STRANGER = make_signer(LOG_SIGNER.key.name, bytes(range(1, 33)))


@pytest.fixture(scope="module")
def story() -> Story:
    return stopped_story()[0]


def refusal(capsys: pytest.CaptureFixture[str]) -> str:
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    return shown.err


def test_a_whole_log_holds_and_names_its_stops(story: Story, tmp_path: Path, capsys):
    file = story.save(tmp_path, checkpoints=(3, 7))
    assert verify("log", file, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["entries"] == len(story.entries)
    assert (found["checkpoints"], found["stops"]) == (3, [7])
    assert verify("log", file) == 0
    assert "stops: 7\n" in capsys.readouterr().out


def test_keys_are_read_from_a_file_with_remarks(story: Story, tmp_path: Path):
    keys = tmp_path / "keys"
    keys.write_text(f"# the log of the north\n{KEY}\n\n")
    assert verify("log", story.save(tmp_path), key=f"@{keys}") == 0


def test_a_later_export_goes_on_from_an_earlier_one_and_from_a_kept_checkpoint(story: Story, tmp_path: Path, capsys):
    kept = tmp_path / "kept"
    kept.write_bytes(story.checkpoint(4))
    early = Story(story.entries[:6]).save(tmp_path, "early")
    late = story.save(tmp_path, "late")
    assert verify("log", late, "--older", early, "--held", kept, "--json") == 0
    assert json.loads(capsys.readouterr().out)["must_contain"] == [4, 6]


@pytest.mark.parametrize("size", [5, 13])
def test_an_export_that_does_not_go_on_from_the_earlier_one_is_refused(tmp_path: Path, capsys, size: int):
    other, _ = stopped_story()
    other.at += 1
    other.tell("case.opened", case="one that nobody heard of")
    rewritten = other.entries[: size - 1] + other.entries[-1:]
    early = Story(rewritten).save(tmp_path, "early")
    late = stopped_story()[0].save(tmp_path, "late")
    assert verify("log", late, "--older", early) == 1
    said = refusal(capsys)
    assert f"the root over {size} entries is not the one in the held checkpoint" in said or (
        f"the log ends here, but a checkpoint of size {size} is held" in said
    )


def test_an_export_shorter_than_what_was_kept_is_refused(story: Story, tmp_path: Path, capsys):
    late = story.save(tmp_path, "late")
    early = Story(story.entries[:6]).save(tmp_path, "early")
    assert verify("log", early, "--older", late) == 1
    assert "the log ends here, but a checkpoint of size" in refusal(capsys)


def dropped(lines: list[str]) -> None:
    del lines[3]


def doubled(lines: list[str]) -> None:
    lines.insert(3, lines[3])


def swapped(lines: list[str]) -> None:
    lines[3], lines[4] = lines[4], lines[3]


def truncated(lines: list[str]) -> None:
    del lines[-3:]


def cut_in_a_line(lines: list[str]) -> None:
    lines[-1] = lines[-1][:-20]


def altered_value(lines: list[str]) -> None:
    entry = json.loads(lines[3])
    entry["entry"] = encode_base64(flip(decode_base64(entry["entry"]), 8 * 60))
    lines[3] = json.dumps(entry, separators=(",", ":"))


def another_log(lines: list[str]) -> None:
    lines[0] = lines[0].replace("licd.example", "licd.elsewhere")


def nothing_left(lines: list[str]) -> None:
    lines.clear()


@pytest.mark.parametrize(
    ("forge", "why"),
    [
        (dropped, "line 4, entry 2: entry 2 is missing, the line has index 3"),
        (doubled, "line 5, entry 3: entry 3 is missing, the line has index 2"),
        (swapped, "line 4, entry 2: entry 2 is missing, the line has index 3"),
        (truncated, "the log does not end in a signed checkpoint over all its entries"),
        (cut_in_a_line, "the line is not ASCII JSON"),
        (altered_value, "line 4, entry 2: the entry d"),
        (another_log, "the first line does not announce a licd-log/1 log of 'licd.example/log'"),
        (nothing_left, "the log does not end in a signed checkpoint"),
    ],
)
def test_a_forged_log_is_refused_with_where_and_why(
    story: Story, tmp_path: Path, capsys, forge: Callable[[list[str]], None], why: str
):
    lines = story.lines()
    forge(lines)
    assert verify("log", write(tmp_path / "log", lines)) == 1
    assert why in refusal(capsys)


def test_a_consistent_log_by_another_key_is_refused(story: Story, tmp_path: Path, capsys):
    assert verify("log", story.save(tmp_path), key=STRANGER.key.encode()) == 1
    assert "no signature by a known key" in refusal(capsys)


def test_a_withdrawn_key_vouches_for_what_a_newer_covers_and_not_for_the_end(story: Story, tmp_path: Path, capsys):
    new = STRANGER
    lines = story.lines([4])
    lines[-1] = json.dumps({"checkpoint": story.checkpoint(signer=new).decode()}, separators=(",", ":"))
    file = write(tmp_path / "log", lines)
    assert verify("log", file, "--former-key", KEY, key=new.key.encode()) == 0
    assert verify("log", file, key=new.key.encode()) == 1
    assert verify("log", story.save(tmp_path), "--former-key", KEY, key=new.key.encode()) == 1
    assert "no signature by a known key" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("north", "a verifier key has the form name+id+key"),
        (KEY[:-4] + "AAAA", "the id of verifier key"),
        (WITNESS.key.encode(), "is a key for cosignature_v1, and not for ed25519"),
        ("@nowhere", "cannot be read: nowhere: No such file"),
    ],
)
def test_a_key_that_is_none_asks_nothing(story: Story, tmp_path: Path, capsys, key: str, why: str):
    assert verify("log", story.save(tmp_path), key=key) == 2
    assert why in refusal(capsys)


def test_keys_of_two_logs_ask_nothing(story: Story, tmp_path: Path, capsys):
    other = make_signer("elsewhere/log", bytes(32))
    assert verify("log", story.save(tmp_path), "--key", other.key.encode()) == 2
    assert "the keys of one log have one name" in refusal(capsys)
    assert verify("log", story.save(tmp_path), "--key", KEY) == 2
    assert "one key is there twice" in refusal(capsys)


def test_what_cannot_be_read_is_not_called_forged(tmp_path: Path, capsys):
    assert verify("log", tmp_path / "nowhere") == 2
    assert "nowhere: No such file" in refusal(capsys)
    assert verify("log", tmp_path) == 2
    assert "Is a directory" in refusal(capsys)


@pytest.mark.parametrize("arguments", [[], ["log"], ["log", "f"], ["suspension", "f", "--key", KEY], ["--json"]])
def test_a_question_without_a_form_is_refused_as_usage(arguments: list[str], capsys):
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_nothing_of_a_hostile_file_reaches_the_terminal_as_an_order(tmp_path: Path, capsys):
    story = Story(licence="\x1b]0;owned\x07")
    story.enrol("one")
    stop = story.suspend()
    assert verify("suspension", story.save(tmp_path), "--entry", stop) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\\x1b]0;owned\\x07" in out


def mutated(data: bytes, chance: random.Random) -> bytes:
    """The file with one to four mistakes of the kinds that disks, editors and forgers make."""
    lines = data.split(b"\n")
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(lines))
        match chance.randrange(7):
            case 0:
                lines.pop(at)
                lines = lines or [b""]
            case 1:
                lines.insert(at, lines[chance.randrange(len(lines))])
            case 2:
                other = chance.randrange(len(lines))
                lines[at], lines[other] = lines[other], lines[at]
            case 3 if lines[at]:
                lines[at] = flip(lines[at], chance.randrange(8 * len(lines[at])))
            case 4:
                lines[at] = lines[at][: chance.randrange(len(lines[at]) + 1)]
            case 5:
                lines[at] = chance.choice([b"{}", b"[" * 5000, b'{"index":1e9}', b"\xff\xfe", b"9" * 5000, b"null"])
            case _:
                lines = lines[: at + 1]
    return b"\n".join(lines)


def told(data: bytes) -> list[bytes]:
    return [line for line in data.split(b"\n") if line and not line.startswith(b'{"checkpoint"')]


@pytest.mark.parametrize("claim", ["log", "suspension"])
def test_no_mutation_of_a_log_holds_or_ends_in_a_traceback(story: Story, tmp_path: Path, capsys, claim: str):
    """Seeded. One may hold only when header and entries are what they were: checkpoints may come again, or be fewer."""
    whole = ("\n".join(story.lines([3, 9])) + "\n").encode()
    file = tmp_path / "log"
    kept = tmp_path / "kept"
    kept.write_bytes(story.checkpoint())
    more = ["--held", str(kept), *(["--entry", "7"] if claim == "suspension" else [])]
    refused = 0
    for seed in range(300):
        data = mutated(whole, random.Random(seed))
        file.write_bytes(data)
        code = verify(claim, file, *more)
        assert code == 1 or told(data) == told(whole), f"seed {seed}"
        assert code == 0 or data != whole, f"seed {seed}"
        refused += code
        said = capsys.readouterr().err
        assert not code or said.startswith("licd-verify: does not hold: "), f"seed {seed}: {said}"
    assert refused > 250


def test_no_mutation_of_a_kept_checkpoint_or_of_a_key_ends_in_a_traceback(story: Story, tmp_path: Path, capsys):
    file, kept = story.save(tmp_path), tmp_path / "kept"
    for seed in range(100):
        chance = random.Random(seed)
        kept.write_bytes(mutated(story.checkpoint(5), chance))
        assert verify("log", file, "--held", kept) in {0, 1}
        (tmp_path / "keys").write_bytes(mutated(KEY.encode(), chance))
        assert verify("log", file, key=f"@{tmp_path / 'keys'}") in {0, 1, 2}
    assert "Traceback" not in capsys.readouterr().err


def test_the_program_brings_nothing_of_the_daemon_along(story: Story, tmp_path: Path):
    """Imported for real, in a process of its own: what the import contract says of sources holds at run time too."""
    program = (
        "import sys\n"
        "from licd.verify.main import main\n"
        "code = main(sys.argv[1:])\n"
        "heavy = {'grpc', 'sqlalchemy', 'typer', 'pydantic', 'structlog', 'asyncio', 'sqlite3', 'socket', 'ssl'}\n"
        "ours = {name for name in sys.modules if name.startswith('licd.')}\n"
        "allowed = ('licd.verify', 'licd.evidence', 'licd.keys', 'licd.v1')\n"
        "print(sorted(heavy & set(sys.modules)), sorted(each for each in ours if not each.startswith(allowed)))\n"
        "sys.exit(code)\n"
    )
    command = [sys.executable, "-c", program, "log", str(story.save(tmp_path)), "--key", KEY]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[] []"


def test_a_file_with_a_name_that_is_no_text_is_spelled_out_whatever_the_terminal(story: Story, tmp_path: Path):
    file = story.save(tmp_path)
    odd = os.fsencode(tmp_path) + b"/north\xff\xc3\xb8.log"
    os.rename(file, odd)  # noqa: PTH104 - a name of bytes
    for encoding in ("ascii", "utf-8", "latin-1"):
        command: list[str | bytes] = [sys.executable, "-m", "licd.verify.main", "log", odd, "--key", KEY]
        environment = os.environ | {"PYTHONIOENCODING": encoding}
        done = subprocess.run(command, capture_output=True, check=False, timeout=60, env=environment)
        assert (done.returncode, done.stderr) == (0, b"")
        assert b"north\\udcff" in done.stdout


def test_a_reader_who_went_away_is_no_success_and_no_traceback(story: Story, tmp_path: Path):
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "licd.verify.main", "log", str(story.save(tmp_path)), "--key", KEY]
    with os.fdopen(writing, "wb") as pipe:
        done = subprocess.run(command, stdout=pipe, stderr=subprocess.PIPE, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (2, b"")
