"""A state whose rows are on a PostgreSQL server: moved there and back, looked after as one in a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from shutil import copyfile, copytree

import pytest

from licd.ledger.schema import head, revision
from licd.server.snapshot import Snapshot
from licd.server.state_dir import StateDirectory
from tests.daemon import serving
from tests.office import Office
from tests.postgres import Server, serving_postgres
from tests.server.command.conftest import Licd


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving_postgres() as made:
        yield made


@pytest.fixture
def url(server: Server) -> str:
    return server.new_database()


@pytest.fixture
def moved(licd: Licd, state: StateDirectory, url: str) -> StateDirectory:
    """The state's rows are on the server, and its file is gone."""
    done = licd("import", "--state", state.root, "--from", state.database, "--database", url)
    assert done.code == 0, done.err
    state.database.rename(state.root / "before.db")
    with (state.root / "licd.toml").open("a") as file:
        file.write(f'[database]\nurl = "{url}"\n')
    return state


def tables(path: Path) -> dict[str, list[tuple[object, ...]]]:
    with Snapshot(path) as rows:
        names = [str(name) for (name,) in rows.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            name: sorted(rows.execute(f"SELECT * FROM {name}"), key=repr)  # noqa: S608 -- names of ours
            for name in names
            if name != "clock_anchor"
        }


def test_rows_go_to_the_server_and_back_and_are_the_same(licd: Licd, moved: StateDirectory, tmp_path: Path) -> None:
    assert licd("export", "--state", moved.root, "--to", tmp_path / "all.db").code == 0
    assert tables(tmp_path / "all.db") == tables(moved.root / "before.db")
    back = StateDirectory(tmp_path / "back")
    copytree(moved.root, back.root, ignore=lambda *_: {"before.db"})
    text = (back.root / "licd.toml").read_text()
    (back.root / "licd.toml").write_text(text[: text.index("[database]")])
    assert licd("import", "--state", back.root, "--from", tmp_path / "all.db").code == 0
    assert tables(back.database) == tables(moved.root / "before.db")
    with serving(back) as daemon:
        Office(daemon).licence()


def test_what_was_decided_on_the_server_is_in_the_export(licd: Licd, moved: StateDirectory, tmp_path: Path) -> None:
    with serving(moved) as daemon:
        licence = Office(daemon).licence()
        assert licd("export", "--state", moved.root, "--to", tmp_path / "all.db").code == 0
    with Snapshot(tmp_path / "all.db") as rows:
        assert rows.execute("SELECT id FROM licence") == [(licence,)]


def test_nothing_is_imported_over_rows_that_are_there(licd: Licd, moved: StateDirectory) -> None:
    done = licd("import", "--state", moved.root, "--from", moved.root / "before.db")
    assert done.code != 0
    assert "not mixed" in done.err


def test_rows_that_were_changed_are_not_imported(licd: Licd, state: StateDirectory, url: str, tmp_path: Path) -> None:
    import sqlite3  # noqa: PLC0415 -- what somebody does behind licd's back

    copyfile(state.database, tmp_path / "changed.db")
    with sqlite3.connect(tmp_path / "changed.db") as rows:
        rows.execute("UPDATE operator SET roles = 'everything'")
    done = licd("import", "--state", state.root, "--from", tmp_path / "changed.db", "--database", url)
    assert done.code != 0
    assert "behind licd's back" in done.err


def test_nothing_is_exported_over_a_file_that_is_there(licd: Licd, moved: StateDirectory, tmp_path: Path) -> None:
    (tmp_path / "all.db").touch()
    assert "overwritten" in licd("export", "--state", moved.root, "--to", tmp_path / "all.db").err


def test_doctor_looks_at_the_server(licd: Licd, moved: StateDirectory, server: Server, url: str) -> None:
    done = licd("doctor", "--state", moved.root)
    assert f"127.0.0.1:{server.port}/" in done.out
    assert f"is at schema {head()}" in done.out
    assert "they are what the signed checkpoint says" in done.out


def test_doctor_says_when_the_server_cannot_be_reached(licd: Licd, moved: StateDirectory, url: str) -> None:
    file = moved.root / "licd.toml"
    file.write_text(file.read_text().replace(url, "postgresql://licd@127.0.0.1:9/none"))
    assert "127.0.0.1:9/none cannot be reached" in licd("doctor", "--state", moved.root).out


def test_a_backup_is_made_of_the_servers_rows_and_not_put_back_over_them(
    licd: Licd, moved: StateDirectory, tmp_path: Path
) -> None:
    assert licd("backup", "--state", moved.root, "--to", tmp_path / "b").code == 0
    done = licd("restore", "--state", moved.root, tmp_path / "b")
    assert done.code != 0
    assert "licd import" in done.err


def test_certificates_are_renewed_by_what_the_servers_rows_say(licd: Licd, moved: StateDirectory) -> None:
    assert licd("renew-certificates", "--state", moved.root).code == 0


def test_an_empty_server_is_not_served_from(licd: Licd, state: StateDirectory, url: str) -> None:
    done = licd("serve", "--state", state.root, "--database", url)
    assert done.code != 0
    assert "licd import" in done.err


def test_an_older_schema_is_served_from_when_it_was_migrated(licd: Licd, moved: StateDirectory, url: str) -> None:
    from alembic import command  # noqa: PLC0415 -- as `licd migrate` does it

    from licd.ledger.schema import _config  # noqa: PLC0415

    command.downgrade(_config(url), "-1")
    done = licd("serve", "--state", moved.root)
    assert done.code != 0
    assert "licd migrate" in done.err
    assert licd("migrate", "--state", moved.root).code == 0
    assert revision(url) == head()
    with serving(moved) as daemon:
        Office(daemon).licence()


def test_a_replica_is_added_with_keys_and_ports_of_its_own(licd: Licd, moved: StateDirectory, tmp_path: Path) -> None:
    done = licd(
        "add-replica", "--state", moved.root, "--to", tmp_path / "two", "--name", "replica-2", "--base-port", 7541
    )
    assert done.code == 0, done.err
    text = (tmp_path / "two" / "licd.toml").read_text()
    assert 'customer = "127.0.0.1:7542"' in text
    assert (tmp_path / "two" / "keys" / "permit-online.key").read_bytes() == (
        moved.root / "keys" / "permit-online.key"
    ).read_bytes()
    assert not (tmp_path / "two" / "operators").exists()
    assert not (tmp_path / "two" / "root").exists()


def test_rows_in_a_file_are_not_shared(licd: Licd, state: StateDirectory, tmp_path: Path) -> None:
    done = licd(
        "add-replica", "--state", state.root, "--to", tmp_path / "two", "--name", "replica-2", "--base-port", 7541
    )
    assert done.code != 0
    assert "PostgreSQL" in done.err
