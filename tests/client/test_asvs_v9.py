"""OWASP ASVS 5.0, chapter V9, the two requirements about audiences, held by whoever reads a token.

9.1.1 to 9.2.2 are in tests/keys/test_asvs_v9.py. One key, permit-online, signs for every customer's systems: so each
thing that it signs names whom it is for, and the reader refuses what is for somebody else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest
from google.protobuf.message import Message

from licd.client.session.events import FrameReceived, UnaryAnswered
from licd.keys.envelope import seal
from licd.keys.kinds import KeyPurpose, Kind
from licd.v1 import licence_pb2, session_pb2
from licd.v1.envelope_pb2 import Envelope
from licd.v1.session_service_pb2 import AcquireLeaseRequest, AcquireLeaseResponse, SessionResponse
from licd.v1.trust_pb2 import TrustBundle
from tests.client.fake_licd import (
    DOMAIN,
    ONLINE,
    SYSTEM,
    directive_frame,
    licence_envelope,
    reply_frame,
)
from tests.client.rig import Rig, acquisition

OTHER_SYSTEM: Final = "customer/acme/system/south"
ELSEWHERE: Final = "licd.elsewhere"


def waiting() -> tuple[Rig, session_pb2.Permit]:
    """A system whose link is under way, and the permit that licd gives it."""
    rig = Rig().start()
    rig.ask("under way")
    return rig, session_pb2.Permit.FromString(rig.licd.answer(rig.intercept()).payload)


def is_refused(rig: Rig, frame: bytes) -> bool:
    """Whether a frame has changed nothing: no lease, no stop, no licence."""
    before = (dict(rig.holds), rig.machine.view.chain.outstanding, rig.machine.view.licence)
    rig.feed(FrameReceived(frame))
    after = (dict(rig.holds), rig.machine.view.chain.outstanding, rig.machine.view.licence)
    return before == after and bool(rig.dropped) and rig.dropped[-1] == "NOT_FOR_US"


@pytest.mark.parametrize(("field", "value"), [("system", OTHER_SYSTEM), ("system", ""), ("issuer", ELSEWHERE)])
def test_9_2_3_a_permit_or_refusal_for_another_system_or_of_another_installation_is_not_accepted(
    field: str, value: str
) -> None:
    rig, permit = waiting()
    setattr(permit.header, field, value)
    refusal = session_pb2.Refusal(header=permit.header)
    assert is_refused(rig, reply_frame(seal(Kind.PERMIT, permit.SerializeToString(), ONLINE)))
    assert is_refused(rig, reply_frame(seal(Kind.DENIAL, refusal.SerializeToString(), ONLINE)))


@pytest.mark.parametrize(("field", "value"), [("licence", "lic-2"), ("issuer", ELSEWHERE)])
def test_9_2_3_a_directive_for_another_licence_or_of_another_installation_is_not_accepted(
    field: str, value: str
) -> None:
    rig, _ = waiting()
    changed = rig.licd.directive(session_pb2.DIRECTIVE_KIND_SUSPEND, epoch=2, **{field: value})
    assert is_refused(rig, directive_frame(changed))


def test_9_2_3_a_licence_of_another_holder_is_not_accepted() -> None:
    rig, _ = waiting()
    other = licence_envelope(revision=9, licence="lic-2")
    rig.feed(FrameReceived(SessionResponse(licence=other).SerializeToString()))
    assert rig.dropped[-1] == "NOT_FOR_US"


@pytest.mark.parametrize(("field", "value"), [("system", OTHER_SYSTEM), ("request_id", "another"), ("sequence", 7)])
def test_9_2_3_the_answer_to_another_request_is_not_accepted(field: str, value: object) -> None:
    rig = Rig().start()
    asked = acquisition("one call")
    response = rig.licd.answer_unary(AcquireLeaseRequest(request_id="id-1", acquisition=asked))
    permit = session_pb2.Permit.FromString(response.permit.payload)
    setattr(permit.header, field, value)
    changed = AcquireLeaseResponse(permit=seal(Kind.PERMIT, permit.SerializeToString(), ONLINE))
    rig.feed(UnaryAnswered(50, asked, "id-1", rig.now, changed.SerializeToString()))
    assert rig.dropped[-1] == "NOT_FOR_US"
    assert 50 not in rig.holds


# Whom each thing that licd's own keys sign is for. A new kind has to be given a row.
AUDIENCE: Final[dict[Kind, tuple[type[Message], Callable[[Any], str]]]] = {
    Kind.PERMIT: (session_pb2.Permit, lambda message: message.header.system),
    Kind.DENIAL: (session_pb2.Refusal, lambda message: message.header.system),
    Kind.CONTINUITY_PERMIT: (session_pb2.ContinuityPermit, lambda message: message.system),
    Kind.DIRECTIVE: (session_pb2.Directive, lambda message: message.licence),
    Kind.LICENCE: (licence_pb2.LicenceTerms, lambda message: message.customer),
}
FOR_EVERYBODY: Final = {Kind.TRUST_BUNDLE: TrustBundle}
"""Its audience is the installation: trust_domain, which `advance` holds to."""
NOT_YET_ISSUED: Final = {Kind.CHECKPOINT_RECEIPT, Kind.INQUIRY}
OWN: Final = (KeyPurpose.ROOT, KeyPurpose.LICENCE_ISSUER, KeyPurpose.PERMIT_ONLINE, KeyPurpose.EVIDENCE)


def test_9_2_4_every_kind_that_licds_own_keys_sign_names_its_audience() -> None:
    assert AUDIENCE.keys() | FOR_EVERYBODY.keys() | NOT_YET_ISSUED == {kind for kind in Kind if kind.purpose in OWN}


def issued() -> dict[Kind, Envelope]:
    """One of each, as licd signs it."""
    rig = Rig().start()
    rig.ask()
    permit = rig.licd.answer(rig.intercept())
    continuity = rig.licd.continuity(60_000)
    suspended = rig.licd.suspend()
    refusal = session_pb2.Refusal(header=session_pb2.Permit.FromString(permit.payload).header)
    return {
        Kind.PERMIT: permit,
        Kind.DENIAL: seal(Kind.DENIAL, refusal.SerializeToString(), ONLINE),
        Kind.CONTINUITY_PERMIT: continuity,
        Kind.DIRECTIVE: suspended,
        Kind.LICENCE: licence_envelope(),
    }


@pytest.mark.parametrize("kind", list(AUDIENCE))
def test_9_2_4_what_is_issued_names_one_audience_and_its_issuer(kind: Kind) -> None:
    message_type, audience_of = AUDIENCE[kind]
    message: Any = message_type.FromString(issued()[kind].payload)
    assert audience_of(message) in {SYSTEM, "lic-1", "acme"}
    assert getattr(getattr(message, "header", message), "issuer", "") == DOMAIN
