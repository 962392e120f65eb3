"""Certificates as nobody but a careless or hostile authority would issue them."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from os import urandom  # noqa: TID251 -- serial numbers
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from licd.core.time import SECOND, Instant, Millis
from tests.daemon import Papers

CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH
SERVER = ExtendedKeyUsageOID.SERVER_AUTH


@dataclass(frozen=True, slots=True)
class Issuer:
    """A certificate and its key, whether or not it may sign others."""

    certificate: x509.Certificate
    key: Any

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)


def p256() -> Any:
    return ec.generate_private_key(ec.SECP256R1())


def p384() -> Any:
    return ec.generate_private_key(ec.SECP384R1())


def rsa2048() -> Any:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def ed25519_key() -> Any:
    return ed25519.Ed25519PrivateKey.generate()


def certificate(
    by: Issuer | None,
    now: Instant,
    *names: str,
    key: Any = None,
    begins: Millis = -60 * SECOND,
    ends: Millis = 3600 * SECOND,
    usage: Sequence[x509.ObjectIdentifier] = (CLIENT,),
    authority: bool = False,
    common_name: str = "",
) -> Issuer:
    """A certificate by an issuer, or self-signed. Names are `URI:…`, `DNS:…`, `IP:…` or `email:…`."""
    key = key or p256()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else [])
    moment = datetime.fromtimestamp(now / SECOND, tz=UTC)
    builder = x509.CertificateBuilder(
        issuer_name=by.certificate.subject if by else subject,
        subject_name=subject,
        public_key=key.public_key(),
        serial_number=int.from_bytes(urandom(8), "big") | 1,
        not_valid_before=moment + timedelta(milliseconds=begins),
        not_valid_after=moment + timedelta(milliseconds=ends),
    ).add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    builder = builder.add_extension(_key_usage(authority=authority), critical=True)
    if usage:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usage), critical=False)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([_name(each) for each in names]), critical=True)
    signing_key = by.key if by else key
    algorithm = None if isinstance(signing_key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return Issuer(builder.sign(signing_key, algorithm), key)


def papers(leaf: Issuer, *above: Issuer) -> Papers:
    """The leaf and what stands above it in the chain that is shown."""
    pem = leaf.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Papers(pem, b"".join(each.pem for each in (leaf, *above)))


def _name(text: str) -> x509.GeneralName:
    kind, _, value = text.partition(":")
    match kind:
        case "URI":
            return x509.UniformResourceIdentifier(value)
        case "DNS":
            return x509.DNSName(value)
        case "IP":
            return x509.IPAddress(ipaddress.ip_address(value))
        case _:
            return x509.RFC822Name(value)


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
