"""OverlayService over the wire: who may register, lodge and withdraw, what is refused by name, and what is left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from os import urandom  # noqa: TID251 -- keys of authorities
from typing import Any

import pytest

from licd.core.errors import AlreadyExists, IllegalTransition, Invalid, LicdError, NotFound, SealRefused
from licd.core.overlay import OverlayEffect, OverlayTerms
from licd.core.terms import Basis, ConcurrentTargets, Constraint, OfflineGrace, TargetRegions
from licd.core.time import DAY, MINUTE
from licd.keys.envelope import seal
from licd.keys.kinds import KeyPurpose, Kind
from licd.keys.signer import MemorySigner
from licd.v1 import denial_pb2, key_service_pb2, licence_pb2, operator_pb2, overlay_pb2, session_pb2
from licd.v1 import overlay_service_pb2 as pb
from licd.v1.envelope_pb2 import Envelope
from licd.wire.overlay import overlay_payload, overlay_terms_message
from tests.daemon import TRUST_DOMAIN, fresh
from tests.office import Office, Operator
from tests.overlays import saying, signed
from tests.wired_system import acquire, joined, reason

REGISTER = "OverlayService.RegisterAuthority"
WITHDRAW_AUTHORITY = "OverlayService.WithdrawAuthority"
LODGE = "OverlayService.LodgeOverlay"
WITHDRAW = "OverlayService.WithdrawOverlay"


class Authority:
    """An authority with its own key, registered by two persons; and what it says of one customer."""

    def __init__(self, office: Office, *, registered: bool = True) -> None:
        self.office = office
        self.name = fresh("authority")
        self.signer = MemorySigner.generate(KeyPurpose.OVERSEER, urandom)
        self.customer = office.alice.customer()
        if registered:
            office.agree(REGISTER, self.registering())

    def registering(self, **changes: Any) -> pb.RegisterAuthorityRequest:
        asked: dict[str, Any] = {
            "authority": self.name,
            "name": "Office of Exports",
            "kind": overlay_pb2.AUTHORITY_KIND_EXPORT,
            "jurisdiction": "NO",
            "public_key": self.signer.public_key,
        }
        return pb.RegisterAuthorityRequest(**asked | changes)

    def says(self, *limits: Constraint, **changes: Any) -> OverlayTerms:
        now = self.office.daemon.clock.wall()
        said = saying(self.customer, now - MINUTE, TRUST_DOMAIN, *limits, authority=self.name)
        return replace(said, **changes)

    def lodging(self, *limits: Constraint, **changes: Any) -> pb.LodgeOverlayRequest:
        return pb.LodgeOverlayRequest(overlay=signed(self.says(*limits, **changes), self.signer))

    def lodge(self, *limits: Constraint, **changes: Any) -> overlay_pb2.Overlay:
        """By one person; fails where a second one is needed."""
        answer = self.office.alice.call(LODGE, self.lodging(*limits, **changes))
        assert answer.HasField("overlay"), answer
        found: overlay_pb2.Overlay = answer.overlay
        return found

    def licence(self, **limits: Any) -> str:
        return self.office.licence(self.customer, **limits)

    @property
    def id(self) -> str:
        return f"{self.name}/EX-1"


@pytest.fixture
def authority(office: Office) -> Authority:
    return Authority(office)


def rights(alice: Operator, licence: str) -> overlay_pb2.Rights:
    found: overlay_pb2.Rights = alice.call("OverlayService.GetRights", pb.GetRightsRequest(licence=licence)).rights
    return found


def cap(found: overlay_pb2.Rights) -> int:
    return next(
        each.concurrent_targets.limit for each in found.constraints if each.WhichOneof("kind") == "concurrent_targets"
    )


def refused(operator: Operator, verb: str, request: Any, kind: type[LicdError]) -> str:
    with pytest.raises(kind) as told:
        operator.call(verb, request)
    return str(told.value)


def withdrawing(authority: Authority, **changes: Any) -> pb.WithdrawOverlayRequest:
    asked = {"overlay": authority.id, "reason_code": "export_authority", "detail": "by letter"}
    return pb.WithdrawOverlayRequest(**asked | changes)


# ---------------------------------------------------------------------------------------------------- authorities
def test_an_authority_is_registered_by_two_persons_who_see_its_key(office: Office):
    authority = Authority(office, registered=False)
    asked = office.alice.call(REGISTER, authority.registering()).approval
    assert asked.summary == (
        f"register authority {authority.name} (export, NO: Office of Exports) the key {authority.signer.key_id}"
    )
    office.alice.sign(asked)
    listed = office.alice.call("OverlayService.ListAuthorities", pb.ListAuthoritiesRequest()).authorities
    assert authority.name not in [each.authority for each in listed]
    office.bob.sign(asked)
    request = pb.ListAuthoritiesRequest(page=operator_pb2.PageRequest(page_size=500))
    listed = office.alice.call("OverlayService.ListAuthorities", request).authorities
    [found] = [each for each in listed if each.authority == authority.name]
    assert (found.key_id, found.kind, found.jurisdiction) == (
        authority.signer.key_id,
        overlay_pb2.AUTHORITY_KIND_EXPORT,
        "NO",
    )


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"authority": "X"}, Invalid, "authority: 3 to 40 lower-case letters"),
        ({"name": " "}, Invalid, "name: must be given"),
        ({"kind": 0}, Invalid, "kind: export or domestic"),
        ({"jurisdiction": "Norway"}, Invalid, "jurisdiction: want two letters of ISO 3166-1, got 'Norway'"),
        ({"public_key": b"short"}, Invalid, "32 bytes"),
        ({"public_key": bytes(32)}, Invalid, ""),
    ],
)
def test_what_is_no_authority_is_refused_before_anybody_signs(
    authority: Authority, changes: dict[str, Any], kind: type[LicdError], words: str
):
    assert words in refused(authority.office.alice, REGISTER, authority.registering(**changes), kind)


def test_licds_own_keys_are_no_authoritys(authority: Authority):
    office = authority.office
    keys = office.alice.call("KeyService.ListKeys", key_service_pb2.ListKeysRequest()).keys
    for key in keys:
        words = refused(office.alice, REGISTER, authority.registering(public_key=key.public_key), AlreadyExists)
        assert f"that is licd's own key {key.key_id}" in words


def test_an_operators_key_is_no_authoritys_also_when_two_persons_agree(authority: Authority):
    request = authority.registering(authority=fresh("authority"), public_key=authority.office.bob.signer.public_key)
    with pytest.raises(AlreadyExists, match="that is the signing key of operator bob"):
        authority.office.agree(REGISTER, request)


def test_a_withdrawn_authority_takes_all_that_it_permitted_with_it(authority: Authority):
    office, licence = authority.office, authority.licence()
    authority.lodge()
    request = pb.WithdrawAuthorityRequest(authority=authority.name, detail="its key is lost")
    asked = office.alice.call(WITHDRAW_AUTHORITY, request).approval
    assert not rights(office.alice, licence).HasField("denial")
    office.alice.sign(asked)
    office.bob.sign(asked)
    assert rights(office.alice, licence).denial.detail == f"overlay {authority.id} was withdrawn"
    words = refused(office.alice, LODGE, authority.lodging(revision=2), IllegalTransition)
    assert f"authority {authority.name} was withdrawn (its key is lost)" in words
    again = pb.WithdrawAuthorityRequest(authority=authority.name, detail="again")
    assert "withdrawn already" in refused(office.alice, WITHDRAW_AUTHORITY, again, IllegalTransition)
    nobody = pb.WithdrawAuthorityRequest(authority="nobody", detail="d")
    assert "there is no authority nobody" in refused(office.alice, WITHDRAW_AUTHORITY, nobody, NotFound)


def test_a_registration_that_was_asked_for_before_another_is_asked_for_again(authority: Authority):
    office = authority.office
    other = MemorySigner.generate(KeyPurpose.OVERSEER, urandom)
    first = office.alice.call(REGISTER, authority.registering(public_key=other.public_key)).approval
    office.alice.sign(first)
    office.agree(REGISTER, authority.registering(name="Ministry of Trade"))
    with pytest.raises(LicdError):
        office.bob.sign(first)
    authority.lodge()


# -------------------------------------------------------------------------------------------------------- lodging
def test_what_narrows_takes_effect_at_once_and_is_shown_with_who_narrowed_what(authority: Authority):
    office, licence = authority.office, authority.licence(cap=4)
    made = authority.lodge(ConcurrentTargets(2), TargetRegions(frozenset({"NO"}), frozenset(Basis)))
    assert (made.overlay, made.status, made.lodged_by) == (authority.id, overlay_pb2.OVERLAY_STATUS_IN_FORCE, "alice")
    found = rights(office.alice, licence)
    assert (cap(found), found.epoch) == (2, 2)
    [narrowing] = found.narrowed
    assert (narrowing.overlay, list(narrowing.respects)) == (authority.id, ["cap", "regions"])
    again = office.alice.call("OverlayService.GetOverlay", pb.GetOverlayRequest(overlay=authority.id)).overlay
    assert again == made
    listed = office.alice.call("OverlayService.ListOverlays", pb.ListOverlaysRequest(customer=authority.customer))
    assert [each.overlay for each in listed.overlays] == [authority.id]
    nobody = office.alice.call("OverlayService.ListOverlays", pb.ListOverlaysRequest(authority="nobody"))
    assert list(nobody.overlays) == []


def test_a_right_without_overlays_is_the_terms(office: Office):
    licence = office.licence(cap=4)
    found = rights(office.alice, licence)
    assert (cap(found), list(found.narrowed), found.HasField("denial")) == (4, [], False)
    words = refused(office.alice, "OverlayService.GetRights", pb.GetRightsRequest(licence="nothing"), NotFound)
    assert "there is no licence nothing" in words


def test_a_revision_that_gives_more_waits_for_a_second_person(authority: Authority):
    office, licence = authority.office, authority.licence(cap=4)
    authority.lodge(ConcurrentTargets(1))
    asked = office.alice.call(LODGE, authority.lodging(ConcurrentTargets(3), revision=2)).approval
    assert asked.summary.endswith(f"about every licence of {authority.customer}, giving more cap")
    office.alice.sign(asked)
    assert cap(rights(office.alice, licence)) == 1
    office.bob.sign(asked)
    assert cap(rights(office.alice, licence)) == 3


def test_two_persons_are_told_all_that_a_revision_gives_also_while_another_overlay_is_withdrawn(authority: Authority):
    office, licence = authority.office, authority.licence(cap=20)
    authority.lodge(ConcurrentTargets(1))
    authority.lodge(reference="EX-2")
    office.alice.call(WITHDRAW, withdrawing(authority, overlay=f"{authority.name}/EX-2"))
    asked = office.alice.call(LODGE, authority.lodging(ConcurrentTargets(20), revision=2)).approval
    assert asked.summary.endswith("giving more cap")
    office.agree(LODGE, authority.lodging(reference="EX-2", revision=2))
    assert cap(rights(office.alice, licence)) == 1


def test_an_agreed_revision_that_a_later_one_has_overtaken_is_not_taken(authority: Authority):
    office, licence = authority.office, authority.licence(cap=4)
    authority.lodge(ConcurrentTargets(1))
    asked = office.alice.call(LODGE, authority.lodging(ConcurrentTargets(3), revision=2)).approval
    office.alice.sign(asked)
    office.alice.call(LODGE, authority.lodging(revision=3, effect=OverlayEffect.WITHDRAW))
    with pytest.raises(LicdError):
        office.bob.sign(asked)
    assert rights(office.alice, licence).HasField("denial")


def test_a_licence_that_demands_an_overlay_has_no_right_until_two_persons_lodge_it(authority: Authority):
    office = authority.office
    demand = licence_pb2.Constraint(overlay_required=licence_pb2.OverlayRequired(authority=authority.name))
    licence = authority.licence(extra=(demand,))
    found = rights(office.alice, licence)
    assert found.denial.reason == denial_pb2.DENIAL_REASON_OVERLAY_NOT_IN_FORCE
    assert list(found.denial.overlays) == [authority.name]
    assert found.not_after_ms <= found.not_before_ms
    answer = office.alice.call(LODGE, authority.lodging())
    assert answer.HasField("approval")
    office.alice.sign(answer.approval)
    office.bob.sign(answer.approval)
    assert not rights(office.alice, licence).HasField("denial")


REFUSED: dict[str, tuple[Callable[[Authority], pb.LodgeOverlayRequest], type[LicdError], str]] = {
    "of an authority nobody registered": (
        lambda one: one.lodging(authority="export-qx"),
        NotFound,
        "overlay.authority: there is no authority 'export-qx'",
    ),
    "signed by another key": (
        lambda one: pb.LodgeOverlayRequest(
            overlay=signed(one.says(), MemorySigner.generate(KeyPurpose.OVERSEER, urandom))
        ),
        SealRefused,
        "KEY_UNKNOWN",
    ),
    "signed by an operator's key": (
        lambda one: pb.LodgeOverlayRequest(
            overlay=Envelope(
                payload=overlay_payload(one.says()),
                payload_type=Kind.OVERLAY.payload_type,
                signatures=seal(Kind.OPERATOR_COMMAND, overlay_payload(one.says()), one.office.alice.signer).signatures,
            )
        ),
        SealRefused,
        "KEY_UNKNOWN",
    ),
    "of another kind": (
        lambda one: pb.LodgeOverlayRequest(
            overlay=Envelope(payload=overlay_payload(one.says()), payload_type=Kind.LICENCE.payload_type)
        ),
        SealRefused,
        "KIND_MISMATCH",
    ),
    "with other bytes than were signed": (
        lambda one: pb.LodgeOverlayRequest(
            overlay=Envelope(
                payload=overlay_payload(one.says(not_after=one.says().not_after + DAY)),
                payload_type=Kind.OVERLAY.payload_type,
                signatures=one.lodging().overlay.signatures,
            )
        ),
        SealRefused,
        "SIGNATURE_INVALID",
    ),
    "with a field from the future": (
        lambda one: pb.LodgeOverlayRequest(
            overlay=seal(Kind.OVERLAY, overlay_payload(one.says()) + b"\xf8\x7f\x01", one.signer)
        ),
        SealRefused,
        "UNKNOWN_FIELD",
    ),
    "with a limit from the future": (
        lambda one: pb.LodgeOverlayRequest(
            overlay=seal(Kind.OVERLAY, overlay_payload(one.says()) + b"\x62\x03\xf8\x7f\x01", one.signer)
        ),
        SealRefused,
        "UNKNOWN_FIELD",
    ),
    "with a limit that says nothing": (
        lambda one: pb.LodgeOverlayRequest(
            overlay=seal(Kind.OVERLAY, overlay_payload(one.says()) + b"\x62\x00", one.signer)
        ),
        Invalid,
        "overlay.constraints[0]: a kind of constraint that this reader does not know",
    ),
    "with no effect": (
        lambda one: pb.LodgeOverlayRequest(overlay=seal(Kind.OVERLAY, without_effect(one.says()), one.signer)),
        Invalid,
        "overlay.effect: 0 is no effect: permit, withdraw or lift",
    ),
    "that is no overlay": (
        lambda one: pb.LodgeOverlayRequest(overlay=seal(Kind.OVERLAY, b"\xff\xff", one.signer)),
        Invalid,
        "overlay.payload: the payload is no overlay",
    ),
    "for another installation": (
        lambda one: one.lodging(audience="elsewhere.example"),
        Invalid,
        "overlay.audience: it is for 'elsewhere.example', and this is",
    ),
    "about a customer that is not there": (
        lambda one: one.lodging(customer="nobody"),
        NotFound,
        "overlay.customer: there is no customer 'nobody'",
    ),
    "about another customer's licence": (
        lambda one: one.lodging(licence=one.office.licence()),
        Invalid,
        "which is none of customer",
    ),
    "that is over before it begins": (
        lambda one: one.lodging(not_after=one.says().not_before),
        Invalid,
        "overlay.not_after: must be later than not_before",
    ),
    "that was issued tomorrow": (
        lambda one: one.lodging(issued_at=one.says().issued_at + DAY),
        Invalid,
        "overlay.issued_at_ms: it was issued later than now",
    ),
    "for over ten years": (
        lambda one: one.lodging(not_after=one.says().not_before + 4_000 * DAY),
        Invalid,
        "ten years",
    ),
    "of revision 0": (lambda one: one.lodging(revision=0), Invalid, "overlay.revision: counts from 1, got 0"),
    "with a name that is none": (lambda one: one.lodging(reference="a/b"), Invalid, "overlay.overlay: 1 to 64 letters"),
    "in a region that is none": (
        lambda one: one.lodging(TargetRegions(frozenset({"Atlantis"}), frozenset(Basis))),
        Invalid,
        "overlay.regions: ",
    ),
    "with too many limits": (lambda one: one.lodging(*[ConcurrentTargets(1)] * 65), Invalid, "at most 64 limits"),
    "with words without end": (lambda one: one.lodging(statement="x" * 2001), Invalid, "at most 2000 characters"),
    "with a NUL among its words": (lambda one: one.lodging(statement="fin\x00e"), Invalid, "a NUL character"),
    "that withdraws what is not there": (
        lambda one: one.lodging(effect=OverlayEffect.WITHDRAW),
        Invalid,
        "to withdraw",
    ),
}


def without_effect(said: OverlayTerms) -> bytes:
    message = overlay_terms_message(said)
    message.ClearField("effect")
    return message.SerializeToString()


@pytest.mark.parametrize("name", REFUSED)
def test_an_overlay_is_refused_by_name(authority: Authority, name: str):
    make, kind, words = REFUSED[name]
    assert words in refused(authority.office.alice, LODGE, make(authority), kind)
    listed = authority.office.alice.call(
        "OverlayService.ListOverlays", pb.ListOverlaysRequest(authority=authority.name)
    )
    assert list(listed.overlays) == []


def test_another_key_than_the_authoritys_is_told_with_whose_it_should_be(authority: Authority):
    other = MemorySigner.generate(KeyPurpose.OVERSEER, urandom)
    request = pb.LodgeOverlayRequest(overlay=signed(authority.says(), other))
    words = refused(authority.office.alice, LODGE, request, SealRefused)
    assert f"of authority {authority.name}, whose key is {authority.signer.key_id}" in words
    assert f"no key '{other.key_id}'" in words


def test_one_that_tries_to_widen_a_licence_is_refused_with_in_what(authority: Authority):
    licence = authority.licence(cap=4, regions=("NO",))
    wide = (ConcurrentTargets(5), TargetRegions(frozenset({"NO", "SE"}), frozenset({Basis.NUMBER_PLAN})))
    words = refused(authority.office.alice, LODGE, authority.lodging(*wide, licence=licence), Invalid)
    assert words == (
        f"overlay.constraints: overlay {authority.id} tries to widen licence {licence} in cap, regions; "
        "it can only narrow"
    )
    authority.lodge(*wide)
    found = rights(authority.office.alice, licence)
    assert (cap(found), list(found.narrowed[0].respects)) == (4, [])


def test_a_revision_is_not_taken_twice(authority: Authority):
    authority.lodge(revision=2)
    for revision in (1, 2):
        words = refused(authority.office.alice, LODGE, authority.lodging(revision=revision), AlreadyExists)
        assert f"overlay {authority.id} is at revision 2 (in-force); revision {revision} is not taken again" in words


def test_the_same_request_twice_is_one_overlay_and_one_answer(authority: Authority):
    request = authority.lodging()
    first = authority.office.alice.call(LODGE, request)
    assert authority.office.alice.call(LODGE, request) == first


# ------------------------------------------------------------------------------------------------------ withdrawn
def test_one_person_withdraws_an_overlay_at_once(authority: Authority):
    office, licence = authority.office, authority.licence()
    authority.lodge()
    done = office.bob.call(WITHDRAW, withdrawing(authority)).overlay
    assert (done.status, done.ended_why) == (overlay_pb2.OVERLAY_STATUS_WITHDRAWN, "by letter")
    found = rights(office.alice, licence)
    assert found.denial.reason == denial_pb2.DENIAL_REASON_OVERLAY_NOT_IN_FORCE
    assert found.narrowed[0].status == overlay_pb2.OVERLAY_STATUS_WITHDRAWN
    words = refused(office.alice, WITHDRAW, withdrawing(authority), IllegalTransition)
    assert f"overlay {authority.id} was withdrawn already" in words


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"overlay": "nobody/nothing"}, NotFound, "there is no overlay nobody/nothing"),
        ({"reason_code": "because"}, Invalid, "reason_code: 'because' is no reason code"),
        ({"detail": " "}, Invalid, "detail: must be given"),
    ],
)
def test_a_withdrawal_without_a_reason_or_an_overlay_is_none(
    authority: Authority, changes: dict[str, str], kind: type[LicdError], words: str
):
    authority.lodge()
    assert words in refused(authority.office.alice, WITHDRAW, withdrawing(authority, **changes), kind)


# ------------------------------------------------------------------------------------------- a system that is told
def test_a_system_hears_of_a_withdrawal_as_of_a_suspension_and_of_a_new_overlay_as_of_an_amendment(
    authority: Authority,
):
    office = authority.office
    system = joined(office, authority.licence(cap=4))
    system.open()
    with system.stream() as stream:
        assert len(stream.beat(acquire(1), acquire(2)).leases) == 2
        authority.lodge(ConcurrentTargets(1))
        assert stream.directive().kind == session_pb2.DIRECTIVE_KIND_AMEND
        permit = stream.beat(acquire(3))
        assert len(permit.leases) == 1
        assert list(permit.outcomes[0].denial.overlays) == [authority.id]
        office.alice.call(WITHDRAW, withdrawing(authority))
        stop = stream.directive()
        assert (stop.kind, stop.reason_code) == (session_pb2.DIRECTIVE_KIND_SUSPEND, "export_authority")
        assert stop.detail == f"overlay {authority.id} was withdrawn"
        refusal = stream.beat()
        assert reason(refusal) == "OVERLAY_NOT_IN_FORCE"
        assert list(refusal.denial.overlays) == [authority.id]
        office.agree(LODGE, authority.lodging(revision=2))
        assert stream.directive().kind == session_pb2.DIRECTIVE_KIND_AMEND
        assert len(stream.beat(acquire(9)).leases) == 1


def test_a_permit_ends_with_the_overlay_that_it_stands_on(authority: Authority):
    office = authority.office
    system = joined(office, authority.licence(permit_ms=20_000, grace_ms=0))
    ends = office.daemon.clock.wall() + 10_000
    authority.lodge(not_after=ends)
    permit = system.open(acquire(1))
    assert list(permit.hard_ends_ms) == [ends]
    unary = session_pb2.Permit.FromString(system.acquire(2).permit.payload)
    assert list(unary.hard_ends_ms) == [ends]


def test_a_customer_sees_what_is_left_of_his_licence_and_who_narrowed_it(authority: Authority):
    system = joined(authority.office, authority.licence(cap=4))
    authority.lodge(ConcurrentTargets(2), OfflineGrace(0))
    standing = system.check().standing
    assert standing.limit == 2
    [narrowing] = standing.narrowed
    assert (narrowing.overlay, list(narrowing.respects)) == (authority.id, ["cap", "grace"])
