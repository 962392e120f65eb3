"""One entry with the proof that it is in a signed tree, as one file (c2sp.org/tlog-proof), for whoever has no log.

    c2sp.org/tlog-proof@v1
    extra <base64 of the stored entry, values and salts of what may be seen, commitments of the rest>
    index <decimal>
    <base64 hash of the inclusion proof>, 0 to 63 lines
    <empty line>
    <signed checkpoint>

The form lets `extra` be anything, and it is not to be trusted by itself. Here it is authenticated: it must have the
leaf that the proof proves.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from licd.evidence.canonical import decode_base64, decode_decimal, encode_base64
from licd.evidence.checkpoint import Checkpoint, LogVerifier
from licd.evidence.entry import Entry, decode, disclose, encode
from licd.evidence.errors import EvidenceInvalid
from licd.evidence.merkle import HASH_SIZE, verify_inclusion
from licd.evidence.note import MAX_NOTE_BYTES, Note, parse_note

FORM: Final = "c2sp.org/tlog-proof@v1"
MAX_PROOF: Final = 63
_MOST_BYTES: Final = MAX_NOTE_BYTES * 3


class InclusionInvalid(EvidenceInvalid):
    """A file that is no such proof. The message names the line, from 1."""


@dataclass(frozen=True, slots=True)
class Inclusion:
    """What a file says. Nothing in it is to be believed before `check_inclusion`."""

    index: int
    entry: Entry
    proof: tuple[bytes, ...]
    checkpoint: Note

    def encode(self) -> bytes:
        """The file."""
        return encode_inclusion(self.index, self.entry, self.proof, self.checkpoint.encode())


def encode_inclusion(
    index: int, entry: Entry, proof: Sequence[bytes], signed: bytes, names: Collection[str] | None = None
) -> bytes:
    """The file around a signed checkpoint that stays as it is. names: the fields that may be seen; None: all.

    Raises EntryInvalid for a name the entry does not have.
    """
    seen = entry if names is None else disclose(entry, names)
    lines = [FORM, f"extra {encode_base64(encode(seen))}", f"index {index}", *map(encode_base64, proof)]
    return "".join(f"{line}\n" for line in lines).encode("ascii") + b"\n" + signed


def parse_inclusion(data: bytes) -> Inclusion:
    """Split a file; nothing is proved by that. Raises InclusionInvalid, EntryInvalid, NoteInvalid."""
    if len(data) > _MOST_BYTES:
        raise InclusionInvalid(f"a proof has at most {_MOST_BYTES} bytes, not {len(data)}")
    head, gap, signed = data.partition(b"\n\n")
    lines = head.decode("ascii", "replace").split("\n")
    if not gap or lines[0] != FORM:
        raise InclusionInvalid(f"line 1: a proof begins with {FORM}, and ends in an empty line and a checkpoint")
    if len(lines) < 3:
        raise InclusionInvalid(f"line {len(lines) + 1}: a proof has an entry and an index")
    if len(lines) > MAX_PROOF + 3:
        raise InclusionInvalid(f"line {MAX_PROOF + 4}: a proof has at most {MAX_PROOF} hashes, not {len(lines) - 3}")
    encoded = _base64(_after("extra ", lines[1], 2), 2)
    try:
        index = decode_decimal(_after("index ", lines[2], 3))
    except ValueError as error:
        raise InclusionInvalid(f"line 3: the index {error}") from error
    hashes = tuple(_base64(line, number) for number, line in enumerate(lines[3:], 4))
    for number, one in enumerate(hashes, 4):
        if len(one) != HASH_SIZE:
            raise InclusionInvalid(f"line {number}: a hash has 32 bytes, not {len(one)}")
    return Inclusion(index, decode(encoded), hashes, parse_note(signed))


def check_inclusion(found: Inclusion, verifier: LogVerifier) -> Checkpoint:
    """The signed checkpoint in whose tree the entry is. Raises NoteInvalid, CheckpointInvalid, ProofInvalid."""
    stated = verifier.check(found.checkpoint)
    verify_inclusion(found.entry.leaf_hash(), found.index, stated.size, found.proof, stated.root)
    return stated


def _after(word: str, line: str, number: int) -> str:
    if not line.startswith(word):
        raise InclusionInvalid(f"line {number}: begins with {word.strip()!r}")
    return line.removeprefix(word)


def _base64(text: str, number: int) -> bytes:
    try:
        return decode_base64(text)
    except ValueError as error:
        raise InclusionInvalid(f"line {number}: {error}") from error
