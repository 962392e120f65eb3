"""The channel's certificates: one authority per installation, short leaves, the identity in the URI SAN.

ECDSA P-256 throughout, because gRPC's TLS takes no Ed25519 client certificates. A leaf says who (SPIFFE URI), to which
side of the channel it belongs (extended key usage) and until when; a server's also says where it answers (DNS, IP).
Sources: RFC 5280, sections 4.1 and 4.2; SPIFFE X.509-SVID, sections 2 to 4.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from licd.keys.certificate_request import make_private_key
from licd.keys.errors import KeysError
from licd.keys.identity import Identity, ServerIdentity, check_trust_domain, parse_identity, spiffe_uri
from licd.keys.signer import Randomness

BACKDATED_MS: Final = 60_000
"""Certificates are valid from a minute before they are made, for clocks that run behind."""
_SERIAL_BYTES: Final = 16
_DNS_NAME: Final = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*"
)


class CertificateError(KeysError):
    """A certificate cannot be issued so, or does not say who its owner is."""


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority: its certificate, its private key, and the trust domain it speaks for."""

    trust_domain: str
    certificate: x509.Certificate
    private_key: ec.EllipticCurvePrivateKey = field(repr=False)


def make_authority(trust_domain: str, name: str, *, now_ms: int, life_ms: int, randomness: Randomness) -> Authority:
    """Make a self-signed authority that may sign leaves and nothing below. `name` has at most 64 characters."""
    private_key = make_private_key()
    public_key = private_key.public_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = _begin(subject, subject, public_key, now_ms=now_ms, ends_ms=now_ms + life_ms, randomness=randomness)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_key_usage(authority=True), critical=True)
    uri = x509.UniformResourceIdentifier(f"spiffe://{check_trust_domain(trust_domain)}")
    builder = builder.add_extension(x509.SubjectAlternativeName([uri]), critical=False)
    return Authority(trust_domain, builder.sign(private_key, hashes.SHA256()), private_key)


def issue_leaf(
    authority: Authority,
    public_key: ec.EllipticCurvePublicKey,
    identity: Identity,
    *,
    now_ms: int,
    life_ms: int,
    randomness: Randomness,
    dns_names: Sequence[str] = (),
    addresses: Sequence[str] = (),
) -> x509.Certificate:
    """Issue a certificate for `identity`; it never outlives the authority.

    A server must have a DNS name or an address, nobody else may. Raises CertificateError, IdentityError.
    """
    issuer = authority.certificate
    ends_ms = min(now_ms + life_ms, int(issuer.not_valid_after_utc.timestamp()) * 1000)
    if life_ms <= 0 or ends_ms <= now_ms:
        raise CertificateError("the certificate would be over before it begins; has the authority run out?")
    builder = _begin(x509.Name([]), issuer.subject, public_key, now_ms=now_ms, ends_ms=ends_ms, randomness=randomness)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_key_usage(authority=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([_side_of(identity)]), critical=False)
    names = _names_of(identity, authority.trust_domain, dns_names, addresses)
    # Critical, because the subject is empty (RFC 5280, section 4.2.1.6).
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=True)
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    authority_identifier = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
    builder = builder.add_extension(authority_identifier, critical=False)
    return builder.sign(authority.private_key, hashes.SHA256())


def identity_of(certificate: x509.Certificate, trust_domain: str) -> Identity:
    """Return whom a certificate, whose chain TLS has checked, is for. Raises CertificateError, IdentityError."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, ValueError) as error:
        raise CertificateError("the certificate names nobody") from error
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    if len(uris) != 1:
        raise CertificateError(f"a certificate has exactly one URI, this one has {len(uris)}")
    return parse_identity(uris[0], trust_domain)


def thumbprint(certificate: x509.Certificate) -> bytes:
    """SHA-256 of the certificate, DER (RFC 8705, `x5t#S256`)."""
    return certificate.fingerprint(hashes.SHA256())


def key_thumbprint(public_key: ec.EllipticCurvePublicKey) -> bytes:
    """SHA-256 of the public key's SubjectPublicKeyInfo, DER: the same for every certificate of one key."""
    digest = hashes.Hash(hashes.SHA256())
    digest.update(public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    return digest.finalize()


def _begin(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    *,
    now_ms: int,
    ends_ms: int,
    randomness: Randomness,
) -> x509.CertificateBuilder:
    identifier = x509.SubjectKeyIdentifier.from_public_key(public_key)
    builder = x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=public_key,
        serial_number=_serial(randomness),
        not_valid_before=_instant(now_ms - BACKDATED_MS),
        not_valid_after=_instant(ends_ms),
    )
    return builder.add_extension(identifier, critical=False)


def _serial(randomness: Randomness) -> int:
    # 127 bits and never zero (RFC 5280, section 4.1.2.2: positive, at most 20 octets).
    return (int.from_bytes(randomness(_SERIAL_BYTES), "big") >> 1) | 1


def _instant(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms // 1000, tz=UTC)


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _side_of(identity: Identity) -> x509.ObjectIdentifier:
    return ExtendedKeyUsageOID.SERVER_AUTH if isinstance(identity, ServerIdentity) else ExtendedKeyUsageOID.CLIENT_AUTH


def _names_of(
    identity: Identity, trust_domain: str, dns_names: Sequence[str], addresses: Sequence[str]
) -> list[x509.GeneralName]:
    answers_somewhere = bool(dns_names or addresses)
    if answers_somewhere is not isinstance(identity, ServerIdentity):
        raise CertificateError("a server has a DNS name or an address, and nobody else has one")
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(spiffe_uri(identity, trust_domain))]
    for name in dns_names:
        if _DNS_NAME.fullmatch(name) is None:
            raise CertificateError(f"{name[:80]!r} is no DNS name: lower case, no wildcard")
        names.append(x509.DNSName(name))
    for address in addresses:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(address)))
        except ValueError as error:
            raise CertificateError(f"{address[:80]!r} is no IP address") from error
    return names
