"""The trust bundles of this installation: the chain that systems follow, and the keyring of the newest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Self

from licd.core.time import Instant
from licd.keys.bundle import Bundle
from licd.keys.bundle_update import advance, refuse_frozen, reload
from licd.keys.envelope import parse_envelope
from licd.keys.keyring import Keyring
from licd.keys.kinds import KeyPurpose
from licd.ledger.database import Connection
from licd.ledger.ledger import BatchFigures
from licd.ledger.queries import bundles, publications
from licd.ledger.records import StoredBundle
from licd.ledger.transaction import Committed
from licd.v1.envelope_pb2 import Envelope
from licd.v1.trust_pb2 import TrustBundleChain

Follower = Callable[[], object]


class Trust:
    """The chain in memory. It moves on with the batch that stores a bundle, on the writing thread.

    What a bundle brings is *known* once every system that reaches licd has had the time to ask for it: the bundle
    before says how often they ask. coming is one that the batch under way stores.
    Raises BundleError at start when the stored chain does not hold.
    """

    def __init__(self, stored: Sequence[StoredBundle], published: Mapping[int, Instant] | None = None) -> None:
        """Published says when each version was; a version without counts as known to all."""
        if not stored:
            raise ValueError("there is no trust bundle; was this state directory made by `licd init`?")
        self._stored: Final[list[StoredBundle]] = []
        self._known_at: Final[dict[str, Instant]] = {}
        self._evidence: Final[dict[bytes, str]] = {}
        self._authorities: Final[set[str]] = set()
        self._followers: Final[list[Follower]] = []
        self.bundle: Bundle = reload(stored[0].envelope)
        self.coming: Bundle | None = None
        self.first_payload: Final = self.bundle.payload
        times = published or {}
        self._note(stored[0], self.bundle, 0)
        for each in stored[1:]:
            self._take(each, times.get(each.version, 0))

    @classmethod
    def of(cls, connection: Connection) -> Self:
        """The chain in these rows. Raises ValueError when there is none, BundleError."""
        return cls(bundles(connection), publications(connection))

    def _take(self, stored: StoredBundle, published_at: Instant) -> None:
        following = advance(self.bundle, parse_envelope(stored.envelope))
        known_at = published_at + self.bundle.refresh_hint_ms if published_at else 0
        self._note(stored, following, known_at)
        self.bundle = following

    def _note(self, stored: StoredBundle, bundle: Bundle, known_at: Instant) -> None:
        self._stored.append(stored)
        for name in (*(key.key_id for key in bundle.keys), *bundle.tls_authorities_pem):
            self._known_at.setdefault(name, known_at)
        self._evidence.update((key.public_key, key.key_id) for key in bundle.keys if key.purpose is KeyPurpose.EVIDENCE)
        self._authorities.update(bundle.tls_authorities_pem)

    # ------------------------------------------------------------------------------------------ what is believed
    @property
    def version(self) -> int:
        """Version of the newest bundle."""
        return self.bundle.version

    @property
    def keyring(self) -> Keyring:
        """The keys of the newest bundle."""
        return self.bundle.keyring

    def known_at(self, name: str) -> Instant:
        """From when on systems know a key (by its id) or an authority (by its PEM). 0: always, or never heard of."""
        return self._known_at.get(name, 0)

    def evidence_keys(self) -> list[bytes]:
        """Every evidence key that was ever in a bundle and is not withdrawn: a log is older than its newest key."""
        return [key for key, key_id in self._evidence.items() if key_id not in self.bundle.withdrawn_key_ids]

    def had_authority(self, pem: str) -> bool:
        """Whether any bundle of the chain names this authority."""
        return pem in self._authorities

    def chain(self, held: int) -> TrustBundleChain:
        """The bundles after the version held, in order."""
        newer = [parse_envelope(each.envelope) for each in self._stored if each.version > held]
        return TrustBundleChain(bundles=newer)

    # --------------------------------------------------------------------------------------------- how it moves on
    def following(self, envelope: Envelope, now: Instant) -> Bundle:
        """The bundle in an envelope, if it may be the next one. Raises BundleError, as every verifier does."""
        bundle = advance(self.bundle, envelope)
        refuse_frozen(bundle, now)
        return bundle

    def follow(self, follower: Follower) -> None:
        """Have somebody told, on the writing thread, after each step."""
        self._followers.append(follower)

    def committed(self, done: Committed, figures: BatchFigures) -> None:
        """Takes the bundles that a durable batch stored."""
        self.coming = None
        moved = [row for row in done.rows if isinstance(row, StoredBundle) and row.version > self.version]
        for row in moved:
            self._take(row, done.decided_at)
        if moved:
            for follower in self._followers:
                follower()

    def failed(self, why: str) -> None:
        """Nothing was changed."""
        self.coming = None
