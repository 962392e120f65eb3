"""From a join token to an enrolled system."""

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate
from google.protobuf.message import DecodeError

from licd.client.clock import Clock
from licd.client.disk import Disk
from licd.client.errors import EnrolmentRefused, JoinTokenInvalid
from licd.client.session.trust import read_terms
from licd.client.state_file import Channel, EnrolledSystem, Joining, StateDirectory
from licd.client.transport import Method, Network
from licd.core.errors import Forbidden, Invalid, OverQuota
from licd.core.time import SECOND, Millis
from licd.keys.bundle import Bundle, BundleError
from licd.keys.bundle_update import PayloadPin, follow, pin_first
from licd.keys.certificate_request import check_request, make_private_key, make_request
from licd.keys.identity import IdentityError, SystemIdentity, check_trust_domain, parse_path
from licd.keys.kinds import KeyPurpose
from licd.keys.pem_files import certificates_from_pem, private_key_to_pem
from licd.keys.pki import CertificateError, identity_of
from licd.keys.seal_reasons import SealInvalid
from licd.keys.signer import SEED_BYTES, MemorySigner, Randomness
from licd.v1 import enrolment_service_pb2, session_pb2

PREFIX: Final = "LICD-JOIN-1."
PROOF_DOMAIN: Final = b"licd-enrol-v1"
NOTHING_DONE: Final = (Forbidden, Invalid, OverQuota)
"""What licd says when it has not taken an enrolment; after anything else it may have."""
COMMITMENT_DOMAIN: Final = b"licd-pseudonym-key-v1\x00"
PSEUDONYM_KEY_BYTES: Final = 32
ENROL_TIMEOUT: Final[Millis] = 15 * SECOND
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]{1,65536}={0,2}")
_ADDRESS: Final = re.compile(r"[^\s,]+:[0-9]{1,5}(,[^\s,]+:[0-9]{1,5})*")
"""Of one replica or of several."""


@dataclass(frozen=True, slots=True)
class JoinToken:
    """What an operator handed over: where to enrol, whom to believe there, and the one-time secret.

    authority_pem holds more than one authority while licd changes from one to another.
    """

    trust_domain: str
    address: str
    authority_pem: str
    bundle_sha256: bytes
    deployment: str
    secret: str = field(repr=False)


def parse_join_token(text: str) -> JoinToken:
    """Read a join token. Raises JoinTokenInvalid, which does not repeat it."""
    body = text.strip()
    encoded = body.removeprefix(PREFIX)
    if not body.startswith(PREFIX) or _BASE64URL.fullmatch(encoded) is None:
        raise JoinTokenInvalid(f"a join token begins with {PREFIX} and goes on in base64url")
    try:
        fields: dict[str, Any] = json.loads(
            base64.urlsafe_b64decode(encoded.rstrip("=") + "=" * (-len(encoded.rstrip("=")) % 4))
        )
        if fields["v"] != 1:
            raise JoinTokenInvalid("the join token is of a version that this SDK does not know")
        authorities = [fields["ca"], *fields.get("more_ca", [])]
        token = JoinToken(
            trust_domain=check_trust_domain(str(fields["trust_domain"])),
            address=str(fields["enrolment"]),
            authority_pem="".join(_authority_pem(each) for each in authorities),
            bundle_sha256=bytes.fromhex(str(fields["bundle_sha256"])),
            deployment=str(fields["deployment"]),
            secret=str(fields["secret"]),
        )
    except (ValueError, RecursionError, KeyError, TypeError, UnsupportedAlgorithm, IdentityError):
        # from None: the chained error would carry the secret into a log.
        raise JoinTokenInvalid("the join token is damaged; was it copied whole?") from None
    if len(token.bundle_sha256) != hashlib.sha256().digest_size or not _ADDRESS.fullmatch(token.address):
        raise JoinTokenInvalid("the join token is damaged; was it copied whole?")
    return token


def _authority_pem(encoded: str) -> str:
    certificate = load_der_x509_certificate(base64.b64decode(encoded, validate=True))
    return certificate.public_bytes(Encoding.PEM).decode("ascii")


def proof_message(secret: str, request: bytes) -> bytes:
    """What the system's key signs to show that it is the one that is enrolling."""
    return PROOF_DOMAIN + _hash(secret) + hashlib.sha256(request).digest()


def commitment_of(pseudonym_key: bytes) -> bytes:
    """What licd learns of the pseudonym key."""
    return hashlib.sha256(COMMITMENT_DOMAIN + pseudonym_key).digest()


async def enrol(text: str, disk: Disk, network: Network, clock: Clock, randomness: Randomness) -> EnrolledSystem:
    """Trade a join token for an enrolment, and write it down. The pseudonym key of the directory is kept.

    Called again with the same token after no answer came, it shows the same keys, and is told the same.

    Raises JoinTokenInvalid, EnrolmentRefused, NoAnswer, LicdError (the token is used or late), DirectoryInUse, OSError.
    """
    token = parse_join_token(text)
    disk.lock()
    try:
        directory = StateDirectory(disk)
        pseudonym_key, is_new = await directory.pseudonym_key(randomness(PSEUDONYM_KEY_BYTES))
        keys, shown_first = await directory.joining(_hash(token.secret), lambda: _fresh(token, randomness))
        request = _request(token, keys, pseudonym_key)
        try:
            response = await _ask(token, network, request)
        except NOTHING_DONE as refusal:
            if shown_first or isinstance(refusal, Invalid):  # licd has not taken them, or never will
                await directory.forget_joining()
            if is_new:  # the next attempt may well be another deployment's
                await directory.forget_pseudonym_key()
            raise
        bundle = _trusted_bundle(token, response, clock.wall_ms())
        licence = _checked(token, response, bundle, request.public_key)
        _refuse_other_certificate(response, token.trust_domain, check_request(keys.csr))
        identity = EnrolledSystem(
            system=response.system,
            licence=licence,
            trust_domain=token.trust_domain,
            customer_address=response.customer_address,
            enrolment_address=token.address,
            enrolment_authority_pem=token.authority_pem,
            receipt=response.receipt,
            system_seed=keys.system_seed,
            channel_key_pem=keys.channel_key_pem,
        )
        channel = Channel(response.certificate_chain_pem, response.authorities_pem)
        await directory.enrol(identity, channel, bundle, response.licence.SerializeToString())
    finally:
        disk.unlock()
    return identity


def _fresh(token: JoinToken, randomness: Randomness) -> Joining:
    channel_key = make_private_key()
    return Joining(
        token_hash=_hash(token.secret),
        system_seed=randomness(SEED_BYTES),
        channel_key_pem=private_key_to_pem(channel_key).decode("ascii"),
        csr=make_request(channel_key),
    )


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _request(token: JoinToken, keys: Joining, pseudonym_key: bytes) -> enrolment_service_pb2.EnrolRequest:
    signer = MemorySigner(KeyPurpose.SYSTEM, keys.system_seed)
    return enrolment_service_pb2.EnrolRequest(
        join_secret=token.secret,
        csr=keys.csr,
        public_key=signer.public_key,
        proof=signer.sign(proof_message(token.secret, keys.csr)),
        pseudonym_key_commitment=commitment_of(pseudonym_key),
    )


async def _ask(
    token: JoinToken, network: Network, request: enrolment_service_pb2.EnrolRequest
) -> enrolment_service_pb2.EnrolResponse:
    transport = network.enrolment(token.address, token.authority_pem)
    try:
        raw = await transport.call(Method.ENROL, request.SerializeToString(), ENROL_TIMEOUT)
    finally:
        await transport.close()
    try:
        return enrolment_service_pb2.EnrolResponse.FromString(raw)
    except DecodeError as error:
        raise EnrolmentRefused("the answer cannot be read") from error


def _trusted_bundle(token: JoinToken, response: enrolment_service_pb2.EnrolResponse, now_ms: int) -> Bundle:
    """The newest bundle, led up to from the pinned one."""
    bundles = list(response.trust.bundles)
    try:
        if not bundles:
            raise EnrolmentRefused("the answer brings no trust bundle")
        first = pin_first(bundles[0], PayloadPin(token.bundle_sha256), 0)  # its age is looked at where the chain ends
        followed = follow(first, bundles[1:], now_ms)
    except BundleError as error:
        raise EnrolmentRefused(f"the trust bundle is not the pinned one: {error}") from error
    if followed.refusal is not None:
        raise EnrolmentRefused(f"the trust bundles do not hold: {followed.refusal}")
    if followed.bundle.trust_domain != token.trust_domain:
        raise EnrolmentRefused(f"the trust bundle is of {followed.bundle.trust_domain}")
    return followed.bundle


def _checked(token: JoinToken, response: enrolment_service_pb2.EnrolResponse, bundle: Bundle, public_key: bytes) -> str:
    """Return the licence's id, once receipt, licence and names are found to belong together."""
    try:
        receipt = session_pb2.EnrolmentReceipt.FromString(response.receipt)
        name = parse_path(response.system)
        terms = read_terms(response.licence, bundle)
    except (DecodeError, IdentityError, SealInvalid) as error:
        raise EnrolmentRefused(f"the answer cannot be believed: {error}") from error
    if not isinstance(name, SystemIdentity):
        raise EnrolmentRefused(f"{response.system} is no system")
    if (receipt.system, receipt.public_key) != (response.system, public_key):
        raise EnrolmentRefused("the receipt is for another system or key")
    if (terms.licence, terms.customer) != (receipt.licence, name.customer):
        raise EnrolmentRefused("the licence is not the one that the receipt names")
    if token.deployment and name.system != token.deployment:
        raise EnrolmentRefused(f"the token was for {token.deployment}, the answer is for {name.system}")
    if not _ADDRESS.fullmatch(response.customer_address):
        raise EnrolmentRefused("the answer names no address of the customer listener")
    return terms.licence


def _refuse_other_certificate(
    response: enrolment_service_pb2.EnrolResponse, trust_domain: str, public_key: object
) -> None:
    try:
        leaf = certificates_from_pem(response.certificate_chain_pem.encode())[0]
        certificates_from_pem(response.authorities_pem.encode())
        named = identity_of(leaf, trust_domain)
    except (CertificateError, IdentityError) as error:
        raise EnrolmentRefused(f"the certificate cannot be used: {error}") from error
    if leaf.public_key() != public_key or named != parse_path(response.system):
        raise EnrolmentRefused("the certificate is for another system or key")
