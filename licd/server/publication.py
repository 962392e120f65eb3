"""How a new trust bundle comes in force: looked at as every verifier does, stored, logged, told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final

from licd.core.errors import Invalid
from licd.core.time import Instant
from licd.keys.bundle import Bundle, BundleError
from licd.keys.errors import KeysError
from licd.ledger.transaction import Transaction
from licd.ledger.verbs.clock import StoreBundle
from licd.server.authorities import Authorities
from licd.server.keychain import Keychain
from licd.server.secrets import Spare
from licd.server.trust import Trust
from licd.v1.envelope_pb2 import Envelope

TWO_PERSONS: Final = 2


@dataclass(frozen=True, slots=True)
class Published:
    """When a bundle came in force, and from when on every system that reaches licd has it."""

    version: int
    at: Instant
    known_at: Instant


@dataclass(frozen=True, slots=True)
class Announced:
    """Stores a bundle; the checkpoint over it is signed by its keys too, so that it can be checked under both."""

    inner: StoreBundle
    trust: Trust
    bundle: Bundle
    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = True

    def run(self, tx: Transaction) -> Instant:
        """Returns when."""
        at = self.inner.run(tx)
        self.trust.coming = self.bundle
        return at


class Publication:
    """Takes what the holders of the root keys have signed."""

    def __init__(
        self,
        trust: Trust,
        keychain: Keychain,
        authorities: Authorities,
        spare: Callable[[], Spare],
        wall: Callable[[], Instant],
    ) -> None:
        self._trust: Final = trust
        self._keychain: Final = keychain
        self._authorities: Final = authorities
        self._spare: Final = spare
        self._wall: Final = wall

    def examine(self, envelope: Envelope) -> Bundle:
        """The bundle, if it follows the newest and leaves this machine able to sign. Raises Invalid naming why not.

        Keys that were put on this machine since it started are read here.
        """
        try:
            bundle = self._trust.following(envelope, self._wall())
            spare = self._spare()
        except BundleError as error:
            raise Invalid(str(error), field="bundle") from error
        except (KeysError, OSError) as error:
            raise Invalid(f"a key on licd's machine cannot be read: {error}", field="bundle") from error
        self._keychain.take(spare.signers)
        self._authorities.take(spare.authorities)
        missing = self._keychain.missing(bundle)
        if missing:
            what = f"licd could sign nothing as {', '.join(missing)}"
            detail = f"{what}: put a key that the bundle names, and that is valid now, below keys/ first"
            raise Invalid(detail, field="bundle")
        if self._authorities.missing(bundle.tls_authorities_pem):
            raise Invalid("it names no TLS authority whose key is below tls/ on licd's machine", field="bundle")
        return bundle

    def widens(self, bundle: Bundle) -> bool:
        """Whether less than two persons agreed to it so far, and it does more than withdraw keys."""
        before = self._trust.bundle
        if before.root_threshold >= TWO_PERSONS:
            return False
        same = (
            set(bundle.keys) <= set(before.keys)
            and bundle.root_keys == before.root_keys
            and bundle.root_threshold == before.root_threshold
            and set(bundle.tls_authorities_pem) <= set(before.tls_authorities_pem)
        )
        return not same

    def command(self, bundle: Bundle, actor: str) -> Announced:
        """What stores it. Its result is when."""
        return Announced(StoreBundle(bundle.version, bundle.raw, actor), self._trust, bundle)

    def published(self, bundle: Bundle, at: Instant) -> Published:
        """What is told of it; to be asked where it is decided, while the bundle before is still in force."""
        return Published(bundle.version, at, at + self._trust.bundle.refresh_hint_ms)
