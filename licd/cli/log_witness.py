"""A witness of the log, on its own machine: it cosigns a checkpoint that goes on from the one it cosigned last.

The rules are those of c2sp.org/tlog-witness. What was cosigned last is kept in a file, replaced before the new
cosignature is shown to anybody, under a lock: two requests at once never make two histories.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from licd.cli.desk import Desk
from licd.cli.failure import Exit, Stopped
from licd.cli.input_file import read_input
from licd.cli.log_check import ed25519
from licd.evidence.addition import check_addition, parse_addition
from licd.evidence.checkpoint import Checkpoint, LogVerifier
from licd.evidence.cosignature import cosign, verify_cosignature
from licd.evidence.note import Note, NoteInvalid, SignatureType, VerifierKey, parse_note
from licd.evidence.note import Signer as NoteSigner
from licd.keys.private_file import EVERYBODY, replace
from licd.keys.signer import Signer


def witness_of(name: str, signer: Signer) -> NoteSigner:
    """The authority as a witness under this name. Raises Stopped(USAGE) for a name that no note can carry."""
    try:
        key = VerifierKey(name, signer.public_key, SignatureType.COSIGNATURE_V1)
    except NoteInvalid as error:
        raise Stopped(Exit.USAGE, f"--name: {error}") from error
    return NoteSigner(key, signer.sign)


def cosign_request(desk: Desk, request: Path, latest: Path, log: LogVerifier, witness: NoteSigner) -> Note:
    """The checkpoint of the request with the witness's cosignature; `latest` now holds it.

    Raises EvidenceInvalid for a request that a witness must refuse, Stopped, OSError. Nothing is changed then.
    """
    asked = parse_addition(read_input(request))
    with _locked(latest):
        check_addition(asked, log, _cosigned_last(latest, log, witness))
        cosigned = asked.checkpoint.with_signature(cosign(asked.checkpoint, witness, desk.now))
        replace(latest, cosigned.encode(), EVERYBODY)
    return cosigned


def _cosigned_last(path: Path, log: LogVerifier, witness: NoteSigner) -> Checkpoint | None:
    """What this witness itself has kept: its own cosignature says so, whatever became of the log's keys since."""
    if not path.exists():
        return None
    kept = parse_note(read_input(path))
    verify_cosignature(kept, witness.key, ed25519)
    return log.open_covered(kept.encode())


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.with_name(f".{path.name}.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Stopped(Exit.CONFLICT, f"{path}: another request is being cosigned; ask again") from error
        yield
