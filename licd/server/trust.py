"""The trust bundles of this installation: the chain that systems follow, and the keyring of the newest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from licd.keys.bundle import Bundle
from licd.keys.bundle_update import advance, reload
from licd.keys.envelope import parse_envelope
from licd.keys.keyring import Keyring
from licd.ledger.records import StoredBundle
from licd.v1.trust_pb2 import TrustBundleChain


class Trust:
    """Raises BundleError at start when the stored chain does not hold."""

    def __init__(self, stored: Sequence[StoredBundle]) -> None:
        if not stored:
            raise ValueError("there is no trust bundle; was this state directory made by `licd init`?")
        self._stored: Final = list(stored)
        self.bundle: Bundle = reload(stored[0].envelope)
        self.first_payload: Final = self.bundle.payload
        for each in stored[1:]:
            self.bundle = advance(self.bundle, parse_envelope(each.envelope))

    @property
    def version(self) -> int:
        """Version of the newest bundle."""
        return self.bundle.version

    @property
    def keyring(self) -> Keyring:
        """The keys of the newest bundle."""
        return self.bundle.keyring

    def chain(self, held: int) -> TrustBundleChain:
        """The bundles after the version held, in order."""
        newer = [parse_envelope(each.envelope) for each in self._stored if each.version > held]
        return TrustBundleChain(bundles=newer)
