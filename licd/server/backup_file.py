"""A backup: one tar file whose first member says what the others are, each with its hash.

backup.json   {"format": "licd-backup", "version": 1, "made_at_ms", "trust_domain", "log_size", "log_root" …, "files"}
licd.db       the database, whole and by itself
licd.toml, policies/…, tls/*.pem, operators/*/*.pem …, and with keys keys/*.key, root/*.key …
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final

from licd.core.errors import Invalid
from licd.core.time import Instant

FORMAT: Final = "licd-backup"
VERSION: Final = 1
MANIFEST: Final = "backup.json"
MANIFEST_LIMIT: Final = 16 * 1024 * 1024
DATABASE: Final = "licd.db"
NAMES: Final = re.compile(r"licd\.(?:db|toml)|(?:policies|tls|operators|keys|root)/[^/].*")
CHUNK: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says of itself. files gives the SHA-256 of each, in hex."""

    made_at_ms: Instant
    trust_domain: str
    licd: str
    schema: str
    log_size: int
    clock_mark_ms: Instant
    with_keys: bool
    files: Mapping[str, str]

    def text(self) -> bytes:
        """As it stands in the file."""
        return json.dumps({"format": FORMAT, "version": VERSION, **asdict(self)}, indent=2).encode() + b"\n"


def write_backup(target: IO[bytes], manifest: Manifest, sources: Mapping[str, Path]) -> None:
    """Writes the members in order, readable by their owner alone. Raises OSError."""
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as archive:
        text = manifest.text()
        archive.addfile(_member(MANIFEST, len(text), manifest.made_at_ms), io.BytesIO(text))
        for name, path in sources.items():
            with path.open("rb") as source:
                size = source.seek(0, io.SEEK_END)
                source.seek(0)
                archive.addfile(_member(name, size, manifest.made_at_ms), source)


def _member(name: str, size: int, at: Instant) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = size, 0o600, at // 1000
    return member


TYPES: Final = {
    "made_at_ms": int,
    "trust_domain": str,
    "licd": str,
    "schema": str,
    "log_size": int,
    "clock_mark_ms": int,
    "with_keys": bool,
    "files": dict,
}


class BackupFile:
    """A backup that is read. Nothing in it is believed before its hash was compared."""

    def __init__(self, archive: tarfile.TarFile, path: Path) -> None:
        """Raises Invalid when it does not begin with a manifest that this licd reads."""
        self._archive: Final = archive
        self._path: Final = path
        self.manifest: Final = self._read_manifest()

    def _read_manifest(self) -> Manifest:
        member = self._archive.next()
        if member is None or member.name != MANIFEST or not member.isfile() or member.size > MANIFEST_LIMIT:
            raise self._no_backup("it does not begin with a manifest")
        found = self._fields(self._stream(member).read(MANIFEST_LIMIT))
        if {name: type(value) for name, value in found.items()} != TYPES:
            raise self._no_backup("its manifest has other fields than it should")
        return Manifest(**found)

    def _fields(self, text: bytes) -> dict[str, Any]:
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise self._no_backup("its manifest is no JSON") from error
        if not isinstance(found, dict) or found.pop("format", None) != FORMAT:
            raise self._no_backup("its manifest is of something else")
        if found.pop("version", None) != VERSION:
            raise self._no_backup(f"its version is not {VERSION}; use the licd that made it, or a newer one")
        files = found.get("files")
        if not isinstance(files, dict) or not all(map(_is_plain, files)) or DATABASE not in files:
            raise self._no_backup("its manifest names files that no backup has")
        return found

    def take_out(self, folder: Path, wanted: frozenset[str] | None = None) -> None:
        """Writes the files below folder, mode 0600; wanted names some of them. Raises Invalid on a wrong hash, OSError.

        Every file that the manifest names must be there, and none that it does not.
        """
        missing = dict(self.manifest.files)
        while (member := self._archive.next()) is not None:
            expected = missing.pop(member.name, None)
            if expected is None or not member.isfile():
                raise self._no_backup(f"it has a member {member.name[:80]!r} that its manifest does not have")
            target = folder / member.name if wanted is None or member.name in wanted else None
            if _copied(self._stream(member), target) != expected:
                raise Invalid(f"{self._path}: {member.name} is damaged: its hash is another than its manifest's")
        if missing:
            raise Invalid(f"{self._path} is cut short: {min(missing)} is missing")

    def _stream(self, member: tarfile.TarInfo) -> IO[bytes]:
        """What is in a member. Raises Invalid for one with holes: it may be as large as it likes in a small file."""
        if member.issparse():
            raise self._no_backup(f"{member.name[:80]!r} has holes")
        found = self._archive.extractfile(member)
        if found is None:
            raise self._no_backup(f"{member.name[:80]!r} is no file")
        return found

    def _no_backup(self, why: str) -> Invalid:
        return Invalid(f"{self._path} is no backup of licd: {why}", field="backup")


def _is_plain(name: object) -> bool:
    """Whether a name stays below the folder it is written to."""
    if not isinstance(name, str) or "\\" in name or "\0" in name:
        return False
    return NAMES.fullmatch(name) is not None and ".." not in name.split("/") and str(PurePosixPath(name)) == name


def _copied(source: IO[bytes], target: Path | None) -> str:
    """Copies to a new file, or only reads; returns the hash."""
    digest = hashlib.sha256()
    if target is None:
        while data := source.read(CHUNK):
            digest.update(data)
        return digest.hexdigest()
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with target.open("xb") as file:
        target.chmod(0o600)
        while data := source.read(CHUNK):
            digest.update(data)
            file.write(data)
    return digest.hexdigest()


def hash_of(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def opened_backup(path: Path) -> Iterator[BackupFile]:
    """Raises Invalid when it is no backup or damaged, OSError when it cannot be read."""
    try:
        with tarfile.open(path, mode="r:") as archive:
            yield BackupFile(archive, path)
    except (tarfile.TarError, EOFError, ValueError) as error:  # ValueError: what tarfile reads as a number and is none
        raise Invalid(f"{path} is no backup of licd, or cut short: {error}", field="backup") from error
