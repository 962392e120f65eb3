"""ConditionService over the wire, and what licd carries out by its clock: who may sign, what is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from os import urandom  # noqa: TID251 -- keys of contacts
from typing import Any

import pytest

from licd.core.errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    IllegalTransition,
    Invalid,
    LicdError,
    NotFound,
    SealRefused,
)
from licd.core.time import DAY
from licd.keys.envelope import seal
from licd.keys.kinds import KeyPurpose, Kind
from licd.keys.signer import MemorySigner
from licd.v1 import condition_pb2, licence_service_pb2, operator_pb2, overlay_pb2, overlay_service_pb2
from licd.v1 import condition_service_pb2 as pb
from licd.v1.envelope_pb2 import Envelope
from tests.conditions import certified, certifying
from tests.daemon import TRUST_DOMAIN, Daemon, fresh
from tests.office import Office, Operator
from tests.server.test_metrics import value

NAME = "certification-quarterly"
REGISTER = "ConditionService.RegisterContact"
ADD = "ConditionService.AddCondition"
MEET = "ConditionService.MeetCondition"
CERTIFY = "ConditionService.LodgeCertification"
WAIVE = "ConditionService.WaiveCondition"
EVIDENCE = sha256(b"a list of who was trained").digest()


class Desk:
    """A licence with a certification that is due in 15 days, and the contact who must sign it."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.customer = office.alice.customer()
        self.licence = office.licence(self.customer, cap=20, days=200)
        self.signer = MemorySigner.generate(KeyPurpose.CONTACT, urandom)
        self.contact = self.register("claire", self.signer)
        self.id = f"{self.licence}/{NAME}"
        self.due = office.daemon.clock.wall() + 15 * DAY
        self.add(contact=self.contact, due_at_ms=self.due)

    def registering(self, contact: str, signer: MemorySigner, **changes: Any) -> pb.RegisterContactRequest:
        asked: dict[str, Any] = {
            "customer": self.customer,
            "contact": contact,
            "name": "Claire North",
            "office": "Legal",
            "public_key": signer.public_key,
        }
        return pb.RegisterContactRequest(**asked | changes)

    def register(self, name: str, signer: MemorySigner) -> str:
        return str(self.office.agree(REGISTER, self.registering(name, signer)).contact.contact)

    def add(self, **changes: Any) -> condition_pb2.Condition:
        request = pb.AddConditionRequest(licence=self.licence, name=changes.pop("name", NAME), **changes)
        found: condition_pb2.Condition = self.office.alice.call(ADD, request).condition
        return found

    def says(self, **changes: Any) -> condition_pb2.Certification:
        now = self.office.daemon.clock.wall()
        said = certifying(self.licence, NAME, now, TRUST_DOMAIN, contact=self.contact)
        for name, given in changes.items():
            said.ClearField(name)  # type: ignore[arg-type]
            said.MergeFrom(condition_pb2.Certification(**{name: given}))
        return said

    def certification(self, **changes: Any) -> pb.LodgeCertificationRequest:
        return pb.LodgeCertificationRequest(certification=certified(self.says(**changes), self.signer))

    def shown(self) -> condition_pb2.Condition:
        request = pb.GetConditionRequest(condition=self.id)
        found: condition_pb2.Condition = self.office.alice.call("ConditionService.GetCondition", request).condition
        return found

    @property
    def cap(self) -> int:
        request = overlay_service_pb2.GetRightsRequest(licence=self.licence)
        found = self.office.alice.call("OverlayService.GetRights", request).rights
        return min(
            int(each.concurrent_targets.limit) for each in found.constraints if each.HasField("concurrent_targets")
        )

    @property
    def status(self) -> int:
        return int(self.office.alice.licence_of(self.licence).status)


@pytest.fixture
def desk(office: Office) -> Desk:
    return Desk(office)


@pytest.fixture
def own(own_daemon: Callable[..., Daemon]) -> Desk:
    """On a daemon of its own, whose clock this test alone moves."""
    return Desk(Office(own_daemon()))


def after(desk: Desk, days: int) -> None:
    """So many days after the due date, and licd has looked."""
    daemon = desk.office.daemon
    assert isinstance(daemon, Daemon)
    daemon.clock.passed += desk.due + days * DAY - daemon.clock.wall()
    daemon.on_loop(daemon.up.daemon.jobs.follow_up)


def measured(desk: Desk, name: str) -> float | None:
    daemon = desk.office.daemon
    assert isinstance(daemon, Daemon)
    daemon.on_loop(daemon.up.daemon.jobs.observe)
    return value(daemon.up.daemon.metrics, name)


def refused(operator: Operator, verb: str, request: Any, kind: type[LicdError]) -> str:
    with pytest.raises(kind) as told:
        operator.call(verb, request)
    return str(told.value)


# ----------------------------------------------------------------------------------------------------- by the clock
def test_licd_reminds_tightens_step_by_step_and_suspends_by_itself(own: Desk):
    after(own, -15)
    assert (own.shown().reminded_at_ms, own.shown().next_consequence) == (0, "remind")
    after(own, -14)
    assert (own.shown().reminded_at_ms > 0, own.shown().next_consequence, own.cap) == (True, "tighten", 20)
    assert (measured(own, "licd_conditions_reminded"), measured(own, "licd_conditions_overdue")) == (1, 0)
    after(own, 0)
    assert own.shown().state == condition_pb2.CONDITION_STATE_OVERDUE
    assert measured(own, "licd_conditions_overdue") == 1
    after(own, 3)
    assert (own.shown().tightened_steps, own.cap) == (1, 15)
    after(own, 5)
    assert (own.shown().tightened_steps, own.cap) == (2, 8)
    after(own, 5)
    assert own.shown().tightened_steps == 2
    after(own, 7)
    assert own.status == operator_pb2.LICENCE_STATUS_SUSPENDED
    assert own.office.alice.licence_of(own.licence).suspension_code == "certification_overdue"
    epoch = own.office.alice.licence_of(own.licence).epoch
    after(own, 8)
    assert own.office.alice.licence_of(own.licence).epoch == epoch
    lift = licence_service_pb2.ReinstateLicenceRequest(
        licence=own.licence, epoch=epoch, reason_code="unfounded", detail="please"
    )
    with pytest.raises(IllegalTransition, match=f"condition {own.id} is overdue; meet it first"):
        own.office.agree("LicenceService.ReinstateLicence", lift)
    met = own.office.alice.call(CERTIFY, own.certification()).condition
    assert (met.period, met.met_by, met.certification.payload_type) == (
        2,
        own.contact,
        Kind.CERTIFICATION.payload_type,
    )
    assert own.cap == 20
    assert own.office.reinstate(own.licence).status == operator_pb2.LICENCE_STATUS_ACTIVE


def test_an_overdue_condition_is_in_the_way_of_a_renewal(own: Desk):
    after(own, 1)
    found = own.office.alice.licence_of(own.licence)
    request = licence_service_pb2.RenewLicenceRequest(
        licence=own.licence, version=found.version, not_after_ms=found.terms.not_after_ms + DAY
    )
    words = refused(own.office.alice, "LicenceService.RenewLicence", request, IllegalTransition)
    assert f"condition {own.id} is overdue: licctl condition show {own.id}" in words
    own.office.alice.call(CERTIFY, own.certification())
    asked = own.office.alice.call("LicenceService.RenewLicence", request)
    assert asked.HasField("approval")


def test_what_terms_oblige_to_is_counted_from_the_first_round(own: Desk):
    request = licence_service_pb2.IssueLicenceRequest(
        customer=own.customer, licence=fresh("licence"), template="coastal-rescue"
    )
    licence = own.office.agree("LicenceService.IssueLicence", request).licence.licence
    after(own, -15)
    listed = own.office.alice.call("ConditionService.ListConditions", pb.ListConditionsRequest(licence=licence))
    assert [each.name for each in listed.conditions] == ["certification-yearly", "cooperation", "training-yearly"]
    assert [each.due_at_ms > 0 for each in listed.conditions] == [True, False, True]
    assert listed.conditions[0].certified
    assert "certifies that the system was used" in listed.conditions[0].description
    overdue = pb.ListConditionsRequest(customer=own.customer, overdue=True)
    assert list(own.office.alice.call("ConditionService.ListConditions", overdue).conditions) == []


# ------------------------------------------------------------------------------------------------------------ signed
REFUSED: dict[str, tuple[Callable[[Desk], pb.LodgeCertificationRequest], type[LicdError], str]] = {
    "by another key": (
        lambda desk: pb.LodgeCertificationRequest(
            certification=certified(desk.says(), MemorySigner.generate(KeyPurpose.CONTACT, urandom))
        ),
        SealRefused,
        "whose key is",
    ),
    "with other bytes": (
        lambda desk: pb.LodgeCertificationRequest(
            certification=Envelope(
                payload=desk.says(statement="All was well.").SerializeToString(),
                payload_type=Kind.CERTIFICATION.payload_type,
                signatures=desk.certification().certification.signatures,
            )
        ),
        SealRefused,
        "SIGNATURE_INVALID",
    ),
    "cut off": (
        lambda desk: pb.LodgeCertificationRequest(
            certification=seal(Kind.CERTIFICATION, desk.says().SerializeToString()[:-3], desk.signer)
        ),
        Invalid,
        "certification.payload: the payload is no certification",
    ),
    "with a field from the future": (
        lambda desk: pb.LodgeCertificationRequest(
            certification=seal(Kind.CERTIFICATION, desk.says().SerializeToString() + b"\xf8\x7f\x01", desk.signer)
        ),
        SealRefused,
        "UNKNOWN_FIELD",
    ),
    "as an answer to an inquiry": (
        lambda desk: pb.LodgeCertificationRequest(
            certification=seal(Kind.INQUIRY_ANSWER, desk.says().SerializeToString(), desk.signer)
        ),
        SealRefused,
        "KIND_MISMATCH",
    ),
    "by nobody known": (
        lambda desk: desk.certification(contact=f"customer/{desk.customer}/contact/nobody"),
        NotFound,
        "certification.contact: there is no contact",
    ),
    "for another installation": (
        lambda desk: desk.certification(audience="elsewhere.example"),
        Invalid,
        "certification.audience: it is for 'elsewhere.example'",
    ),
    "for another licence": (
        lambda desk: desk.certification(licence=desk.office.licence()),
        NotFound,
        "there is no condition",
    ),
    "for another period": (lambda desk: desk.certification(period=7), Conflict, "counts for no other"),
    "from tomorrow": (
        lambda desk: desk.certification(certified_at_ms=desk.says().certified_at_ms + DAY),
        Invalid,
        "it was certified later than now",
    ),
    "from before the period": (
        lambda desk: desk.certification(certified_at_ms=1),
        Conflict,
        "certified before period 1 began",
    ),
    "that says nothing": (lambda desk: desk.certification(statement=" "), Invalid, "must say what is certified"),
    "without end": (lambda desk: desk.certification(statement="x" * 2001), Invalid, "at most 2000 characters"),
    "with evidence that is no hash": (lambda desk: desk.certification(evidence=[b"x"]), Invalid, "is the SHA-256 of"),
    "with too much evidence": (lambda desk: desk.certification(evidence=[bytes(32)] * 65), Invalid, "at most 64 files"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_certification_is_refused_by_name_and_changes_nothing(desk: Desk, name: str):
    make, kind, words = REFUSED[name]
    assert words in refused(desk.office.alice, CERTIFY, make(desk), kind)
    assert (desk.shown().period, desk.shown().state) == (1, condition_pb2.CONDITION_STATE_PENDING)


def test_nobody_signs_in_the_place_of_the_one_who_is_named(desk: Desk):
    other = MemorySigner.generate(KeyPurpose.CONTACT, urandom)
    dora = desk.register("dora", other)
    request = pb.LodgeCertificationRequest(certification=certified(desk.says(contact=dora), other))
    words = refused(desk.office.alice, CERTIFY, request, Forbidden)
    assert f"{desk.contact} must sign for {desk.id}, and nobody in his place; this is {dora}'s signature" in words
    forged = pb.LodgeCertificationRequest(certification=certified(desk.says(), other))
    assert f"whose key is {desk.signer.key_id}" in refused(desk.office.alice, CERTIFY, forged, SealRefused)
    asked = desk.office.alice.call(ADD, adding(desk, contact=dora)).approval
    assert asked.summary == f"for condition {desk.id} {dora} signs in the place of {desk.contact}"
    desk.office.alice.sign(asked)
    assert desk.shown().contact == desk.contact
    desk.office.bob.sign(asked)
    assert desk.office.alice.call(CERTIFY, request).condition.met_by == dora


def test_a_certification_counts_once(desk: Desk):
    request = desk.certification()
    desk.office.alice.call(CERTIFY, request)
    again = pb.LodgeCertificationRequest(certification=request.certification)
    assert "is in period 2" in refused(desk.office.alice, CERTIFY, again, Conflict)


def test_who_was_withdrawn_signs_nothing_more(desk: Desk):
    request = pb.WithdrawContactRequest(contact=desk.contact, detail="left")
    assert desk.office.bob.call("ConditionService.WithdrawContact", request).contact.withdrawn_at_ms
    assert "was withdrawn" in refused(desk.office.alice, CERTIFY, desk.certification(), IllegalTransition)
    assert "was withdrawn" in refused(desk.office.alice, ADD, adding(desk, contact=desk.contact), IllegalTransition)


def test_a_contact_is_entered_by_two_persons_with_a_key_of_his_own(desk: Desk):
    office, signer = desk.office, MemorySigner.generate(KeyPurpose.CONTACT, urandom)
    asked = office.alice.call(REGISTER, desk.registering("dora", signer)).approval
    assert asked.summary.endswith(f"(Claire North, Legal) the key {signer.key_id}")
    words = refused(office.alice, REGISTER, desk.registering("dora", signer, name=" "), Invalid)
    assert words == "name: must be given"
    nobody = desk.registering("dora", signer, customer="nobody")
    assert "there is no customer nobody" in refused(office.alice, REGISTER, nobody, NotFound)
    with pytest.raises(AlreadyExists, match="no two sign with one"):
        office.agree(REGISTER, desk.registering("eva", desk.signer))
    listed = office.alice.call("ConditionService.ListContacts", pb.ListContactsRequest(customer=desk.customer))
    assert [each.contact for each in listed.contacts] == [desk.contact]


# -------------------------------------------------------------------------------------------- added, met, and waived
def adding(desk: Desk, **changes: Any) -> pb.AddConditionRequest:
    return pb.AddConditionRequest(**{"licence": desk.licence, "name": NAME} | changes)


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"name": "training-yearl"}, Invalid, 'unknown obligation "training-yearl"; did you mean "training-yearly"?'),
        ({"licence": "nothing"}, NotFound, "there is no licence nothing"),
        ({"due_at_ms": 1}, Invalid, "within ten years of now"),
        ({"contact": "customer/x/contact/y"}, NotFound, "has no contact customer/x/contact/y"),
    ],
)
def test_what_nobody_can_owe_is_not_added(desk: Desk, changes: dict[str, Any], kind: type[LicdError], words: str):
    assert words in refused(desk.office.alice, ADD, adding(desk, **changes), kind)


def meeting(desk: Desk, name: str, **changes: Any) -> pb.MeetConditionRequest:
    asked: dict[str, Any] = {"condition": f"{desk.licence}/{name}", "period": 1, "evidence_sha256": EVIDENCE}
    return pb.MeetConditionRequest(**asked | changes)


def test_what_needs_no_signature_is_met_by_evidence(desk: Desk):
    desk.add(name="training-yearly", due_at_ms=desk.due)
    met = desk.office.alice.call(MEET, meeting(desk, "training-yearly", note="all of them")).condition
    assert (met.period, met.state, met.evidence_sha256) == (2, condition_pb2.CONDITION_STATE_MET, EVIDENCE)
    again = meeting(desk, "training-yearly")
    assert "is in period 2, not 1" in refused(desk.office.alice, MEET, again, Conflict)


def test_nobody_meets_today_what_is_owed_in_a_year(desk: Desk):
    desk.add(name="training-yearly", due_at_ms=desk.due)
    desk.office.alice.call(MEET, meeting(desk, "training-yearly"))
    words = refused(desk.office.alice, MEET, meeting(desk, "training-yearly", period=2), IllegalTransition)
    assert f"period 2 of condition {desk.licence}/training-yearly is met by what is done from " in words
    desk.office.alice.call(CERTIFY, desk.certification())
    again = desk.certification(period=2, certified_at_ms=desk.office.daemon.clock.wall() + 1)
    assert f"period 2 of condition {desk.id} is met by " in refused(
        desk.office.alice, CERTIFY, again, IllegalTransition
    )


@pytest.mark.parametrize(
    ("name", "changes", "kind", "words"),
    [
        (NAME, {}, IllegalTransition, "is met by what customer/"),
        ("training-yearly", {"evidence_sha256": b"x"}, Invalid, "the SHA-256 of the file"),
        ("nothing", {}, NotFound, "there is no condition"),
        ("training-yearly", {"note": "x" * 2001}, Invalid, "at most 2000 characters"),
    ],
)
def test_what_shows_nothing_meets_nothing(
    desk: Desk, name: str, changes: dict[str, Any], kind: type[LicdError], words: str
):
    desk.add(name="training-yearly", due_at_ms=desk.due)
    assert words in refused(desk.office.alice, MEET, meeting(desk, name, **changes), kind)


def test_a_waiver_takes_two_persons_and_a_reason(desk: Desk):
    request = pb.WaiveConditionRequest(condition=desk.id, period=1, detail=" ")
    assert "detail: must be given" in refused(desk.office.alice, WAIVE, request, Invalid)
    waived = desk.office.agree(WAIVE, pb.WaiveConditionRequest(condition=desk.id, period=1, detail="a flood"))
    assert (waived.condition.period, waived.condition.met_by) == (2, "waived by operator/alice")


def test_what_was_tightened_comes_back_by_two_persons(own: Desk):
    own.add(name="training-quarterly", due_at_ms=own.due)
    own.office.alice.call(CERTIFY, own.certification())
    after(own, 4)
    assert own.cap == 15
    asked = own.office.alice.call(MEET, meeting(own, "training-quarterly")).approval
    own.office.alice.sign(asked)
    assert own.cap == 15
    own.office.bob.sign(asked)
    assert own.cap == 20


def test_licds_own_overlays_are_nobody_elses(desk: Desk):
    request = overlay_service_pb2.RegisterAuthorityRequest(
        authority="licd",
        name="x",
        kind=overlay_pb2.AUTHORITY_KIND_EXPORT,
        jurisdiction="NO",
        public_key=desk.signer.public_key,
    )
    words = refused(desk.office.alice, "OverlayService.RegisterAuthority", request, Invalid)
    assert words == "authority: licd's own overlays go by that name"
