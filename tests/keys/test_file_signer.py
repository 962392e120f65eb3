"""Keys at rest: what is written, what is read back, and what is refused with which advice."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from licd.keys.file_signer import (
    MAX_KEY_FILE_BYTES,
    RECOMMENDED_COST,
    Argon2Cost,
    create_key_file,
    read_key_file,
    write_key_file,
)
from licd.keys.kinds import KeyPurpose
from licd.keys.private_file import KeyFileError, KeyFileReason
from tests.keys.sample import flip, stream

CHEAP = Argon2Cost(memory_kib=8, iterations=1, lanes=1)
PASSPHRASE = b"correct horse battery staple"
SEED = bytes(range(32))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "issuer.key"


def write(path: Path, passphrase: bytes | None = PASSPHRASE, purpose: KeyPurpose = KeyPurpose.LICENCE_ISSUER) -> None:
    write_key_file(path, purpose, SEED, passphrase=passphrase, randomness=stream("file"), cost=CHEAP)


def rewrite(path: Path, **changes: Any) -> None:
    fields = json.loads(path.read_bytes())
    for name, value in changes.items():
        if value is None:
            del fields[name]
        else:
            fields[name] = value
    path.write_text(json.dumps(fields))


def refusal(path: Path, passphrase: bytes | None = PASSPHRASE) -> KeyFileError:
    with pytest.raises(KeyFileError) as caught:
        read_key_file(path, passphrase)
    assert caught.value.path == path
    assert str(path) in str(caught.value)
    return caught.value


@pytest.mark.parametrize("purpose", KeyPurpose)
@pytest.mark.parametrize("passphrase", [PASSPHRASE, b"\x00\xff", None])
def test_a_key_comes_back_as_it_was_made(path: Path, purpose: KeyPurpose, passphrase: bytes | None) -> None:
    made = create_key_file(path, purpose, passphrase=passphrase, randomness=stream("key"), cost=CHEAP)
    read = read_key_file(path, passphrase)
    assert (read.key_id, read.purpose, read.public_key) == (made.key_id, purpose, made.public_key)
    assert read.sign(b"x") == made.sign(b"x")


def test_the_cost_of_a_guess_is_what_rfc_9106_recommends(path: Path) -> None:
    assert Argon2Cost(memory_kib=65536, iterations=3, lanes=4) == RECOMMENDED_COST
    create_key_file(path, KeyPurpose.ROOT, passphrase=PASSPHRASE, randomness=stream("key"))
    written = json.loads(path.read_bytes())["argon2id"]
    assert (written["memory_kib"], written["iterations"], written["lanes"]) == (65536, 3, 4)
    assert read_key_file(path, PASSPHRASE).purpose is KeyPurpose.ROOT


def test_only_the_owner_may_read_the_file(path: Path) -> None:
    write(path)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o606, 0o644, 0o610])
def test_refuses_a_file_that_others_may_touch_and_says_what_to_do(path: Path, mode: int) -> None:
    write(path)
    path.chmod(mode)
    refused = refusal(path)
    assert refused.reason is KeyFileReason.READABLE_BY_OTHERS
    assert f"chmod 600 {path}" in refused.detail


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_reads_a_file_that_only_its_owner_may_touch(path: Path, mode: int) -> None:
    write(path)
    path.chmod(mode)
    read_key_file(path, PASSPHRASE)


def test_a_protected_file_does_not_hold_the_secret(path: Path) -> None:
    write(path)
    assert SEED.hex() not in path.read_text()
    assert json.loads(path.read_text())["protection"] == "argon2id+aes-256-gcm"


def test_an_unprotected_file_says_so_plainly(path: Path) -> None:
    write(path, passphrase=None)
    assert json.loads(path.read_text())["protection"] == "none"


def test_two_files_of_one_key_and_passphrase_have_nothing_secret_in_common(tmp_path: Path) -> None:
    randomness = stream("both")
    sealed = []
    for name in ("one", "two"):
        write_key_file(tmp_path / name, KeyPurpose.ROOT, SEED, passphrase=PASSPHRASE, randomness=randomness, cost=CHEAP)
        fields = json.loads((tmp_path / name).read_text())
        sealed.append((fields["sealed_secret"], fields["nonce"], fields["argon2id"]["salt"]))
    assert all(one != two for one, two in zip(*sealed, strict=True))


def test_a_wrong_passphrase_is_called_so(path: Path) -> None:
    write(path)
    refused = refusal(path, b"wrong")
    assert refused.reason is KeyFileReason.PASSPHRASE_WRONG
    assert "passphrase is wrong" in refused.detail


@pytest.mark.parametrize("passphrase", [None, b""])
def test_a_missing_passphrase_is_called_so(path: Path, passphrase: bytes | None) -> None:
    write(path)
    assert refusal(path, passphrase).reason is KeyFileReason.PASSPHRASE_MISSING


def test_an_empty_passphrase_protects_nothing_and_writes_nothing(path: Path) -> None:
    with pytest.raises(KeyFileError) as caught:
        write(path, passphrase=b"")
    assert caught.value.reason is KeyFileReason.PASSPHRASE_MISSING
    assert not path.exists()


def test_a_file_without_protection_is_not_taken_where_a_passphrase_is_in_use(path: Path) -> None:
    write(path, passphrase=None)
    assert refusal(path, PASSPHRASE).reason is KeyFileReason.NOT_PROTECTED


def test_never_overwrites_a_key(path: Path) -> None:
    write(path)
    before = path.read_bytes()
    with pytest.raises(KeyFileError) as caught:
        create_key_file(path, KeyPurpose.ROOT, passphrase=None, randomness=stream("other"))
    assert caught.value.reason is KeyFileReason.EXISTS
    assert path.read_bytes() == before
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def test_a_file_that_is_not_there_is_called_so(path: Path) -> None:
    assert refusal(path).reason is KeyFileReason.MISSING


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"purpose": "permit-online"}, KeyFileReason.PASSPHRASE_WRONG),
        ({"key_id": "0000000000000000"}, KeyFileReason.PASSPHRASE_WRONG),
        ({"nonce": "00" * 12}, KeyFileReason.PASSPHRASE_WRONG),
        ({"sealed_secret": "00" * 48}, KeyFileReason.PASSPHRASE_WRONG),
        ({"public_key": "00" * 32}, KeyFileReason.MALFORMED),
        ({"purpose": "licence_issuer"}, KeyFileReason.MALFORMED),
        ({"purpose": 2}, KeyFileReason.MALFORMED),
        ({"format": "other"}, KeyFileReason.MALFORMED),
        ({"version": 2}, KeyFileReason.MALFORMED),
        ({"protection": "rot13"}, KeyFileReason.MALFORMED),
        ({"protection": None}, KeyFileReason.MALFORMED),
        ({"key_id": None}, KeyFileReason.MALFORMED),
        ({"key_id": 5}, KeyFileReason.MALFORMED),
        ({"public_key": None}, KeyFileReason.MALFORMED),
        ({"nonce": None}, KeyFileReason.MALFORMED),
        ({"nonce": "00" * 11}, KeyFileReason.MALFORMED),
        ({"nonce": "zz" * 12}, KeyFileReason.MALFORMED),
        ({"nonce": 12}, KeyFileReason.MALFORMED),
        ({"secret": "00" * 32}, KeyFileReason.MALFORMED),
        ({"comment": "mine"}, KeyFileReason.MALFORMED),
        ({"argon2id": 3}, KeyFileReason.MALFORMED),
        ({"argon2id": {}}, KeyFileReason.MALFORMED),
    ],
)
def test_refuses_an_altered_file(path: Path, changes: dict[str, Any], reason: KeyFileReason) -> None:
    write(path)
    rewrite(path, **changes)
    assert refusal(path).reason is reason


@pytest.mark.parametrize(
    "changes",
    [
        {"memory_kib": 7},
        {"memory_kib": (1 << 20) + 1},
        {"memory_kib": "8"},
        {"memory_kib": 8.0},
        {"iterations": 0},
        {"iterations": 65},
        {"iterations": True},
        {"lanes": 0},
        {"lanes": 65},
        {"lanes": 2},
        {"salt": "00"},
    ],
)
def test_refuses_parameters_that_would_take_this_machine_down_or_are_none(path: Path, changes: dict[str, Any]) -> None:
    write(path)
    argon2id = json.loads(path.read_bytes())["argon2id"]
    rewrite(path, argon2id=argon2id | changes)
    assert refusal(path).reason is KeyFileReason.MALFORMED


def test_cheaper_parameters_than_it_was_sealed_with_open_nothing(path: Path) -> None:
    write_key_file(
        path,
        KeyPurpose.ROOT,
        SEED,
        passphrase=PASSPHRASE,
        randomness=stream("file"),
        cost=Argon2Cost(memory_kib=16, iterations=2, lanes=1),
    )
    argon2id = json.loads(path.read_bytes())["argon2id"]
    rewrite(path, argon2id=argon2id | {"iterations": 1})
    assert refusal(path).reason is KeyFileReason.PASSPHRASE_WRONG


@pytest.mark.parametrize(
    "changes", [{"secret": "00" * 32}, {"key_id": "0" * 16}, {"secret": "00"}, {"secret": None}, {"nonce": "00"}]
)
def test_refuses_an_altered_unprotected_file(path: Path, changes: dict[str, Any]) -> None:
    write(path, passphrase=None)
    rewrite(path, **changes)
    assert refusal(path, None).reason is KeyFileReason.MALFORMED


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"null", b"\xff\xfe", b"[" * 4000, b'{"format": "licd-key"}'])
def test_refuses_a_file_that_is_no_key_file(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o600)
    assert refusal(path).reason is KeyFileReason.MALFORMED


def test_refuses_a_file_that_is_too_large(path: Path) -> None:
    path.write_bytes(b" " * (MAX_KEY_FILE_BYTES + 1))
    path.chmod(0o600)
    assert refusal(path).reason is KeyFileReason.TOO_LARGE


def test_no_message_tells_a_secret(path: Path) -> None:
    write(path, passphrase=None)
    rewrite(path, public_key="00" * 32)
    refused = refusal(path, None)
    assert SEED.hex() not in str(refused)
    assert SEED.hex() not in repr(refused)


def outcome(path: Path) -> str:
    try:
        return read_key_file(path, PASSPHRASE).key_id
    except KeyFileError as refused:
        return refused.reason


@given(st.integers(min_value=0))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bit_turned_in_a_file_is_refused_or_changes_nothing(path: Path, bit: int) -> None:
    path.unlink(missing_ok=True)
    write(path)
    expected = read_key_file(path, PASSPHRASE).key_id
    content = path.read_bytes()
    path.write_bytes(flip(content, bit % (8 * len(content))))
    # What changes nothing: hex in upper case, other white space.
    assert outcome(path) in {expected, KeyFileReason.MALFORMED, KeyFileReason.PASSPHRASE_WRONG}
