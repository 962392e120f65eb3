"""What comes in, whatever carried it: bytes that must be a request, a certificate that must name a caller."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from google.protobuf.message import DecodeError, Message

from licd.core.errors import Invalid, Unauthenticated
from licd.core.time import SECOND, Instant
from licd.keys.errors import KeysError
from licd.keys.payload import refuse_unknown_fields
from licd.keys.pki import identity_of, key_thumbprint
from licd.keys.seal_reasons import SealInvalid
from licd.server.caller import Caller, Listener

CERTIFICATES_KEPT: Final = 50_000


class CertificateReader:
    """Says whom a certificate names. Certificates are parsed once."""

    def __init__(self, trust_domain: str, wall: Callable[[], Instant]) -> None:
        self._wall: Final = wall
        self._known: Final = lru_cache(maxsize=CERTIFICATES_KEPT)(_reader_of(trust_domain))

    def caller(self, listener: Listener, pem: bytes | None, address: str) -> Caller:
        """Who calls there with this certificate (PEM). Raises Unauthenticated when it names nobody, or has ended."""
        if listener is Listener.ENROLMENT:
            return Caller(listener, None, b"", address)
        if pem is None:
            raise Unauthenticated("a client certificate is needed here")
        caller, ends = self._known(listener, pem, address)
        if self._wall() >= ends:
            raise Unauthenticated("this certificate has ended since the connection was made; renew it and call anew")
        return caller


def _reader_of(trust_domain: str) -> Callable[[Listener, bytes, str], tuple[Caller, Instant]]:
    """Who calls with a certificate from an address, and when the certificate ends."""

    def read(listener: Listener, pem: bytes, address: str) -> tuple[Caller, Instant]:
        certificate = x509.load_pem_x509_certificate(pem)
        key = certificate.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise Unauthenticated("certificates here have ECDSA P-256 keys")
        try:
            ends = int(certificate.not_valid_after_utc.timestamp()) * SECOND
            return Caller(listener, identity_of(certificate, trust_domain), key_thumbprint(key), address), ends
        except KeysError as error:
            raise Unauthenticated(str(error)) from error

    return read


def parsed(kind: type[Message], raw: Any) -> Message:
    """Reads a message. Raises Invalid for bytes that are none, or that say what this licd does not understand."""
    try:
        message = kind.FromString(raw)
        size = message.ByteSize()
        message.DiscardUnknownFields()
        if message.ByteSize() != size:  # rare: only now is it worth a walk to find out which field it is
            refuse_unknown_fields(kind.FromString(raw))
    except DecodeError as error:
        raise Invalid(f"these bytes are no {kind.DESCRIPTOR.name}") from error
    except SealInvalid as error:
        raise Invalid(f"not understood: {error.detail}") from error
    return message
