"""The TLS authorities of this installation: which are believed, and which of those whose key is here issues."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from licd.core.time import SECOND, Instant
from licd.keys.pem_files import certificates_from_pem, certificates_to_pem
from licd.keys.pki import Authority
from licd.server.trust import Trust


class Authorities:
    """As with signing keys: the youngest authority that the bundle names and systems know issues."""

    def __init__(self, mine: Iterable[Authority], trust: Trust, wall: Callable[[], Instant]) -> None:
        self._trust: Final = trust
        self._wall: Final = wall
        self._mine: dict[str, Authority] = {}
        self.take(mine)

    def take(self, authorities: Iterable[Authority]) -> None:
        """Adds authorities whose keys have come to this machine."""
        self._mine = self._mine | {pem_of(each.certificate): each for each in authorities}

    def issuing(self) -> Authority:
        """The authority that signs certificates now."""
        now = self._wall()
        named = [pem for pem in self._trust.bundle.tls_authorities_pem if pem in self._mine]
        known = [pem for pem in named if self._trust.known_at(pem) <= now]
        # One whose authority no bundle names serves whoever pinned it by hand.
        candidates = known or named or list(self._mine)
        return max((self._mine[pem] for pem in candidates), key=lambda each: _begins(each.certificate))

    def believed_pem(self) -> str:
        """The authorities whose certificates are believed here, PEM."""
        return "".join(self._trust.bundle.tls_authorities_pem) or pem_of(self.issuing().certificate)

    def believed_der(self) -> list[bytes]:
        """The same, DER, the one that issues first."""
        issuing = self.issuing().certificate
        others = [each for each in certificates_from_pem(self.believed_pem().encode()) if each != issuing]
        return [each.public_bytes(Encoding.DER) for each in (issuing, *others)]

    def missing(self, believed: Iterable[str]) -> bool:
        """Whether of the authorities that a bundle names none could issue here."""
        return not any(pem in self._mine for pem in believed)


def pem_of(certificate: x509.Certificate) -> str:
    """One certificate, as bundles carry it."""
    return certificates_to_pem([certificate]).decode()


def _begins(certificate: x509.Certificate) -> Instant:
    return int(certificate.not_valid_before_utc.timestamp()) * SECOND
