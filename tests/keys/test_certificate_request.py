from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from licd.keys.certificate_request import (
    MAX_REQUEST_BYTES,
    CertificateRequestError,
    check_request,
    make_private_key,
    make_request,
)
from tests.keys.sample import flip

KEY = make_private_key()
REQUEST = make_request(KEY)


def signed_by(private_key: Any, algorithm: Any = None) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(private_key, algorithm).public_bytes(Encoding.DER)


def test_a_request_shows_the_key_that_made_it() -> None:
    assert check_request(REQUEST) == KEY.public_key()


def test_a_request_may_come_as_pem() -> None:
    pem = x509.load_der_x509_csr(REQUEST).public_bytes(Encoding.PEM)
    assert check_request(b"\n" + pem) == KEY.public_key()


def test_a_request_asks_for_no_name() -> None:
    parsed = x509.load_der_x509_csr(REQUEST)
    assert not list(parsed.subject)
    assert not list(parsed.extensions)


@pytest.mark.parametrize(
    "request_",
    [
        signed_by(ed25519.Ed25519PrivateKey.generate()),
        signed_by(ec.generate_private_key(ec.SECP384R1()), hashes.SHA384()),
        signed_by(ec.generate_private_key(ec.SECP256K1()), hashes.SHA256()),
        signed_by(rsa.generate_private_key(65537, 2048), hashes.SHA256()),
    ],
    ids=["ed25519", "p384", "k256", "rsa"],
)
def test_refuses_every_key_that_is_not_p256(request_: bytes) -> None:
    with pytest.raises(CertificateRequestError, match="P-256"):
        check_request(request_)


def test_refuses_a_request_for_somebody_elses_key() -> None:
    mine, theirs = (key.public_key().public_numbers() for key in (KEY, make_private_key()))
    stolen = REQUEST.replace(mine.x.to_bytes(32, "big"), theirs.x.to_bytes(32, "big"))
    stolen = stolen.replace(mine.y.to_bytes(32, "big"), theirs.y.to_bytes(32, "big"))
    assert stolen != REQUEST
    with pytest.raises(CertificateRequestError, match="not signed by the key"):
        check_request(stolen)


def test_refuses_a_request_that_is_too_long() -> None:
    with pytest.raises(CertificateRequestError, match="at most"):
        check_request(bytes(MAX_REQUEST_BYTES + 1))


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_and_do_no_harm(request_: bytes) -> None:
    with pytest.raises(CertificateRequestError):
        check_request(request_)
    with pytest.raises(CertificateRequestError):
        check_request(b"-----BEGIN CERTIFICATE REQUEST-----\n" + request_)


def test_any_bit_turned_in_what_is_signed_is_refused() -> None:
    info = x509.load_der_x509_csr(REQUEST).tbs_certrequest_bytes
    start = REQUEST.index(info)
    for bit in range(8 * start, 8 * (start + len(info))):
        with pytest.raises(CertificateRequestError):
            check_request(flip(REQUEST, bit))


def test_a_bit_turned_elsewhere_is_refused_or_changes_nothing() -> None:
    # DER has second spellings that the parser takes, as for the unused bits of the signature.
    for bit in range(8 * len(REQUEST)):
        assert key_or_none(flip(REQUEST, bit)) in (None, KEY.public_key())


def key_or_none(request: bytes) -> ec.EllipticCurvePublicKey | None:
    try:
        return check_request(request)
    except CertificateRequestError:
        return None
