"""What an answer to a change says of seats and systems is so."""

from licd.v1 import licence_service_pb2 as pb
from licd.v1 import operator_pb2
from tests.office import Office, draft
from tests.wired_system import acquire, joined


def counts(licence: operator_pb2.Licence) -> tuple[int, int, int]:
    return licence.live, licence.cooling, licence.deployments


def test_an_answer_to_a_change_counts_as_a_question_does(office: Office):
    licence = office.licence()
    system = joined(office, licence)
    system.open(acquire(1), acquire(2))
    found = office.alice.licence_of(licence)
    assert counts(found) == (2, 0, 1)
    terms = draft(office.daemon.clock.wall(), cap=3)
    terms.not_before_ms, terms.not_after_ms = found.terms.not_before_ms, found.terms.not_after_ms
    amend = pb.AmendLicenceRequest(licence=licence, version=found.version, terms=terms)
    narrowed = office.alice.call("LicenceService.AmendLicence", amend)
    assert not narrowed.HasField("approval")
    assert counts(narrowed.licence) == (2, 0, 1)
    end = pb.TerminateLicenceRequest(licence=licence, reason_code="misuse", detail="proved")
    ended = office.alice.call("LicenceService.TerminateLicence", end).licence
    assert counts(ended) == counts(office.alice.licence_of(licence))


def test_an_invited_system_is_not_enrolled(office: Office):
    licence = office.licence()
    office.alice.invite(licence)
    assert counts(office.alice.licence_of(licence)) == (0, 0, 0)
    joined(office, licence)
    assert counts(office.alice.licence_of(licence)) == (0, 0, 1)
