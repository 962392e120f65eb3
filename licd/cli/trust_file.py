"""A file with the chain of trust bundles: what somebody without licd needs to believe what it signed.

As `licctl key bundle` writes it: armoured envelopes, oldest first. A serialised TrustBundleChain is read as well. The
first bundle is believed because the file is; every later one because its predecessor's roots signed it.
"""

from dataclasses import dataclass
from pathlib import Path

from licd.cli.failure import Exit, Stopped
from licd.core.time import Instant
from licd.keys.bundle import Bundle, BundleError
from licd.keys.bundle_update import follow, reload
from licd.keys.chain_file import pin_of, read_chain
from licd.keys.kinds import KeyPurpose
from licd.v1.envelope_pb2 import Envelope


@dataclass(frozen=True, slots=True)
class Trust:
    """A chain that holds: its newest bundle, the pin of its first, and why it went no further or is stale, if so."""

    newest: Bundle
    pin: str
    evidence_keys: tuple[bytes, ...]
    withdrawn_evidence_keys: tuple[bytes, ...]
    refusal: BundleError | None


def read_trust(path: Path, pin: str, now: Instant) -> Trust:
    """The trust in a file; `pin` is the SHA-256 of the first bundle's payload in hex, or empty for the file's word.

    Raises Stopped(UNVERIFIED), KeysError, OSError. Staleness is a value: the caller decides what it means to him.
    """
    return trust_of(read_chain(path), str(path), pin, now)


def trust_of(envelopes: list[Envelope], source: str, pin: str, now: Instant) -> Trust:
    """The trust in a chain of envelopes. Raises as `read_trust`."""
    if not envelopes:
        raise Stopped(Exit.UNVERIFIED, f"{source}: holds no trust bundle")
    found = pin_of(envelopes[0])
    if pin and pin.lower() != found:
        raise Stopped(Exit.UNVERIFIED, f"{source}: PIN_MISMATCH: its first bundle is {found}, not {pin.lower()}")
    followed = follow(reload(envelopes[0].SerializeToString()), envelopes[1:], now)
    if followed.refusal is not None and not followed.bundle.is_stale(now):
        raise followed.refusal
    keys, withdrawn = _evidence_keys(envelopes, followed.bundle)
    return Trust(followed.bundle, found, keys, withdrawn, followed.refusal)


def refuse_stale(trust: Trust) -> Bundle:
    """The newest bundle. Raises BundleError(FREEZE) when it has expired: a newer one may say otherwise."""
    if trust.refusal is not None:
        raise trust.refusal
    return trust.newest


def _evidence_keys(envelopes: list[Envelope], newest: Bundle) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """Evidence keys of every bundle, for a log is older than the newest of its keys; apart, those withdrawn since."""
    bundles = [reload(one.SerializeToString()) for one in envelopes]
    keys = {key.public_key: key.key_id for one in bundles for key in one.keys if key.purpose is KeyPurpose.EVIDENCE}
    withdrawn = {public for public, key_id in keys.items() if key_id in newest.withdrawn_key_ids}
    return tuple(public for public in keys if public not in withdrawn), tuple(withdrawn)
