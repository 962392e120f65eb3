"""Certificates and their keys as PEM files, the form that TLS libraries load.

A private key of the channel is written unencrypted, mode 0600: gRPC takes nothing else, and PKCS#8's own encryption is
2048 rounds of PBKDF2 with an unauthenticated cipher.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from licd.keys.identity import check_trust_domain
from licd.keys.pki import Authority, CertificateError
from licd.keys.private_file import EVERYBODY, KeyFileError, KeyFileReason, read_private, read_public, replace, write_new

MAX_PEM_BYTES: Final = 1 << 16
"""Largest PEM file that is read."""


def private_key_to_pem(private_key: ec.EllipticCurvePrivateKey) -> bytes:
    """Write a channel key as PKCS#8 PEM, not encrypted."""
    return private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def certificates_to_pem(certificates: Sequence[x509.Certificate]) -> bytes:
    """Write certificates one after the other, leaf first."""
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


def certificates_from_pem(pem: bytes) -> tuple[x509.Certificate, ...]:
    """Read every certificate of a PEM text. Raises CertificateError when there is none or one is damaged."""
    if len(pem) > MAX_PEM_BYTES:
        raise CertificateError(f"more than {MAX_PEM_BYTES} bytes of certificates")
    try:
        return tuple(x509.load_pem_x509_certificates(pem))
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise CertificateError("this is no PEM text with certificates") from error


def write_private_key(path: Path, private_key: ec.EllipticCurvePrivateKey) -> None:
    """Write a channel key to a new file, mode 0600. Raises KeyFileError(EXISTS), OSError."""
    write_new(path, private_key_to_pem(private_key))


def write_certificates(path: Path, certificates: Sequence[x509.Certificate]) -> None:
    """Write certificates, in place of those that are there: the way a renewed one comes in. Raises OSError."""
    replace(path, certificates_to_pem(certificates), EVERYBODY)


def read_private_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Read a channel key. Raises KeyFileError, also when others may read the file."""
    pem = read_private(path, MAX_PEM_BYTES)
    try:
        private_key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyFileError(KeyFileReason.MALFORMED, path, "this is no unencrypted PEM private key") from error
    if not isinstance(private_key, ec.EllipticCurvePrivateKey) or not isinstance(private_key.curve, ec.SECP256R1):
        raise KeyFileError(KeyFileReason.MALFORMED, path, "the key is not ECDSA P-256")
    return private_key


def load_authority(trust_domain: str, certificate_path: Path, key_path: Path) -> Authority:
    """Read an authority back. Raises CertificateError, also when certificate and key do not match; KeyFileError."""
    private_key = read_private_key(key_path)
    certificate = certificates_from_pem(read_public(certificate_path, MAX_PEM_BYTES))[0]
    if certificate.public_key() != private_key.public_key():
        raise CertificateError(f"{certificate_path} and {key_path} do not belong together")
    return Authority(check_trust_domain(trust_domain), certificate, private_key)
