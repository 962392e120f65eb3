"""C2SP checkpoints (c2sp.org/tlog-checkpoint): a log's origin, size and root as the text of a signed note."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from licd.evidence import note
from licd.evidence.canonical import MAX_SIZE, decode_base64, decode_decimal, encode_base64
from licd.evidence.errors import EvidenceInvalid
from licd.evidence.merkle import EMPTY_ROOT, HASH_SIZE
from licd.evidence.note import Note, Signer, VerifierKey, Verify

_MANDATORY_LINES: Final = 3


class CheckpointInvalid(EvidenceInvalid):
    """A text that is no checkpoint, or one of another log. The message names the line, from 1."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log states about itself at one size. `origin` names the log; extension lines are opaque.

    Raises CheckpointInvalid for values no checkpoint can have. Extensions are not recommended by the specification.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_line(self.origin, 1)
        if not 0 <= self.size <= MAX_SIZE:
            raise CheckpointInvalid(f"line 2: the size {self.size} is not between 0 and 2^63 - 1")
        if len(self.root) != HASH_SIZE:
            raise CheckpointInvalid(f"line 3: a root has 32 bytes, not {len(self.root)}")
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise CheckpointInvalid("line 3: an empty tree has the root SHA-256 of nothing")
        for number, line in enumerate(self.extensions, _MANDATORY_LINES + 1):
            _check_line(line, number)

    def text(self) -> str:
        """The note text: origin, decimal size, base64 root, then the extensions, a line each."""
        lines = (self.origin, str(self.size), encode_base64(self.root), *self.extensions)
        return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class LogVerifier:
    """What somebody needs to believe a log's checkpoints: its origin, its keys (plain Ed25519) and how to verify.

    Several keys are for rotation; any one of them suffices, and a failing signature by any of them is refused.
    former keys were withdrawn since: they vouch for nothing that comes now, and do for a checkpoint that a later one,
    by one of the keys, covers, or that the checker has kept himself.
    """

    origin: str
    keys: tuple[VerifierKey, ...]
    verify: Verify
    former: tuple[VerifierKey, ...] = ()

    def open(self, data: bytes) -> Checkpoint:
        """The verified checkpoint in the note `data`. Raises NoteInvalid or CheckpointInvalid."""
        return self.check(note.parse_note(data))

    def open_covered(self, data: bytes) -> Checkpoint:
        """As `open`, for a checkpoint that something newer covers, or that was kept: former keys count as well."""
        return self._check(note.parse_note(data), (*self.keys, *self.former))

    def check(self, signed: Note) -> Checkpoint:
        """As `open`, for a note already parsed."""
        return self._check(signed, self.keys)

    def _check(self, signed: Note, keys: tuple[VerifierKey, ...]) -> Checkpoint:
        note.verify_note(signed, keys, self.verify)
        checkpoint = parse_checkpoint(signed.text)
        if checkpoint.origin != self.origin:
            raise CheckpointInvalid(f"line 1: the checkpoint is of {checkpoint.origin!r}, not {self.origin!r}")
        return checkpoint


def parse_checkpoint(text: str) -> Checkpoint:
    """The checkpoint in a note's text. Raises CheckpointInvalid naming the line. Says nothing about signatures."""
    lines = text.split("\n")
    if lines.pop() != "":
        raise CheckpointInvalid(f"line {len(lines) + 1}: a checkpoint ends in a newline")
    if len(lines) < _MANDATORY_LINES:
        raise CheckpointInvalid(f"line {len(lines) + 1}: a checkpoint has origin, size and root")
    try:
        size = decode_decimal(lines[1])
    except ValueError as error:
        raise CheckpointInvalid(f"line 2: the size {error}") from error
    try:
        root = decode_base64(lines[2])
    except ValueError as error:
        raise CheckpointInvalid(f"line 3: the root {error}") from error
    return Checkpoint(lines[0], size, root, tuple(lines[_MANDATORY_LINES:]))


def log_origin(trust_domain: str) -> str:
    """The origin line of licd's own log, which is the name of its keys as well."""
    return f"{trust_domain}/licd/log"


def sign_checkpoint(checkpoint: Checkpoint, signers: Sequence[Signer]) -> Note:
    """The checkpoint as a note signed by the log. `.encode()` gives the bytes to store and to publish."""
    return note.sign_note(checkpoint.text(), signers)


def _check_line(line: str, number: int) -> None:
    if not line:
        raise CheckpointInvalid(f"line {number}: is empty")
    if any(character < " " for character in line):
        raise CheckpointInvalid(f"line {number}: has a control character")
