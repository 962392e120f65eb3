"""Unary questions of an open system."""

from licd.client.answers import denied_from_message
from licd.client.clock import Clock
from licd.client.errors import NoAnswer
from licd.client.lease import Lease
from licd.client.running import Running
from licd.client.session.events import LicenceFetched
from licd.client.session.trust import parsed, read_terms
from licd.client.status import InForce, LicenceCheck
from licd.client.transport import Method
from licd.core.terms import Terms
from licd.keys.seal_reasons import SealInvalid
from licd.v1 import session_pb2, session_service_pb2


async def acquire_unary(running: Running, acquisition: session_pb2.Acquisition, clock: Clock) -> Lease:
    """Get a lease by a call of its own. Raises LeaseDenied, NoAnswer, SystemClosed, LicdError."""
    request_id = running.request_id()
    request = session_service_pb2.AcquireLeaseRequest(request_id=request_id, acquisition=acquisition)
    sent_at = clock.boot_ms()
    response = await running.errands.call(Method.ACQUIRE_LEASE, request.SerializeToString())
    return await running.take_unary(acquisition, request_id, sent_at, response)


async def check_licence(running: Running) -> LicenceCheck:
    """Ask how the licence stands. What comes with it is kept if it is newer. Raises NoAnswer, LicdError."""
    raw = await running.errands.call(Method.CHECK_LICENCE, b"")
    response = parsed(session_service_pb2.CheckLicenceResponse, raw)
    if response is None or response.WhichOneof("outcome") is None:
        raise NoAnswer("the answer cannot be read")
    terms: Terms | None = None
    if response.HasField("licence"):
        running.driver.feed(LicenceFetched(response.licence.SerializeToString()))
        try:
            terms = read_terms(response.licence, running.machine.view.trust.bundle)
        except SealInvalid as error:
            raise NoAnswer(f"the licence in the answer cannot be believed: {error}") from error
    if response.WhichOneof("outcome") == "denial":
        return LicenceCheck(denied_from_message(response.denial), terms)
    standing = response.standing
    in_force = InForce(
        epoch=standing.epoch,
        decided=standing.decided_ms,
        live=standing.live,
        cooling=standing.cooling,
        limit=standing.limit,
        not_after=standing.not_after_ms,
    )
    return LicenceCheck(in_force, terms)
