"""Files that a command is given: read up to a limit, for nobody has said that they are files, or that they end."""

from pathlib import Path
from typing import Final

from licd.cli.failure import Exit, Stopped

MOST_BYTES: Final = 4 * 1024 * 1024


def read_input(path: Path, most: int = MOST_BYTES) -> bytes:
    """All of a file. Raises Stopped(USAGE) when there is more than `most`, OSError."""
    with path.open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise Stopped(Exit.USAGE, f"{path}: more than {most} bytes: this is no such file")
    return data


def read_input_text(path: Path) -> str:
    """All of a file of UTF-8 text. Raises Stopped(USAGE), UnicodeDecodeError, OSError."""
    return read_input(path).decode("utf-8")
