"""`licd renew-certificates`: new certificates for the keys that are there, from this installation's own authority."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from licd.core.errors import Invalid
from licd.core.time import DAY, SECOND, Instant, Millis
from licd.keys.identity import Identity, OperatorIdentity, ServerIdentity
from licd.keys.pem_files import certificates_from_pem, read_private_key, write_certificates
from licd.keys.pki import Authority, identity_of, issue_leaf, key_thumbprint
from licd.keys.private_file import EVERYBODY, replace
from licd.ledger.rows import OPERATORS
from licd.server.authorities import Authorities
from licd.server.clock import SystemClock, entropy
from licd.server.config import read_config
from licd.server.rows_check import trust_of
from licd.server.secrets import read_authorities
from licd.server.state_dir import StateDirectory
from licd.server.transfer import rows_of

LIFE: Final[Millis] = 90 * DAY


@dataclass(frozen=True, slots=True)
class Renewed:
    """One certificate: until when it holds now, or why it was left as it was."""

    path: Path
    not_after: Instant
    left: str = ""


def renew_certificates(state: StateDirectory, life: Millis, hosts: Sequence[str] = ()) -> list[Renewed]:
    """The listeners' certificate, and that of each operator whose files are here and who is enabled.

    hosts replace the names in the listeners' certificate. A daemon that serves takes its new one at the next
    handshake. Raises Invalid, KeysError, OSError.
    """
    config = read_config(state.root)
    with rows_of(state) as rows:
        trust = trust_of(rows)
    authorities = Authorities(read_authorities(state, config.trust_domain), trust, SystemClock().wall)
    desk = _Desk(authorities.issuing(), authorities.believed_pem(), SystemClock().wall(), life)
    enabled = _enabled_operators(state)
    folders = sorted(path.parent for path in state.root.glob("operators/*/tls.pem"))
    for folder in folders:  # first: they are to believe the authority that the listeners' certificate is going to be of
        desk.hand_authorities(folder)
    renewed = [desk.renew(state.server[0], state.server[1], ServerIdentity, hosts)]
    return [*renewed, *(desk.renew_operator(folder, enabled) for folder in folders)]


def _enabled_operators(state: StateDirectory) -> dict[str, bytes]:
    """The channel key of everybody who may operate. Raises Invalid when it cannot be known."""
    try:
        with rows_of(state) as rows:
            found = OPERATORS.find(rows, "all", OPERATORS.select)
    except sqlite3.Error as error:
        raise Invalid(f"{state.database} does not say who may operate: {error}", field="state") from error
    return {each.id: each.channel_key_hash for each in found if each.enabled}


class _Desk:
    """Issues for one moment and one life, and hands operators the authorities that are believed."""

    def __init__(self, authority: Authority, believed: str, now: Instant, life: Millis) -> None:
        self._authority: Final = authority
        self._believed: Final = believed
        self._now: Final = now
        self._life: Final = life

    def renew(self, chain: Path, key: Path, kind: type[Identity], hosts: Sequence[str] = ()) -> Renewed:
        """Raises Invalid when key, certificate and kind of owner do not belong together; KeysError, OSError."""
        old = certificates_from_pem(chain.read_bytes())[0]
        public_key = read_private_key(key).public_key()
        identity = identity_of(old, self._authority.trust_domain)
        if old.public_key() != public_key or not isinstance(identity, kind):
            raise Invalid(f"{chain} and {key} are no {kind.__name__} that belong together")
        return self._issue(chain, public_key, identity, *(_split(hosts) if hosts else _names(old)))

    def renew_operator(self, folder: Path, enabled: dict[str, bytes]) -> Renewed:
        """As renew, unless the operator may not operate, or with another key."""
        key = folder / "tls.key"
        if not key.is_file():
            return Renewed(folder / "tls.pem", 0, "its key is not here; its owner asks for a new certificate")
        known = enabled.get(folder.name)
        if known is None:
            return Renewed(folder / "tls.pem", 0, f"there is no enabled operator {folder.name}")
        if key_thumbprint(read_private_key(key).public_key()) != known:
            return Renewed(folder / "tls.pem", 0, "licd knows another key of this operator")
        return self.renew(folder / "tls.pem", key, OperatorIdentity)

    def hand_authorities(self, folder: Path) -> None:
        """All that may be met while one authority takes over from another."""
        replace(folder / "ca.pem", self._believed.encode("ascii"), EVERYBODY)

    def _issue(
        self,
        chain: Path,
        public_key: ec.EllipticCurvePublicKey,
        identity: Identity,
        names: Sequence[str],
        addresses: Sequence[str],
    ) -> Renewed:
        leaf = issue_leaf(
            self._authority,
            public_key,
            identity,
            now_ms=self._now,
            life_ms=self._life,
            randomness=entropy,
            dns_names=names,
            addresses=addresses,
        )
        write_certificates(chain, [leaf, self._authority.certificate])
        return Renewed(chain, int(leaf.not_valid_after_utc.timestamp()) * SECOND)


def _names(certificate: x509.Certificate) -> tuple[list[str], list[str]]:
    """The DNS names and addresses of a certificate."""
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = [str(each) for each in found.get_values_for_type(x509.IPAddress)]
    return found.get_values_for_type(x509.DNSName), addresses


def _split(hosts: Sequence[str]) -> tuple[list[str], list[str]]:
    addresses = [host for host in hosts if is_address(host)]
    return [host for host in hosts if host not in addresses], addresses


def is_address(host: str) -> bool:
    """Whether a host is meant as an IP address."""
    return ":" in host or host.replace(".", "").isdigit()
