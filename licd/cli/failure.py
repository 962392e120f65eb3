"""How a command ends: the exit codes, and the one line that says what went wrong."""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from enum import IntEnum
from typing import Final

import typer

from licd.core.errors import Code, LicdError
from licd.core.time import SECOND
from licd.evidence.errors import EvidenceInvalid
from licd.keys.errors import KeysError

_MOST_SHOWN: Final = 1_500


class Exit(IntEnum):
    """Exit codes. Stable: scripts depend on them."""

    OK = 0
    REFUSED = 1
    USAGE = 2
    NOT_FOUND = 3
    CONFLICT = 4
    PENDING = 5
    UNREACHABLE = 6
    UNVERIFIED = 7
    UNCONFIRMED = 8


EXIT_CODES: Final = {
    Exit.OK: "done, or shown",
    Exit.REFUSED: "licd refused, or could not do it",
    Exit.USAGE: "a wrong argument, file or setting",
    Exit.NOT_FOUND: "there is no such thing",
    Exit.CONFLICT: "it is there already, or has changed, or its state does not allow it",
    Exit.PENDING: "it waits for another person's approval",
    Exit.UNREACHABLE: "licd cannot be reached, or did not answer",
    Exit.UNVERIFIED: "a signature, proof or file does not hold",
    Exit.UNCONFIRMED: "suspended, but not every system had confirmed when the wait ended",
}
"""What each exit code says, for the help text."""

_BY_CODE: Final = {
    Code.INVALID: Exit.USAGE,
    Code.NOT_FOUND: Exit.NOT_FOUND,
    Code.ALREADY_EXISTS: Exit.CONFLICT,
    Code.CONFLICT: Exit.CONFLICT,
    Code.ILLEGAL_TRANSITION: Exit.CONFLICT,
    Code.REQUEST_ID_REUSED: Exit.CONFLICT,
    Code.SHUTTING_DOWN: Exit.UNREACHABLE,
}


class Stopped(Exception):
    """The command ends here: `exit` for programs, the message for people."""

    def __init__(self, exit_code: Exit, message: str) -> None:
        super().__init__(message)
        self.exit = exit_code


def refuse_undecodable(arguments: Sequence[str]) -> None:
    """Raises typer.BadParameter for an argument whose bytes are no UTF-8: it could be sent to nobody."""
    for one in arguments:
        if not one.isascii() and any("\ud800" <= each <= "\udfff" for each in one):
            raise typer.BadParameter(f"{one_line(ascii(one))}: not UTF-8")


def one_line(text: str) -> str:
    """An error for a terminal: no control characters, and no more than some lines of it."""
    shown = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text[:_MOST_SHOWN])
    return shown if len(text) <= _MOST_SHOWN else f"{shown}… ({len(text)} characters)"


def drop_output() -> None:
    """What could not be written is not tried once more when Python ends."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def explain(error: Exception) -> tuple[Exit, str] | None:
    """The exit code and the line for an error that was foreseen; None for one that was not."""
    match error:
        case Stopped():
            return error.exit, str(error)
        case LicdError():
            return _BY_CODE.get(error.code, Exit.REFUSED), _line_of(error)
        case KeysError() | EvidenceInvalid():
            return _exit_of_seal(error), str(error)
        case BrokenPipeError():
            return None
        case OSError(filename=str() as name):
            return Exit.USAGE, f"{name}: {error.strerror}"
        case OSError():
            return Exit.REFUSED, f"the answer could not be written: {error.strerror or error}"
        case _:
            return None


def _exit_of_seal(error: KeysError | EvidenceInvalid) -> Exit:
    from licd.keys.private_file import KeyFileError  # noqa: PLC0415 -- not needed to start, and slow to load

    return Exit.USAGE if isinstance(error, KeyFileError) else Exit.UNVERIFIED


def _line_of(error: LicdError) -> str:
    again = f" (try again in {-(-error.retry_after // SECOND)} s)" if error.retry_after else ""
    words = str(error)
    if error.field.endswith("_ms") and words.startswith(error.field):  # people wrote an instant or a span, by its flag
        words = f"--{error.field.removesuffix('_ms').replace('_', '-')}{words.removeprefix(error.field)}"
    return f"{error.code}: {words}{again}"
