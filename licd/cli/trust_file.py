"""A file with the chain of trust bundles: what somebody without licd needs to believe what it signed.

As `licctl key bundle` writes it: armoured envelopes, oldest first. A serialised TrustBundleChain is read as well. The
first bundle is believed because the file is; every later one because its predecessor's roots signed it.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.message import DecodeError

from licd.cli.failure import Exit, Stopped
from licd.core.time import Instant
from licd.keys.armour import armour, dearmour_all
from licd.keys.bundle import Bundle, BundleError
from licd.keys.bundle_update import follow, reload
from licd.keys.envelope import parse_envelope
from licd.keys.kinds import KeyPurpose
from licd.v1.envelope_pb2 import Envelope
from licd.v1.trust_pb2 import TrustBundleChain

_MARK = b"-----BEGIN LICD "


@dataclass(frozen=True, slots=True)
class Trust:
    """A chain that holds: its newest bundle, the pin of its first, and why it went no further or is stale, if so."""

    newest: Bundle
    pin: str
    evidence_keys: tuple[bytes, ...]
    refusal: BundleError | None


def read_trust(path: Path, pin: str, now: Instant) -> Trust:
    """The trust in a file; `pin` is the SHA-256 of the first bundle's payload in hex, or empty for the file's word.

    Raises Stopped(UNVERIFIED), KeysError, OSError. Staleness is a value: the caller decides what it means to him.
    """
    return trust_of(_envelopes(path, path.read_bytes()), str(path), pin, now)


def trust_of(envelopes: list[Envelope], source: str, pin: str, now: Instant) -> Trust:
    """The trust in a chain of envelopes. Raises as `read_trust`."""
    if not envelopes:
        raise Stopped(Exit.UNVERIFIED, f"{source}: holds no trust bundle")
    found = hashlib.sha256(envelopes[0].payload).hexdigest()
    if pin and pin.lower() != found:
        raise Stopped(Exit.UNVERIFIED, f"{source}: PIN_MISMATCH: its first bundle is {found}, not {pin.lower()}")
    followed = follow(reload(envelopes[0].SerializeToString()), envelopes[1:], now)
    if followed.refusal is not None and not followed.bundle.is_stale(now):
        raise followed.refusal
    keys = _evidence_keys(envelopes, followed.bundle)
    return Trust(followed.bundle, found, keys, followed.refusal)


def refuse_stale(trust: Trust) -> Bundle:
    """The newest bundle. Raises BundleError(FREEZE) when it has expired: a newer one may say otherwise."""
    if trust.refusal is not None:
        raise trust.refusal
    return trust.newest


def write_trust(chain: TrustBundleChain) -> str:
    """The chain as the text of such a file."""
    return "".join(armour(one.SerializeToString()) for one in chain.bundles)


def _envelopes(path: Path, data: bytes) -> list[Envelope]:
    if _MARK in data:
        return [parse_envelope(block.raw) for block in dearmour_all(data)]
    try:
        return list(TrustBundleChain.FromString(data).bundles)
    except DecodeError as error:
        raise Stopped(Exit.UNVERIFIED, f"{path}: holds no trust bundle") from error


def _evidence_keys(envelopes: list[Envelope], newest: Bundle) -> tuple[bytes, ...]:
    """Evidence keys of every bundle: a log is older than the newest of its keys. None that was withdrawn."""
    bundles = [reload(one.SerializeToString()) for one in envelopes]
    keys = {key.public_key: key.key_id for one in bundles for key in one.keys if key.purpose is KeyPurpose.EVIDENCE}
    return tuple(public for public, key_id in keys.items() if key_id not in newest.withdrawn_key_ids)
