"""A file with the chain of trust bundles, oldest first: armoured envelopes, or a serialised TrustBundleChain.

Whoever reads it believes the first bundle because the file is given to him, or by a pin; every later one because its
predecessor's roots signed it.
"""

import hashlib
from pathlib import Path
from typing import Final

from google.protobuf.message import DecodeError

from licd.keys.armour import armour, dearmour_all
from licd.keys.bundle import Bundle, BundleError, BundleReason
from licd.keys.bundle_update import advance, reload
from licd.keys.envelope import parse_envelope
from licd.v1.envelope_pb2 import Envelope
from licd.v1.trust_pb2 import TrustBundleChain

_MARK: Final = b"-----BEGIN LICD "
MOST_BYTES: Final = 4 * 1024 * 1024


def read_chain(path: Path) -> list[Envelope]:
    """The envelopes of a file. Raises BundleError(MALFORMED), ArmourError, SealInvalid, OSError."""
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise BundleError(BundleReason.MALFORMED, f"{path}: more than {MOST_BYTES} bytes: this is no chain of bundles")
    if _MARK in data:
        return [parse_envelope(block.raw) for block in dearmour_all(data)]
    try:
        return list(TrustBundleChain.FromString(data).bundles)
    except DecodeError as error:
        raise BundleError(BundleReason.MALFORMED, f"{path}: holds no trust bundle") from error


def newest_of(envelopes: list[Envelope], source: Path, pin: str = "") -> Bundle:
    """The newest bundle of a chain, its age not looked at. pin: SHA-256 of the first payload, hex.

    Raises BundleError.
    """
    if not envelopes:
        raise BundleError(BundleReason.MALFORMED, f"{source}: holds no trust bundle")
    found = pin_of(envelopes[0])
    if pin and pin.lower() != found:
        raise BundleError(BundleReason.PIN_MISMATCH, f"{source}: its first bundle is {found}, not {pin.lower()}")
    bundle = reload(envelopes[0].SerializeToString())
    for envelope in envelopes[1:]:
        bundle = advance(bundle, envelope)
    return bundle


def pin_of(envelope: Envelope) -> str:
    """What a first bundle is pinned by."""
    return hashlib.sha256(envelope.payload).hexdigest()


def write_chain(chain: TrustBundleChain) -> str:
    """The chain as the text of such a file."""
    return "".join(armour(one.SerializeToString()) for one in chain.bundles)
