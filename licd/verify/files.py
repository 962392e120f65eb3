"""Reading what is to be checked. Exports are read line by line, once; all else whole, up to a size."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from licd.evidence.checkpoint import Checkpoint, LogVerifier
from licd.evidence.entry import Entry
from licd.evidence.errors import EvidenceInvalid
from licd.evidence.export import MAX_LINE_CHARACTERS, Report, verify_export
from licd.evidence.merkle import TILE
from licd.evidence.tiles import LONGEST_ENTRY, Read

MOST_BYTES: Final = 4 << 20
MOST_OF_A_BUNDLE: Final = TILE * (LONGEST_ENTRY + 2)
_MOST_OF_A_LINE: Final = MAX_LINE_CHARACTERS + 2


class Refused(Exception):
    """What a file claims does not hold. Says which file, where in it, and why."""


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Says of evidence that does not hold in which file that is. Raises Refused."""
    try:
        yield
    except EvidenceInvalid as error:
        raise Refused(f"{path}: {error}") from error


def read_whole(path: Path, most: int = MOST_BYTES) -> bytes:
    """The bytes of a small file. Raises Refused for a larger one, OSError."""
    with path.open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise Refused(f"{path}: is larger than {most} bytes, and nothing to be read here is")
    return data


def reader_of(folder: Path) -> Read:
    """Reads the static files of a log. A path that is no file is nothing there."""

    def read(path: str) -> bytes | None:
        try:
            return read_whole(folder / path, MOST_OF_A_BUNDLE)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None

    return read


def read_export(
    path: Path,
    verifier: LogVerifier,
    held: Iterable[Checkpoint] = (),
    take: Callable[[int, Entry], None] | None = None,
) -> Report:
    """Checks an exported log, all of it. Raises Refused, OSError."""
    with path.open("rb") as lines, naming(path):
        return verify_export(iter(lambda: lines.readline(_MOST_OF_A_LINE), b""), verifier, held, take)


def read_held(paths: Sequence[Path], verifier: LogVerifier) -> list[Checkpoint]:
    """The signed checkpoints in these files: kept from before, so a key that was withdrawn since still vouches.

    Raises Refused, OSError.
    """
    held = []
    for path in paths:
        data = read_whole(path)
        with naming(path):
            held.append(verifier.open_covered(data))
    return held
