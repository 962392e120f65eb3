"""Trading a join token for papers, with a cheat's own hands."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from licd.v1 import enrolment_service_pb2 as pb
from simulator.raw.line import ENROLMENT, GrpcLine, Line, Papers

PREFIX: Final = "LICD-JOIN-1."
WITHIN: Final = 20.0
_COMMITMENT: Final = b"licd-pseudonym-key-v1\x00"


def read_join_token(token: str) -> dict[str, Any]:
    """What a join token says. Raises ValueError."""
    if not token.startswith(PREFIX):
        raise ValueError("no join token")
    packed = token.removeprefix(PREFIX)
    content: dict[str, Any] = json.loads(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)))
    return content


def pinned_authority(token: dict[str, Any]) -> str:
    """The authority that a join token pins, PEM."""
    certificate = x509.load_der_x509_certificate(base64.b64decode(token["ca"]))
    return certificate.public_bytes(Encoding.PEM).decode()


async def enrol(
    join_token: str,
    secret: Ed25519PrivateKey,
    line_to: Callable[[str, str], Line] = GrpcLine,
) -> Papers:
    """Enrol with this signing key. Raises LineBroken when licd does not take it."""
    token = read_join_token(join_token)
    channel_key = ec.generate_private_key(ec.SECP256R1())
    request = _request(token["secret"], secret, channel_key)
    line = line_to(token["enrolment"], pinned_authority(token))
    try:
        raw = await line.call(ENROLMENT + "Enrol", request.SerializeToString(), WITHIN)
    finally:
        await line.close()
    answer = pb.EnrolResponse.FromString(raw)
    return Papers(
        system=answer.system,
        address=answer.customer_address,
        authorities=answer.authorities_pem,
        certificate=answer.certificate_chain_pem,
        key=channel_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        receipt=answer.receipt,
        licence=answer.licence.payload,
    )


def _request(join_secret: str, secret: Ed25519PrivateKey, channel_key: ec.EllipticCurvePrivateKey) -> pb.EnrolRequest:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    csr = builder.sign(channel_key, hashes.SHA256()).public_bytes(Encoding.DER)
    proved = b"licd-enrol-v1" + sha256(join_secret.encode()).digest() + sha256(csr).digest()
    public = secret.public_key().public_bytes_raw()
    return pb.EnrolRequest(
        join_secret=join_secret,
        csr=csr,
        public_key=public,
        proof=secret.sign(proved),
        pseudonym_key_commitment=sha256(_COMMITMENT + sha256(public).digest()).digest(),
    )
