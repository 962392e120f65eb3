"""How many witnesses have seen this log, and how far? A log that shows two histories cannot have k cosign both.

Each cosigned checkpoint is checked whole: the log's signature, the cosignatures by the witnesses the checker knows
(others are ignored), and that its tree is in the export. What k witnesses vouch for is the k-th largest size.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from licd.evidence.checkpoint import Checkpoint, LogVerifier
from licd.evidence.cosignature import verify_cosignature
from licd.evidence.note import Note, SignatureType, VerifierKey, parse_note
from licd.verify.files import Refused, naming, read_whole
from licd.verify.trust import Misused, ed25519, read_keys


@dataclass(frozen=True, slots=True)
class Witnessed:
    """The first `size` entries, each seen by `demanded` witnesses or more; `seen` says how far each one saw."""

    size: int
    demanded: int
    seen: tuple[tuple[str, int], ...]


def known_witnesses(words: Sequence[str], demanded: int, log: LogVerifier) -> tuple[VerifierKey, ...]:
    """The witnesses the checker knows. Raises Misused where so many could never be there, or one is the log itself."""
    keys = read_keys(words, SignatureType.COSIGNATURE_V1, "--witness") if words else ()
    own = {key.public_key for key in (*log.keys, *log.former)}
    if any(key.public_key in own for key in keys):
        raise Misused("--witness: one key is the log's own, and nobody is a witness of himself")
    if demanded > len(keys):
        raise Misused(f"--witnesses: {demanded} demanded, and {len(keys)} known by --witness")
    if keys and not demanded:
        raise Misused("--witnesses: say how many of them must have cosigned")
    return keys


def read_cosigned(
    paths: Sequence[Path], log: LogVerifier, witnesses: Sequence[VerifierKey], demanded: int
) -> tuple[list[Checkpoint], Witnessed | None]:
    """The cosigned checkpoints in these files, to be found in the export, and how far the witnesses saw.

    None where no witness is demanded. Raises Refused for a signature that does not hold or too few of them, OSError.
    """
    checkpoints: list[Checkpoint] = []
    seen: dict[VerifierKey, int] = {}
    for path in paths:
        data = read_whole(path)
        with naming(path):
            checkpoint = log.open_covered(data)
            for key in _signed_by(parse_note(data), witnesses):
                seen[key] = max(seen.get(key, 0), checkpoint.size)
        checkpoints.append(checkpoint)
    if not demanded:
        return checkpoints, None
    sizes = sorted((size for size in seen.values() if size), reverse=True)
    if len(sizes) < demanded:
        raise Refused(
            f"--witnesses: {demanded} demanded, and {len(sizes)} of them have cosigned a checkpoint with entries"
        )
    names = tuple(sorted((key.name, size) for key, size in seen.items()))
    return checkpoints, Witnessed(sizes[demanded - 1], demanded, names)


def _signed_by(signed: Note, witnesses: Sequence[VerifierKey]) -> list[VerifierKey]:
    """The witnesses of which there is a cosignature; one that does not hold is no absence. Raises NoteInvalid."""
    found = [key for key in witnesses if signed.signature_by(key) is not None]
    for key in found:
        verify_cosignature(signed, key, ed25519)
    return found
