"""A peer's server: its Debian package, its process, and TLS with client certificates as licd has it."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench import clock
from tests.bench.stage import Stage

PATIENCE = 30.0


class Absent(Exception):
    """What a measure needs is not on this machine; the text says how to get it."""


@dataclass(frozen=True, slots=True)
class Papers:
    """PEM files: who vouches, the server's certificate and key, and those of a client."""

    authority: Path
    server: Path
    server_key: Path
    client: Path
    client_key: Path


@dataclass(frozen=True, slots=True)
class Difference:
    """What the two sides of a comparison do for a lease. Neither is only the other with more speed."""

    ours: str
    theirs: str


def program(name: str, package: str, *also: Path) -> str:
    """The path of a program. Raises Absent with the install line."""
    found = shutil.which(name) or next((str(each) for each in also if each.exists()), None)
    if found is None:
        raise Absent(f"{name} is not here: apt-get install {package}")
    return found


def papers(stage: Stage, folder: Path, owner: str = "") -> Papers:
    """Copies of the stage's own certificates, for the user that the peer's server runs as."""
    operator = stage.state / "operators" / "alice"
    sources = {
        "ca.pem": operator / "ca.pem",
        "server.pem": stage.state / "tls" / "server.pem",
        "server.key": stage.state / "tls" / "server.key",
        "client.pem": operator / "tls.pem",
        "client.key": operator / "tls.key",
    }
    for name, source in sources.items():
        target = folder / name
        target.write_bytes(source.read_bytes())
        target.chmod(0o600)
        if owner:
            shutil.chown(target, owner)
    return Papers(*(folder / name for name in sources))


def free_port() -> int:
    """A port of the loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(command: Sequence[str], port: int, log: Path, user: str | None = None) -> Iterator[None]:
    """The process, from when it listens until it has ended. Raises AssertionError when it does not come up."""
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, user=user, cwd=log.parent)
    try:
        until(lambda: process.poll() is not None or _listens(port), "it listens")
        assert process.poll() is None, f"{command[0]} ended: {log.read_text()[-600:]}"
        yield
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE)


def until(condition: Callable[[], bool], what: str) -> None:
    """Looks again and again until it is so."""
    deadline = clock.seconds() + PATIENCE
    while not condition():
        assert clock.seconds() < deadline, f"never: {what}"
        clock.pause(0.05)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
