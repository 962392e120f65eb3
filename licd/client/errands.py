"""The unary calls of an open system, each made for one answer. What comes back is an event for the machine."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from licd.client.errors import NoAnswer
from licd.client.session.events import CallAnswered, CallFailed, CertificateChanged, LicenceFetched, TrustFetched
from licd.client.session.trust import parsed
from licd.client.state_file import Channel, EnrolledSystem, StateDirectory
from licd.client.transport import Credentials, Method, Network, Stream, Transport
from licd.core.errors import LicdError
from licd.core.time import SECOND, Instant, Millis
from licd.keys.certificate_request import make_request
from licd.keys.pem_files import certificates_from_pem
from licd.keys.pki import CertificateError
from licd.v1 import enrolment_service_pb2, session_service_pb2

_LOG: Final = logging.getLogger("licd.client")
UNARY_TIMEOUT: Final[Millis] = 10 * SECOND


class Errands:
    """Holds the connection to the customer listener, and moves to a new one when the certificate is renewed."""

    def __init__(
        self,
        network: Network,
        identity: EnrolledSystem,
        channel: Channel,
        directory: StateDirectory,
        request_id: Callable[[], str],
        authorities: Sequence[str],
    ) -> None:
        """Connect to nothing yet. authorities are those of the trust bundle, PEM; see `accept`."""
        self._network: Final = network
        self._identity: Final = identity
        self._directory: Final = directory
        self._request_id: Final = request_id
        self._channel = channel
        self._authorities = tuple(authorities)
        self._transport: Transport = self._connect()
        self._retired: list[Transport] = []

    def _connect(self) -> Transport:
        credentials = Credentials(
            self._accepted(self._channel.authorities_pem),
            self._channel.certificate_chain_pem,
            self._identity.channel_key_pem,
        )
        return self._network.customers(self._identity.customer_address, credentials)

    def _accepted(self, otherwise: str) -> str:
        """The bundle's authorities; what came with the enrolment or a renewal only until a bundle names any."""
        named = self._authorities or (otherwise,)
        return "\n".join(dict.fromkeys(each.strip() for each in named)) + "\n"

    def accept(self, authorities: Sequence[str]) -> CertificateChanged | None:
        """Take the authorities of a newer bundle: one that it does not name is believed no more.

        When they are others than before, connect anew: the event says so.
        """
        if tuple(authorities) == self._authorities:
            return None
        self._authorities = tuple(authorities)
        return self._move()

    def _move(self) -> CertificateChanged:
        self._retired.append(self._transport)
        self._transport = self._connect()
        return CertificateChanged(validity_of(self._channel))

    async def call(self, method: Method, request: bytes) -> bytes:
        """Make a call on the customer listener. Raises NoAnswer, LicdError."""
        return await self._transport.call(method, request, UNARY_TIMEOUT)

    async def stream(self) -> Stream:
        """Open a Session stream. Raises NoAnswer, LicdError."""
        return await self._transport.stream()

    async def open_session(self, number: int, request: bytes, within: Millis) -> CallAnswered | CallFailed:
        """Bring an opening link to licd."""
        try:
            response = await self._transport.call(Method.OPEN_SESSION, request, within)
        except NoAnswer as error:
            return CallFailed(number, str(error))
        except LicdError as error:
            return CallFailed(number, f"{error.code}: {error}", error.retry_after)
        return CallAnswered(number, response)

    async def fetch_trust(self, held_version: int) -> TrustFetched:
        """Ask the enrolment listener for newer bundles: it answers also who has no valid certificate any more."""
        request = enrolment_service_pb2.GetTrustBundleRequest(held_version=held_version)
        authorities = self._accepted(self._identity.enrolment_authority_pem)
        transport = self._network.enrolment(self._identity.enrolment_address, authorities)
        try:
            raw = await transport.call(Method.GET_TRUST_BUNDLE, request.SerializeToString(), UNARY_TIMEOUT)
        except (NoAnswer, LicdError) as error:
            _LOG.info("no newer trust bundle could be had: %s", error)
            return TrustFetched(None)
        finally:
            await transport.close()
        response = parsed(enrolment_service_pb2.GetTrustBundleResponse, raw)
        return TrustFetched(None if response is None else response.trust.SerializeToString())

    async def fetch_licence(self) -> LicenceFetched:
        """Ask for the licence as it was last signed."""
        try:
            raw = await self.call(Method.CHECK_LICENCE, b"")
        except (NoAnswer, LicdError) as error:
            _LOG.info("the licence could not be had: %s", error)
            return LicenceFetched(None)
        response = parsed(session_service_pb2.CheckLicenceResponse, raw)
        return LicenceFetched(None if response is None else response.licence.SerializeToString())

    async def give_back(self, lease: int) -> None:
        """Give back a lease that was had by a unary call. If that fails it runs out by itself, within seconds."""
        request = session_service_pb2.ReleaseLeaseRequest(request_id=self._request_id(), lease=lease)
        try:
            await self.call(Method.RELEASE_LEASE, request.SerializeToString())
        except (NoAnswer, LicdError) as error:
            _LOG.info("lease %d was not given back, it runs out by itself: %s", lease, error)

    async def renew_certificate(self) -> CertificateChanged:
        """Get a new certificate for the same key, keep it, and connect with it from here on."""
        try:
            channel = await self._new_channel()
            await self._directory.save_channel(channel)
        except (NoAnswer, LicdError, CertificateError, OSError) as error:
            _LOG.warning("the certificate could not be renewed, it is tried again: %s", error)
            return CertificateChanged(None)
        self._channel = channel
        return self._move()

    async def _new_channel(self) -> Channel:
        key = channel_key(self._identity.channel_key_pem)
        request = session_service_pb2.RenewCertificateRequest(request_id=self._request_id(), csr=make_request(key))
        raw = await self.call(Method.RENEW_CERTIFICATE, request.SerializeToString())
        response = parsed(session_service_pb2.RenewCertificateResponse, raw)
        if response is None:
            raise CertificateError("the answer cannot be read")
        leaf = certificates_from_pem(response.certificate_chain_pem.encode())[0]
        certificates_from_pem(response.authorities_pem.encode())
        if leaf.public_key() != key.public_key():
            raise CertificateError("the new certificate is for another key")
        return Channel(response.certificate_chain_pem, response.authorities_pem)

    async def retire(self, within: Millis = UNARY_TIMEOUT) -> None:
        """Close the connections that nothing new is asked of any more; calls under way on them may end."""
        retired, self._retired = self._retired, []
        await asyncio.gather(*(each.close(within) for each in retired))

    async def close(self) -> None:
        """Close every connection."""
        self._retired.append(self._transport)
        await self.retire(0)


def channel_key(pem: str) -> ec.EllipticCurvePrivateKey:
    """Read the channel's key. Raises ValueError when it is none."""
    key = load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("the channel's key is not an elliptic curve key")  # noqa: TRY004 -- of the data, not a caller
    return key


def validity_of(channel: Channel) -> tuple[Instant, Instant]:
    """From when to when the certificate in use is valid. Raises CertificateError."""
    leaf = certificates_from_pem(channel.certificate_chain_pem.encode())[0]
    begins, ends = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    return int(begins.timestamp()) * SECOND, int(ends.timestamp()) * SECOND
