"""An exported log as a folder of static files: all of it or nothing, and only of a log that was found whole."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from licd.evidence.checkpoint import LogVerifier
from licd.evidence.entry import Entry
from licd.evidence.export import Report, verify_export
from licd.evidence.tiles import CHECKPOINT, TileWriter
from licd.keys.private_file import sync_directory


def write_tiles(folder: Path, lines: Iterable[str | bytes], verifier: LogVerifier) -> tuple[Report, int]:
    """Writes them beside the folder, then gives them its name. Returns what was found of the log, and how many files.

    Raises LogInvalid, OSError; the folder is not there then.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    partial.mkdir()
    try:
        found = _written(partial, lines, verifier)
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial)
        raise
    sync_directory(folder.parent)
    return found


def _written(folder: Path, lines: Iterable[str | bytes], verifier: LogVerifier) -> tuple[Report, int]:
    writer, count = TileWriter(), 0

    def take(_: int, entry: Entry) -> None:
        nonlocal count
        for path, data in writer.add(entry.leaf_data()):
            _write(folder / path, data)
            count += 1

    report = verify_export(lines, verifier, take=take)
    for path, data in [*writer.finish(), (CHECKPOINT, report.signed.encode())]:
        _write(folder / path, data)
        count += 1
    return report, count


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
