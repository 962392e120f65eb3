"""Who keeps the log: by which keys its checkpoints are signed, and by which they are checked."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.exceptions import InvalidSignature

from licd.evidence.checkpoint import LogVerifier, log_origin
from licd.evidence.note import VerifierKey
from licd.keys.kinds import KeyPurpose
from licd.keys.public_key import PublicKeyError, parse_public_key
from licd.keys.signer import Signer
from licd.ledger.log import LogKeeper
from licd.server.keychain import Keychain, note_signer
from licd.server.trust import Trust


def log_keeper(trust_domain: str, signer: Signer, known: Sequence[bytes] = ()) -> LogKeeper:
    """Who keeps the log with one key. known are other evidence keys whose checkpoints count as well."""
    origin = log_origin(trust_domain)
    signers = (note_signer(origin, signer),)
    return LogKeeper(origin, lambda: signers, _log_verifier(origin, [signer.public_key, *known]))


def rotating_log_keeper(trust_domain: str, keychain: Keychain, trust: Trust) -> LogKeeper:
    """Who keeps the log while its keys change: signed by all that are valid, checked by all that ever were."""
    origin = log_origin(trust_domain)
    known = [*trust.evidence_keys(), *keychain.public_keys(KeyPurpose.EVIDENCE)]
    return LogKeeper(origin, lambda: keychain.note_signers(origin), _log_verifier(origin, known))


def _log_verifier(origin: str, public_keys: Sequence[bytes]) -> LogVerifier:
    keys = tuple(VerifierKey(origin, each) for each in dict.fromkeys(public_keys))
    return LogVerifier(origin, keys, verify_ed25519)


def verify_ed25519(public_key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether it is that key's signature."""
    try:
        parse_public_key(public_key).verify(signature, message)
    except (InvalidSignature, PublicKeyError):
        return False
    return True
