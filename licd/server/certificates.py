"""Certificates for systems and operators, issued by this installation's authority."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from licd.core.time import Instant, Millis
from licd.keys.hold import SigningHeld
from licd.keys.identity import Identity
from licd.keys.pem_files import certificates_to_pem
from licd.keys.pki import issue_leaf
from licd.server.authorities import Authorities


class Certificates:
    """Issues short-lived leaves, ECDSA P-256, SPIFFE URI."""

    def __init__(
        self,
        authorities: Authorities,
        life: Millis,
        wall: Callable[[], Instant],
        random: Callable[[int], bytes],
        held: Callable[[], bool],
    ) -> None:
        """`held` is the switch that stops all signing on this machine; it is asked before each certificate."""
        self._authorities: Final = authorities
        self._life: Final = life
        self._wall: Final = wall
        self._random: Final = random
        self._held: Final = held

    @property
    def authorities_pem(self) -> str:
        """The authorities whose certificates are believed here."""
        return self._authorities.believed_pem()

    def issue(self, public_key: ec.EllipticCurvePublicKey, identity: Identity) -> str:
        """The chain for an identity, leaf first, PEM. Raises SigningHeld."""
        if self._held():
            raise SigningHeld("signing is held on this machine; no certificate was issued")
        authority = self._authorities.issuing()
        leaf = issue_leaf(
            authority,
            public_key,
            identity,
            now_ms=self._wall(),
            life_ms=self._life,
            randomness=self._random,
        )
        return certificates_to_pem([leaf, authority.certificate]).decode()
