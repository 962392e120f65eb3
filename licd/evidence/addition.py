"""A newer checkpoint with the proof that it goes on from an older one: what a witness is asked with.

The body of add-checkpoint of c2sp.org/tlog-witness, so that a witness of any make can be asked:

    old SP <decimal size of the checkpoint that the witness cosigned last>
    <base64 hash of the consistency proof>, 0 to 63 lines
    <empty line>
    <signed checkpoint>
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from licd.evidence.canonical import decode_base64, decode_decimal, encode_base64
from licd.evidence.checkpoint import Checkpoint, LogVerifier
from licd.evidence.errors import EvidenceInvalid
from licd.evidence.merkle import EMPTY_ROOT, HASH_SIZE, verify_consistency
from licd.evidence.note import MAX_NOTE_BYTES, Note, parse_note

MAX_PROOF: Final = 63
_OLD: Final = b"old "
_MOST_BYTES: Final = MAX_NOTE_BYTES + 64 * 64


class AdditionInvalid(EvidenceInvalid):
    """A request that a witness must refuse. The message names the line, from 1, or what does not fit."""


@dataclass(frozen=True, slots=True)
class Addition:
    """What was asked. Nothing in it is to be believed before `check_addition`."""

    old_size: int
    proof: tuple[bytes, ...]
    checkpoint: Note

    def encode(self) -> bytes:
        """The body as it is sent."""
        return encode_addition(self.old_size, self.proof, self.checkpoint.encode())


def encode_addition(old_size: int, proof: Sequence[bytes], signed: bytes) -> bytes:
    """The body around a signed checkpoint that stays as it is, byte for byte."""
    lines = [f"old {old_size}", *map(encode_base64, proof)]
    return "".join(f"{line}\n" for line in lines).encode("ascii") + b"\n" + signed


def parse_addition(data: bytes) -> Addition:
    """Split a body; the checkpoint's text and signatures are not looked at. Raises AdditionInvalid, NoteInvalid."""
    if len(data) > _MOST_BYTES:
        raise AdditionInvalid(f"a request has at most {_MOST_BYTES} bytes, not {len(data)}")
    head, gap, signed = data.partition(b"\n\n")
    first, *lines = head.split(b"\n")
    if not gap or not first.startswith(_OLD):
        raise AdditionInvalid("line 1: a request is `old` and a size, the proof, an empty line and a checkpoint")
    if len(lines) > MAX_PROOF:
        raise AdditionInvalid(f"line {MAX_PROOF + 2}: a proof has at most {MAX_PROOF} hashes, not {len(lines)}")
    try:
        size = decode_decimal(first.removeprefix(_OLD).decode("ascii", "replace"))
    except ValueError as error:
        raise AdditionInvalid(f"line 1: the old size {error}") from error
    return Addition(size, tuple(_hash(line, number) for number, line in enumerate(lines, 2)), parse_note(signed))


def check_addition(asked: Addition, verifier: LogVerifier, latest: Checkpoint | None) -> Checkpoint:
    """The newer checkpoint, which the log has signed and which goes on from the latest one that was cosigned.

    latest None: nothing of this log was cosigned yet. Whoever cosigns keeps the answer as the latest before he shows
    his signature to anybody. Raises NoteInvalid, CheckpointInvalid, AdditionInvalid, ProofInvalid.
    """
    newer = verifier.check(asked.checkpoint)
    have = latest.size if latest is not None else 0
    if asked.old_size > newer.size:
        raise AdditionInvalid(f"the old size is {asked.old_size}, and the checkpoint is over {newer.size} entries")
    if asked.old_size != have:
        raise AdditionInvalid(f"the request goes on from size {asked.old_size}, the latest one held is of {have}")
    if latest is not None and latest.origin != newer.origin:
        raise AdditionInvalid(f"the latest one is of {latest.origin!r}, the newer of {newer.origin!r}")
    root = latest.root if latest is not None else EMPTY_ROOT
    verify_consistency(have, newer.size, root, newer.root, asked.proof)
    return newer


def _hash(line: bytes, number: int) -> bytes:
    try:
        found = decode_base64(line.decode("ascii", "replace"))
    except ValueError as error:
        raise AdditionInvalid(f"line {number}: the hash {error}") from error
    if len(found) != HASH_SIZE:
        raise AdditionInvalid(f"line {number}: a hash has 32 bytes, not {len(found)}")
    return found
