"""Checking what the log hands out: entries, checkpoints and whole exports, by keys that the checker brings."""

import json
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import InvalidSignature

from licd.cli.desk import Desk
from licd.cli.failure import Exit, Stopped
from licd.cli.input_file import read_input
from licd.cli.trust_file import read_trust
from licd.evidence import checkpoint, entry, merkle, note
from licd.evidence.checkpoint import Checkpoint, LogVerifier
from licd.evidence.note import SignatureType, VerifierKey
from licd.keys.errors import KeysError
from licd.keys.public_key import parse_public_key
from licd.v1 import log_service_pb2 as pb


def ed25519(public_key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether a plain Ed25519 signature holds."""
    try:
        parse_public_key(public_key).verify(signature, message)
    except (InvalidSignature, KeysError):
        return False
    return True


def verifier_for(desk: Desk, header: bytes, bundle: Path | None, pin: str, keys: Sequence[str]) -> LogVerifier:
    """Who must have signed the log whose export begins with `header`. Raises Stopped, NoteInvalid, KeysError."""
    origin = _origin_of(header)
    if keys:
        return LogVerifier(origin, tuple(note.decode_verifier_key(one) for one in keys), ed25519)
    return _by_bundle(desk, origin, bundle, pin)


def verifier_by_keys(keys: Sequence[str], former: Sequence[str]) -> LogVerifier:
    """Who must have signed the log that has these keys: their name is its origin. Raises Stopped, NoteInvalid."""
    current, withdrawn = (tuple(note.decode_verifier_key(one) for one in each) for each in (keys, former))
    names = {key.name for key in (*current, *withdrawn)}
    if len(names) != 1 or any(key.type is not SignatureType.ED25519 for key in (*current, *withdrawn)):
        raise Stopped(Exit.USAGE, "--key: the keys of one log are Ed25519 keys of one name, its origin")
    return LogVerifier(names.pop(), current, ed25519, withdrawn)


def held_checkpoints(paths: Sequence[Path], verifier: LogVerifier) -> list[Checkpoint]:
    """The checkpoints in these files, signatures checked. Raises NoteInvalid, CheckpointInvalid, OSError."""
    return [verifier.open_covered(read_input(path)) for path in paths]


def verifier_of(desk: Desk, text: str, bundle: Path, pin: str) -> LogVerifier:
    """Who must have signed this checkpoint. Raises Stopped, NoteInvalid, CheckpointInvalid, KeysError."""
    stated = checkpoint.parse_checkpoint(note.parse_note(text.encode()).text)
    return _by_bundle(desk, stated.origin, bundle, pin)


def read_checkpoint(desk: Desk, text: str, bundle: Path | None, pin: str) -> Checkpoint:
    """The checkpoint in a note; its signature is checked when there is a bundle to check it by."""
    parsed = note.parse_note(text.encode())
    stated = checkpoint.parse_checkpoint(parsed.text)
    return _by_bundle(desk, stated.origin, bundle, pin).check(parsed) if bundle else stated


def verify_entry(found: pb.GetEntryResponse, index: int, stated: Checkpoint) -> None:
    """Raises EvidenceInvalid unless the entry is what its leaf says, and the leaf is in the tree."""
    if found.entry.index != index:
        raise Stopped(Exit.UNVERIFIED, f"entry {index}: licd answered with entry {found.entry.index}")
    if entry.decode(found.entry.entry).leaf_hash() != found.entry.leaf_hash:
        raise Stopped(Exit.UNVERIFIED, f"entry {index}: it does not match its leaf hash")
    merkle.verify_inclusion(found.entry.leaf_hash, index, stated.size, found.inclusion_proof, stated.root)


def verify_extension(old: Checkpoint, new: Checkpoint, proof: Sequence[bytes]) -> None:
    """Raises EvidenceInvalid unless the newer tree is the older one with entries added."""
    if old.origin != new.origin:
        raise Stopped(Exit.UNVERIFIED, f"the old checkpoint is of {old.origin}, the new one of {new.origin}")
    merkle.verify_consistency(old.size, new.size, old.root, new.root, proof)


def _by_bundle(desk: Desk, origin: str, bundle: Path | None, pin: str) -> LogVerifier:
    if bundle is None:
        raise Stopped(Exit.USAGE, "--bundle, --key: say by which keys; `licctl key bundle --save FILE` writes a bundle")
    trust = read_trust(bundle, pin, desk.now)
    if trust.refusal is not None:
        desk.printer.remark(f"{bundle}: {trust.refusal}; a key withdrawn since is not known here")
    if origin.partition("/")[0] != trust.newest.trust_domain:
        raise Stopped(Exit.UNVERIFIED, f"the log is of {origin}, the bundle of {trust.newest.trust_domain}")
    keys, former = (
        tuple(VerifierKey(origin, one) for one in each) for each in (trust.evidence_keys, trust.withdrawn_evidence_keys)
    )
    return LogVerifier(origin, keys, ed25519, former)


def _origin_of(header: bytes) -> str:
    try:
        fields = json.loads(header)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict) or not isinstance(fields.get("origin"), str):
        raise Stopped(Exit.UNVERIFIED, "line 1: the file does not begin as an exported log does")
    return str(fields["origin"])
