"""What is signed is read as what it was signed as, whole, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.message import Message

from licd.core.errors import Invalid, LicdError, SealRefused
from licd.keys.envelope import seal
from licd.keys.kinds import Kind
from licd.v1 import approval_service_pb2, licence_pb2, session_pb2
from licd.v1.envelope_pb2 import Envelope
from licd.v1.session_service_pb2 import OpenSessionRequest, SessionRequest
from tests.attacks.test_copies import look
from tests.office import Office
from tests.server.test_four_eyes import asked
from tests.wired_system import System, acquire, target

UNKNOWN = b"\xfa\x7f\x01x"
"""Field 2047, of one byte."""


def relabelled(envelope: Envelope, kind: Kind) -> Envelope:
    return Envelope(payload=envelope.payload, payload_type=kind.payload_type, signatures=envelope.signatures)


def test_one_kind_shown_as_another(office: Office, system: System):
    """Every signed thing that goes over the wire, at every door where another kind is read, under either name.

    A link and an acknowledgement have one signing key; only the kind keeps them apart.
    """
    approval = asked(office)
    opened = system.send_open(opening := system.link(acquire(1), opens=True))
    system.take(opening, opened.reply)
    refusal = system.acquire(2, region="DE").denial
    signed = {
        Kind.LINK: system.link(),
        Kind.ACKNOWLEDGEMENT: system.acknowledgement(1, b"directive"),
        Kind.PERMIT: opened.reply,
        Kind.DENIAL: refusal,
        Kind.LICENCE: opened.licence,
        Kind.OPERATOR_COMMAND: approval.command,
    }
    before = look(office, system)
    for expected, say in doors(office, system, approval.approval).items():
        for kind, envelope in signed.items():
            if kind is expected:
                continue
            for shown in (envelope, relabelled(envelope, expected)):
                with pytest.raises(SealRefused):
                    say(shown)
        # And where the bytes would do: the very payload of one kind, sealed as another by the key of both.
        if expected in signed and expected.purpose is Kind.LINK.purpose:
            other = Kind.LINK if expected is Kind.ACKNOWLEDGEMENT else Kind.ACKNOWLEDGEMENT
            crossed = seal(other, signed[expected].payload, system.signer)
            with pytest.raises(SealRefused, match="SIGNATURE_INVALID"):
                say(relabelled(crossed, expected))
    assert look(office, system) == before
    with system.stream() as stream:
        assert isinstance(stream.beat(), session_pb2.Permit)


def doors(office: Office, system: System, approval: str) -> dict[Kind, Callable[[Envelope], object]]:
    """Where licd reads something signed, by the kind that it reads there."""

    def link(envelope: Envelope) -> object:
        with pytest.raises(SealRefused):
            system.call("OpenSession", OpenSessionRequest(link=envelope))
        with system.stream() as stream:
            stream.send(envelope)
            return stream.reply()

    def acknowledgement(envelope: Envelope) -> object:
        with system.stream() as stream:
            stream.send_frame(SessionRequest(acknowledgement=envelope))
            return stream.reply()

    def command(envelope: Envelope) -> object:
        request = approval_service_pb2.SignApprovalRequest(approval=approval, command=envelope)
        return office.alice.call("ApprovalService.SignApproval", request)

    return {Kind.LINK: link, Kind.ACKNOWLEDGEMENT: acknowledgement, Kind.OPERATOR_COMMAND: command}


def full_link(system: System) -> session_pb2.Link:
    """A link with every message in it that a link can have."""
    pb = session_pb2
    asked_for = pb.Acquisition(
        target=target(1),
        regions=[pb.RegionClaim(region="NO", basis=licence_pb2.REGION_BASIS_NUMBER_PLAN)],
        purpose="sar:search-and-rescue",
        authorisation=pb.Authorisation(reference="r"),
    )
    operations = [pb.Operation(acquire=asked_for), pb.Operation(release=pb.Release(lease=7))]
    link = pb.Link.FromString(system.link(*operations).payload)
    link.journal.CopyFrom(pb.JournalHead(size=1, root=b"r" * 32))
    return link


PLACES: dict[str, Callable[[Any], Message]] = {
    "link": lambda link: link,
    "heartbeat": lambda link: link.heartbeat,
    "operation": lambda link: link.operations[0],
    "acquisition": lambda link: link.operations[0].acquire,
    "region claim": lambda link: link.operations[0].acquire.regions[0],
    "authorisation": lambda link: link.operations[0].acquire.authorisation,
    "release": lambda link: link.operations[1].release,
    "journal": lambda link: link.journal,
}


def every_message(message: Message) -> int:
    """How many messages there are in a message, itself included."""
    count = 1
    for field, value in message.ListFields():
        if field.message_type is not None:
            count += sum(map(every_message, value)) if field.is_repeated else every_message(value)
    return count


@pytest.mark.parametrize("place", PLACES)
def test_unknown_field_at_any_depth(office: Office, system: System, place: str):
    """Signed by the right key, right in all else: what licd does not understand may have been what mattered."""
    link = full_link(system)
    assert every_message(link) == len(PLACES) + 1  # both operations are of one kind
    before = look(office, system)
    PLACES[place](link).MergeFromString(UNKNOWN)
    with system.stream() as stream:
        stream.send(system.seal(Kind.LINK, link))
        with pytest.raises(SealRefused, match="UNKNOWN_FIELD"):
            stream.reply()
    assert look(office, system) == before
    request = OpenSessionRequest(link=system.link(opens=True))
    request.link.MergeFromString(UNKNOWN)
    with pytest.raises((Invalid, LicdError)):
        system.call("OpenSession", request)
    with system.stream() as stream:
        stream.send(system.seal(Kind.LINK, full_link(system)))
        assert system.read(stream.reply()).outcomes
