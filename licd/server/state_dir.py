"""What is where in a state directory, and that one daemon at a time works on it."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Self

from licd.core.errors import Invalid
from licd.keys.kinds import KeyPurpose


@lru_cache
def _hold_of(root: Path) -> str:
    return str(root / "hold")


@dataclass(frozen=True, slots=True)
class StateDirectory:
    """Paths. Everything licd keeps on this machine is below root."""

    root: Path

    @property
    def database(self) -> Path:
        """The SQLite file; its -wal and -shm lie beside it."""
        return self.root / "licd.db"

    @property
    def reserve(self) -> Path:
        """Disk space set aside."""
        return self.root / "reserve"

    @property
    def hold(self) -> Path:
        """The switch: while it is there, nothing is signed."""
        return Path(_hold_of(self.root))

    @property
    def lock(self) -> Path:
        """Held by whoever works on the directory."""
        return self.root / "lock"

    def key(self, purpose: KeyPurpose) -> Path:
        """An online key."""
        return self.root / "keys" / f"{purpose.word}.key"

    def keys(self, purpose: KeyPurpose) -> list[Path]:
        """Every key file of a purpose: PURPOSE.key, and PURPOSE-ANYTHING.key while one takes over from another."""
        folder = self.root / "keys"
        return sorted({*folder.glob(f"{purpose.word}.key"), *folder.glob(f"{purpose.word}-*.key")})

    def authorities(self) -> list[tuple[Path, Path]]:
        """Certificate and key of every TLS authority here: authority.pem, authority-ANYTHING.pem, keys beside them."""
        found = sorted((self.root / "tls").glob("authority*.pem"))
        return [(each, each.with_suffix(".key")) for each in found if each.with_suffix(".key").exists()]

    def root_key(self, number: int) -> Path:
        """A root key; to be moved off this machine."""
        return self.root / "root" / f"root-{number}.key"

    @property
    def authority(self) -> tuple[Path, Path]:
        """Certificate and key of the TLS authority."""
        return self.root / "tls" / "authority.pem", self.root / "tls" / "authority.key"

    @property
    def server(self) -> tuple[Path, Path]:
        """Certificate chain and key of the listeners."""
        return self.root / "tls" / "server.pem", self.root / "tls" / "server.key"

    def operator(self, name: str) -> Path:
        """What licctl of one operator needs."""
        return self.root / "operators" / name

    def exists(self) -> bool:
        """Whether somebody has made something there: a directory with anything in it."""
        return self.root.is_dir() and any(self.root.iterdir())

    def held(self) -> bool:
        """Whether the local hold switch is set. A switch that cannot be looked at counts as set."""
        try:
            os.lstat(_hold_of(self.root))  # before every signature: no path is put together for it
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return True


class DirectoryInUse(Invalid):
    """Another daemon works on this state directory."""


class DirectoryLock:
    """Held for as long as the daemon lives; the kernel lets go of it when the process dies."""

    def __init__(self, state: StateDirectory) -> None:
        """Raises DirectoryInUse."""
        if not state.root.is_dir():
            raise Invalid(
                f"{state.root} is no state directory; `licd init --state {state.root}` makes one", field="state"
            )
        self._file = os.open(state.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._file)
            raise DirectoryInUse(f"another licd works on {state.root}; stop it first", field="state") from error

    def release(self) -> None:
        """Lets another daemon in."""
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def in_use(state: StateDirectory) -> bool:
    """Whether a licd works on the directory now. Looks, and leaves nothing behind."""
    try:
        file = os.open(state.lock, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False
