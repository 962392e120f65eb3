import os
from collections.abc import Callable
from pathlib import Path

import pytest

from licd.keys.private_file import (
    EVERYBODY,
    KeyFileError,
    KeyFileReason,
    read_private,
    read_public,
    replace,
    write_new,
)


def names(folder: Path) -> list[str]:
    return sorted(found.name for found in folder.iterdir())


def test_writes_a_new_file_whole(tmp_path: Path) -> None:
    write_new(tmp_path / "a", b"secret")
    assert read_private(tmp_path / "a", 100) == b"secret"
    assert names(tmp_path) == ["a"]


def test_the_mode_does_not_depend_on_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_new(tmp_path / "open", b"x")
        os.umask(0o777)
        write_new(tmp_path / "closed", b"x")
    finally:
        os.umask(before)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("open", "closed")] == [0o600, 0o600]


def test_a_new_file_does_not_follow_a_link_that_is_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KeyFileError) as caught:
        write_new(tmp_path / "link", b"x")
    assert caught.value.reason is KeyFileReason.EXISTS
    assert names(tmp_path) == ["link"]


def test_replaces_a_file_in_one_step(tmp_path: Path) -> None:
    replace(tmp_path / "a", b"old")
    replace(tmp_path / "a", b"new", 0o644)
    assert (tmp_path / "a").read_bytes() == b"new"
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("call", ["fsync", "fchmod"])
def test_a_disk_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    def fail(*arguments: object) -> None:
        raise OSError(28, "no space left")

    (tmp_path / "kept").write_bytes(b"old")
    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match="no space"):
        write_new(tmp_path / "new", b"x")
    with pytest.raises(OSError, match="no space"):
        replace(tmp_path / "kept", b"x")
    assert names(tmp_path) == ["kept"]
    assert (tmp_path / "kept").read_bytes() == b"old"


def test_file_and_directory_are_synced_before_it_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def watch(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watch)
    write_new(tmp_path / "a", b"x")
    assert len(synced) == 2
    assert synced[0].startswith(".a.")
    assert synced[1] == tmp_path.name


def test_reads_through_a_link_to_a_private_file(tmp_path: Path) -> None:
    write_new(tmp_path / "a", b"x")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert read_private(tmp_path / "link", 10) == b"x"


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir(mode=0o700)
    with pytest.raises(KeyFileError) as caught:
        read_private(tmp_path / "folder", 10)
    assert caught.value.reason is KeyFileReason.NOT_A_FILE


def test_a_pipe_is_no_file_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(KeyFileError) as caught:
        read_private(tmp_path / "pipe", 10)
    assert caught.value.reason is KeyFileReason.NOT_A_FILE


def test_reads_no_more_than_it_was_told(tmp_path: Path) -> None:
    write_new(tmp_path / "a", b"0123456789")
    assert read_private(tmp_path / "a", 10) == b"0123456789"
    with pytest.raises(KeyFileError) as caught:
        read_private(tmp_path / "a", 9)
    assert caught.value.reason is KeyFileReason.TOO_LARGE


def test_reasons_are_never_renamed() -> None:
    assert [reason.value for reason in KeyFileReason] == [
        "MISSING", "EXISTS", "READABLE_BY_OTHERS", "NOT_A_FILE", "TOO_LARGE", "MALFORMED", "PASSPHRASE_MISSING",
        "PASSPHRASE_WRONG", "NOT_PROTECTED", "WRITABLE_BY_OTHERS", "NOT_OURS",
    ]  # fmt: skip


# ------------------------------------------------------------------------------------------------ who else may write
def refusal(read: Callable[[Path, int], bytes], path: Path) -> KeyFileError:
    with pytest.raises(KeyFileError) as caught:
        read(path, 10)
    return caught.value


@pytest.mark.parametrize("read", [read_private, read_public])
@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777])
def test_a_file_in_a_folder_that_others_may_write_to_is_refused(
    tmp_path: Path, read: Callable[[Path, int], bytes], mode: int
) -> None:
    write_new(tmp_path / "file", b"secret")
    tmp_path.chmod(mode)
    error = refusal(read, tmp_path / "file")
    assert error.reason is KeyFileReason.WRITABLE_BY_OTHERS
    assert f"chmod go-w {tmp_path}" in str(error)


def test_a_folder_as_tmp_is_where_nobody_may_exchange_the_files_of_others_is_fine(tmp_path: Path) -> None:
    write_new(tmp_path / "file", b"secret")
    tmp_path.chmod(0o1777)
    assert read_private(tmp_path / "file", 10) == b"secret"


def test_the_folder_that_counts_is_the_one_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    write_new(tmp_path / "open" / "file", b"secret")
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "link").symlink_to(tmp_path / "open" / "file")
    assert refusal(read_private, tmp_path / "link").reason is KeyFileReason.WRITABLE_BY_OTHERS


def test_a_certificate_may_be_read_by_all_and_written_by_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_new(path, b"shown", EVERYBODY)
    assert read_public(path, 10) == b"shown"
    path.chmod(0o664)
    assert refusal(read_public, path).reason is KeyFileReason.WRITABLE_BY_OTHERS


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_new(tmp_path / "file", b"secret")
    os.chown(tmp_path / "file", 1001, -1)
    assert read_private(tmp_path / "file", 10) == b"secret"  # by root, who looks after it
    monkeypatch.setattr(os, "geteuid", lambda: 1002)
    assert refusal(read_private, tmp_path / "file").reason is KeyFileReason.NOT_OURS
    monkeypatch.setattr(os, "geteuid", lambda: 1001)
    assert read_private(tmp_path / "file", 10) == b"secret"
