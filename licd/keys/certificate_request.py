"""Certificate requests (PKCS#10, RFC 2986): made by who wants a certificate, checked by who issues it.

Of a request only the public key is used. Names and extensions it asks for are ignored: the issuer knows who is asking.
"""

from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from licd.keys.errors import KeysError

MAX_REQUEST_BYTES: Final = 8192
"""Largest request that is parsed."""


class CertificateRequestError(KeysError):
    """This request cannot be granted to anybody."""


def make_private_key() -> ec.EllipticCurvePrivateKey:
    """Make a P-256 key for the channel, from the library's own randomness."""
    return ec.generate_private_key(ec.SECP256R1())


def make_request(private_key: ec.EllipticCurvePrivateKey) -> bytes:
    """Make a request, DER, that proves possession of the key and asks for no name."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(private_key, hashes.SHA256()).public_bytes(Encoding.DER)


def check_request(request: bytes) -> ec.EllipticCurvePublicKey:
    """Return the public key of a request, DER or PEM, once its owner has shown to hold the private one.

    Raises CertificateRequestError: not a request, not P-256, or signed by another key.
    """
    if len(request) > MAX_REQUEST_BYTES:
        raise CertificateRequestError(f"a request has at most {MAX_REQUEST_BYTES} bytes")
    try:
        pem = request.lstrip().startswith(b"-----")
        parsed = x509.load_pem_x509_csr(request) if pem else x509.load_der_x509_csr(request)
        public_key = parsed.public_key()
        proved = parsed.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise CertificateRequestError("these bytes are no certificate request") from error
    if not isinstance(public_key, ec.EllipticCurvePublicKey) or not isinstance(public_key.curve, ec.SECP256R1):
        raise CertificateRequestError("the key must be ECDSA P-256")
    if not proved:
        raise CertificateRequestError("the request is not signed by the key it shows")
    return public_key
