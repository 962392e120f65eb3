"""How a command ends: the exit codes, and the one line that says what went wrong."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from enum import IntEnum
from typing import Final


class Exit(IntEnum):
    """Exit codes. Stable: scripts depend on them."""

    OK = 0
    REFUSED = 1
    USAGE = 2
    IN_USE = 3


EXIT_CODES: Final = {
    Exit.OK: "done, or shown",
    Exit.REFUSED: "licd refused or could not do it, or doctor found a failure",
    Exit.USAGE: "a wrong argument, file or setting",
    Exit.IN_USE: "another licd works on this directory",
}
"""What each exit code says, for the help text."""

# By name, because whoever imports these modules to ask has loaded half of licd; an error of theirs has loaded them.
_REFUSALS: Final = (
    ("licd.ledger.log", "LogRefused"),
    ("licd.ledger.schema", "SchemaRefused"),
    ("licd.evidence.errors", "EvidenceInvalid"),
    ("licd.keys.errors", "KeysError"),
    ("licd.core.errors", "LicdError"),
    ("licd.ledger.database", "StoreFailed"),
    ("sqlite3", "Error"),
    ("sqlalchemy.exc", "SQLAlchemyError"),
)


def drop_output() -> None:
    """What could not be written is not tried once more when Python ends."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def explain(error: Exception) -> tuple[Exit, str] | None:
    """The exit code and the line for an error that was foreseen; None for one that was not."""
    match error:
        case BrokenPipeError():
            return None
        case OSError(filename=str() as name):
            return Exit.USAGE, f"{name}: {error.strerror}"
        case OSError():
            return Exit.REFUSED, one_line(str(error))
        case _:
            return _explain_own(error)


def _explain_own(error: Exception) -> tuple[Exit, str] | None:
    if _is(error, "licd.server.state_dir", "DirectoryInUse"):
        return Exit.IN_USE, one_line(str(error))
    if _is(error, "licd.core.errors", "Invalid") or _is(error, "licd.keys.private_file", "KeyFileError"):
        return Exit.USAGE, one_line(str(error))
    if any(_is(error, module, name) for module, name in _REFUSALS):
        # SQLAlchemy adds the statement and where to read about it; what the database said is enough.
        return Exit.REFUSED, one_line(str(getattr(error, "orig", error)))
    return None


def _is(error: Exception, module: str, name: str) -> bool:
    kind = getattr(sys.modules.get(module), name, None)
    return isinstance(kind, type) and isinstance(error, kind)


def one_line(text: str) -> str:
    """The text without line breaks, and with every character that could steer a terminal written as an escape."""
    joined = "; ".join(line.strip() for line in text.splitlines() if line.strip())
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in joined)
