"""licd-verify: checks what licd exported, on any machine, with public keys alone. It asks nobody and writes nothing.

Exit codes: 0 the claim holds, 1 it does not (standard error says where and why), 2 the question cannot be asked.
"""

import json
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from enum import IntEnum
from io import TextIOWrapper
from pathlib import Path

from licd.evidence.canonical import decode_decimal
from licd.verify.claims import Fact, addition_holds, entry_holds, fork_holds, log_holds, suspension_holds, tiles_hold
from licd.verify.files import Refused
from licd.verify.story import shown
from licd.verify.trust import Misused


class Exit(IntEnum):
    """What the caller's shell is told."""

    HOLDS = 0
    DOES_NOT_HOLD = 1
    CANNOT_BE_ASKED = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Checks one claim. Returns the exit code; argparse leaves with 2 by itself where the question has no form."""
    asked = _parser().parse_args(arguments)
    claim: Callable[[Namespace], list[Fact]] = asked.claim
    try:
        facts = claim(asked)
    except Refused as refused:
        return _end(Exit.DOES_NOT_HOLD, f"does not hold: {refused}")
    except Misused as misused:
        return _end(Exit.CANNOT_BE_ASKED, f"cannot be asked: {misused}")
    except OSError as error:
        return _end(Exit.CANNOT_BE_ASKED, f"cannot be read: {error.filename}: {error.strerror}")
    _print(facts, as_json=asked.json)
    return Exit.HOLDS


def run() -> int:
    """The program: main, on streams that take every character and may have nobody at their end."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what could not be written is not tried again
        return Exit.CANNOT_BE_ASKED
    return code


def _end(code: Exit, words: str) -> int:
    sys.stderr.write(f"licd-verify: {_one_line(words)}\n")
    return code


def _one_line(words: str) -> str:
    """Words of a file may be in it: nothing of them reaches the terminal as an order."""
    return "".join(shown(words[at : at + 100]) for at in range(0, min(len(words), 2000), 100))


def _print(facts: Sequence[Fact], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps({**dict(facts), "holds": True}) + "\n")
        return
    for name, value in facts:
        words = ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)
        sys.stdout.write(f"{name.replace('_', ' ')}: {words}\n")


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="licd-verify",
        description="Checks what licd exported, with public keys alone. 0: holds. 1: does not. 2: cannot be asked.",
        allow_abbrev=False,
    )
    claims = parser.add_subparsers(required=True, metavar="CLAIM")
    log = _claim(claims.add_parser("log", allow_abbrev=False, help="The log was only ever added to."), log_holds)
    _add_kept(log)
    suspension = claims.add_parser("suspension", allow_abbrev=False, help="A suspension stands there and took effect.")
    _claim(suspension, suspension_holds)
    suspension.add_argument("--entry", type=_size, required=True, metavar="N", help="Number of its entry, from 0.")
    _add_kept(suspension)
    _claim(claims.add_parser("entry", allow_abbrev=False, help="An entry is in the log, and says this."), entry_holds)
    tiles = claims.add_parser("tiles", allow_abbrev=False, help="A folder of static files is the whole log.")
    _add_kept(_claim(tiles, tiles_hold))
    addition = claims.add_parser("addition", allow_abbrev=False, help="A checkpoint goes on from an older one.")
    _claim(addition, addition_holds)
    addition.add_argument("--old", type=Path, required=True, metavar="FILE", help="The older checkpoint.")
    _claim(claims.add_parser("fork", allow_abbrev=False, help="Two copies of one system spoke."), fork_holds)
    return parser


def _claim(parser: ArgumentParser, claim: Callable[[Namespace], list[Fact]]) -> ArgumentParser:
    parser.set_defaults(claim=claim)
    parser.add_argument("file", type=Path, metavar="FILE", help="What licctl exported.")
    parser.add_argument(
        "--key",
        action="append",
        required=True,
        metavar="VKEY",
        help="Verifier key of the log, name+id+key, or @FILE with one on each line. May come again.",
    )
    parser.add_argument(
        "--former-key",
        action="append",
        default=[],
        metavar="VKEY",
        help="A key withdrawn since.",
    )
    parser.add_argument("--json", action="store_true", help="For programs.")
    return parser


def _add_kept(parser: ArgumentParser) -> None:
    for name, words in (("held", "A signed checkpoint kept from before."), ("older", "An export kept from before.")):
        parser.add_argument(
            f"--{name}", type=Path, action="append", default=[], metavar="FILE", help=f"{words} May come again."
        )

    parser.add_argument(
        "--cosigned",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="A checkpoint that witnesses cosigned.",
    )
    parser.add_argument(
        "--witness", action="append", default=[], metavar="VKEY", help="Verifier key of one you know, or @FILE of them."
    )
    parser.add_argument("--witnesses", type=_size, default=0, metavar="K", help="So many must have cosigned.")


def _size(text: str) -> int:
    return decode_decimal(text)


if __name__ == "__main__":
    sys.exit(run())
