"""EnrolmentService: a one-time join token for an identity, and trust bundles for everybody."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec

from licd.core.deployment import system_of
from licd.core.errors import Invalid
from licd.core.model import Deployment
from licd.core.time import Instant
from licd.keys.certificate_request import check_request
from licd.keys.identity import SystemIdentity
from licd.keys.pki import key_thumbprint
from licd.keys.public_key import PublicKeyError, parse_public_key
from licd.ledger.verbs.deployments import Enrol, Enrolled
from licd.server.caller import Caller
from licd.server.certificates import Certificates
from licd.server.changes import Answering
from licd.server.trust import Trust
from licd.server.writer import Writer
from licd.v1 import enrolment_service_pb2 as pb
from licd.v1.envelope_pb2 import Envelope
from licd.v1.session_pb2 import EnrolmentReceipt

PROOF_PREFIX: Final = b"licd-enrol-v1"
KEY_BYTES: Final = 32
SECRET_LIMIT: Final = 256


class EnrolmentService:
    """The enrolment listener: no client certificate, the join secret is what counts."""

    def __init__(
        self, writer: Writer, certificates: Certificates, trust: Trust, customer_address: Callable[[], str]
    ) -> None:
        self._writer: Final = writer
        self._certificates: Final = certificates
        self._trust: Final = trust
        self._customer_address: Final = customer_address

    async def enrol(self, request: pb.EnrolRequest, caller: Caller) -> pb.EnrolResponse:
        """Binds a system's keys and gives it a certificate."""
        _check_lengths(request)
        channel_key = check_request(request.csr)
        _check_proof(request)
        enrol = Enrol(
            token_hash=sha256(request.join_secret.encode()).digest(),
            system_key=request.public_key,
            channel_key_hash=key_thumbprint(channel_key),
            pseudonym_commitment=request.pseudonym_key_commitment,
            make_receipt=_receipt,
        )
        # The certificate is made where the token is spent: while signing is held, the token stays good.
        return await self._writer.execute(Answering(enrol, partial(self._response, channel_key)))

    def _response(self, channel_key: ec.EllipticCurvePublicKey, enrolled: Enrolled) -> pb.EnrolResponse:
        found = enrolled.deployment
        return pb.EnrolResponse(
            system=system_of(found),
            certificate_chain_pem=self._certificates.issue(channel_key, SystemIdentity(found.customer, found.id)),
            receipt=enrolled.receipt,
            trust=self._trust.chain(0),
            licence=Envelope.FromString(enrolled.licence.token),
            authorities_pem=self._certificates.authorities_pem,
            customer_address=self._customer_address(),
        )

    async def get_trust_bundle(self, request: pb.GetTrustBundleRequest, caller: Caller) -> pb.GetTrustBundleResponse:
        """Every bundle after the one held."""
        if request.held_version < 0:
            raise Invalid("0 for none, else the version held", field="held_version")
        return pb.GetTrustBundleResponse(trust=self._trust.chain(request.held_version))


def _check_lengths(request: pb.EnrolRequest) -> None:
    if not request.join_secret or len(request.join_secret) > SECRET_LIMIT:
        raise Invalid("the secret part of the join token", field="join_secret")
    if len(request.pseudonym_key_commitment) != KEY_BYTES:
        raise Invalid(f"a SHA-256 commitment of {KEY_BYTES} bytes", field="pseudonym_key_commitment")


def _check_proof(request: pb.EnrolRequest) -> None:
    message = PROOF_PREFIX + sha256(request.join_secret.encode()).digest() + sha256(request.csr).digest()
    try:
        key = parse_public_key(request.public_key)
    except PublicKeyError as error:
        raise Invalid(str(error), field="public_key") from error
    try:
        key.verify(request.proof, message)
    except InvalidSignature as error:
        raise Invalid("not the signature of public_key over this enrolment", field="proof") from error


def _receipt(deployment: Deployment, now: Instant) -> bytes:
    return EnrolmentReceipt(
        system=system_of(deployment),
        licence=deployment.licence,
        enrolment=str(deployment.enrolment),
        public_key=deployment.system_key,
        enrolled_at_ms=now,
    ).SerializeToString()
