"""DiligenceService over the wire: imports, assessments and overrides, and the gate before a second person is asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from licd.core.errors import AlreadyExists, Conflict, Forbidden, IllegalTransition, Invalid, LicdError, NotFound
from licd.core.terms import rights_of
from licd.core.time import DAY
from licd.policy import load
from licd.server.country import year_of
from licd.v1 import approval_service_pb2, diligence_pb2, licence_service_pb2, operator_pb2
from licd.v1 import diligence_service_pb2 as pb
from licd.wire.terms import terms_from_message
from tests.daemon import ROOT, Daemon, fresh
from tests.diligence import assess, cpi_file, evidence, hash_of, import_file, wanted, wgi_file
from tests.office import Office, Operator, draft

ISSUE = "LicenceService.IssueLicence"
OVERRIDE = "DiligenceService.OverrideAssessment"


def shown(alice: Operator, assessment: str) -> diligence_pb2.Assessment:
    request = pb.GetAssessmentRequest(assessment=assessment)
    found: diligence_pb2.Assessment = alice.call("DiligenceService.GetAssessment", request).assessment
    return found


def listed(alice: Operator, customer: str, **more: Any) -> list[str]:
    request = pb.ListAssessmentsRequest(customer=customer, **more)
    return [each.assessment for each in alice.call("DiligenceService.ListAssessments", request).assessments]


def issuing(office: Office, customer: str, **limits: Any) -> licence_service_pb2.IssueLicenceRequest:
    terms = draft(office.daemon.clock.wall(), **limits)
    return licence_service_pb2.IssueLicenceRequest(customer=customer, licence=fresh("licence"), terms=terms)


def refused(operator: Operator, verb: str, request: Any, kind: type[LicdError]) -> str:
    with pytest.raises(kind) as told:
        operator.call(verb, request)
    return str(told.value)


# ------------------------------------------------------------------------------------------------------- indicators


def of_year(office: Office, back: int, **more: Any) -> diligence_pb2.Indicators:
    return wgi_file(year=year_of(office.daemon.clock.wall()) - back, label=fresh("file"), **more)


def test_an_import_comes_back_with_where_it_came_from(office: Office):
    file = of_year(office, 20, missing=[("QW", "va")])
    file.unmapped.add(code="ANT", name="Netherlands Antilles (former)")
    file.rows += 1
    made = import_file(office.alice, file)
    assert (made.publisher, made.title, made.terms) == ("World Bank", "Worldwide Governance Indicators", "CC BY 4.0")
    assert (made.imported_by, made.file_sha256, made.rows, made.taken) == ("alice", file.file_sha256, 25, 23)
    assert (len(made.values), made.unmapped[0].code, made.missing[0].country) == (0, "ANT", "QW")
    request = pb.GetIndicatorsRequest(indicators=made.indicators, country="QW")
    found = office.alice.call("DiligenceService.GetIndicators", request).indicators
    assert [(each.dimension, each.thousandths) for each in found.values] == [
        (name, -900) for name in ("cc", "ge", "pv", "rl", "rq")
    ]
    names = office.alice.call("DiligenceService.ListIndicators", pb.ListIndicatorsRequest(source="wgi")).indicators
    assert made.indicators in [each.indicators for each in names]


def test_the_same_file_is_not_imported_twice(office: Office):
    file = of_year(office, 20)
    made = import_file(office.alice, file)
    with pytest.raises(AlreadyExists, match=made.indicators):
        import_file(office.alice, file)


@pytest.mark.parametrize(
    ("break_it", "field"),
    [
        (lambda file: setattr(file, "source", "freedom"), "file.source"),
        (lambda file: setattr(file, "file_sha256", b"short"), "file.file_sha256"),
        (lambda file: setattr(file, "year", 2999), "file.year"),
        (lambda file: setattr(file, "taken", 3), "file.taken"),
        (lambda file: setattr(file, "rows", 3), "file.taken"),
        (lambda file: file.ClearField("values"), "file.values"),
        (lambda file: setattr(file.values[0], "country", "Norway"), "file.values"),
        (lambda file: setattr(file.values[0], "dimension", "cpi"), "file.values"),
        (lambda file: setattr(file.values[0], "thousandths", 4_001), "file.values"),
        (lambda file: file.missing.add(country="QN", dimension="cc"), "file.values"),
        (lambda file: setattr(file, "read_by", " "), "file.read_by"),
        (lambda file: file.unmapped.add(name="x" * 201), "file.unmapped.name"),
    ],
)
def test_what_no_file_can_say_is_refused(
    office: Office, break_it: Callable[[diligence_pb2.Indicators], object], field: str
):
    file = of_year(office, 21)
    break_it(file)
    words = refused(office.alice, "DiligenceService.ImportIndicators", pb.ImportIndicatorsRequest(file=file), Invalid)
    assert words.startswith(f"{field}: ")


# ------------------------------------------------------------------------------------------------------- assessments


def test_an_assessment_says_how_it_came_to_its_category(office: Office):
    customer = office.alice.unassessed()
    made = assess(office.alice, customer)
    policy = load(ROOT / "policies")
    assert (made.category, made.judged_category, made.policy_version) == ("low", "low", policy.version)
    assert [line.subject for line in made.lines] == [
        *policy.diligence.rules.floors,
        *(factor.name for factor in policy.diligence.rules.factors),
    ]
    assert made.lines[3].description == "rule of law"
    assert made.lines[3].effect == "reaches the floor of low, 0.75"
    assert {item.state for item in made.checklist} == {diligence_pb2.CHECKLIST_ITEM_STATE_DONE}
    assert (made.approvals, made.ceiling.concurrent_targets, list(made.obstacles)) == (2, 25, [])
    assert list(made.ladder) == list(policy.diligence.rules.ladder)
    assert shown(office.alice, made.assessment) == made


def test_what_it_rests_on_is_named_by_import_and_file(office: Office):
    made = assess(office.alice, office.alice.unassessed())
    for reading in made.facts.readings:
        request = pb.GetIndicatorsRequest(indicators=reading.indicators, country="QN")
        found = office.alice.call("DiligenceService.GetIndicators", request).indicators
        assert reading.file_sha256 == found.file_sha256
        assert reading.thousandths in [each.thousandths for each in found.values]


@pytest.mark.parametrize(("country", "words"), [("QQ", "does not list QQ"), ("NO", "does not list NO")])
def test_a_country_of_which_nothing_is_known_ends_it(office: Office, country: str, words: str):
    made = assess(office.alice, office.alice.unassessed(), country=country)
    assert made.category == "unacceptable"
    assert words in made.lines[0].found
    assert list(made.obstacles) == ["nothing is licensed in category unacceptable"]
    assert not made.HasField("ceiling")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"country": "Norway"}, "country: want two letters of ISO 3166-1, got 'Norway'"),
        ({"country": "NO-03"}, "country: want two letters"),
        ({"term_ms": 0}, "term_ms: from a day to ten years"),
        ({"term_ms": 4_000 * DAY}, "term_ms: from a day to ten years"),
        ({"product": " "}, "product: must be given"),
        ({"answers": {"relationshp": "none"}}, 'answers: unknown factor "relationshp"; did you mean "relationship"?'),
        ({"answers": {"law": "perfect"}}, "answers: law: 'perfect' is none of complete, gaps, secret"),
        ({"answers": {"duration": "trial"}}, "answers: duration is answered by policy, not by a person"),
        ({"evidence": [*evidence(), *evidence()]}, "evidence: clause-suspension comes with two files"),
        ({"evidence": [pb.ItemEvidence(item="danse", sha256=bytes(32))]}, 'evidence.item: unknown item "danse"'),
        ({"evidence": [pb.ItemEvidence(item="legal-review", sha256=b"x")]}, "evidence.sha256: the SHA-256 of the file"),
        (
            {"evidence": [pb.ItemEvidence(item="clause-suspension", sha256=hash_of(b"another clause"))]},
            "evidence: clause-suspension: policy accepts only a file with SHA-256 9f7d3e47",
        ),
    ],
)
def test_what_cannot_be_assessed_is_refused_and_leaves_nothing(office: Office, changes: dict[str, Any], words: str):
    customer = office.alice.unassessed()
    told = refused(office.alice, "DiligenceService.AssessCustomer", wanted(customer, **changes), Invalid)
    assert told.startswith(words)
    assert listed(office.alice, customer) == []


def test_nobody_is_assessed_who_is_not_there(office: Office):
    request = wanted("nobody-at-all")
    assert "no customer" in refused(office.alice, "DiligenceService.AssessCustomer", request, NotFound)


def test_a_question_that_is_not_answered_counts_as_its_worst_answer(office: Office):
    request = wanted(office.alice.unassessed())
    answers = [each for each in request.answers if each.factor != "defenders"]
    del request.answers[:]
    request.answers.extend(answers)
    made = office.alice.call("DiligenceService.AssessCustomer", request).assessment
    assert made.category == "unacceptable"
    assert made.lines[-1].found == "not answered: counts as by-end-user"


def test_the_newest_is_listed_first_and_the_older_on_demand(office: Office):
    customer = office.alice.unassessed()
    first = assess(office.alice, customer).assessment
    second = assess(office.alice, customer).assessment
    assert listed(office.alice, customer) == [second]
    assert listed(office.alice, customer, superseded=True) == [second, first]
    assert shown(office.alice, first).superseded_by == second
    assert f"assessment {first} was superseded by {second}" in shown(office.alice, first).obstacles


def test_a_checklist_is_worked_off_one_by_one(office: Office):
    alice = office.alice
    made = assess(alice, alice.unassessed(), product="forensic-reader", evidence=evidence())
    assert made.category == "moderate"
    missing = f"adverse-information is not done: licctl diligence complete {made.assessment} adverse-information"
    assert list(made.obstacles) == [missing]
    one = pb.ItemEvidence(item="adverse-information", sha256=hash_of(b"a search"), note="press of ten years")
    request = pb.CompleteItemRequest(assessment=made.assessment, evidence=one)
    after = alice.call("DiligenceService.CompleteItem", request).assessment
    assert list(after.obstacles) == []
    [item] = [each for each in after.checklist if each.item == "adverse-information"]
    assert (item.actor, item.note, item.evidence_sha256) == ("alice", "press of ten years", hash_of(b"a search"))


def test_what_is_refused_has_a_reason_and_stays_in_the_way(office: Office):
    made = assess(office.alice, office.alice.unassessed(), product="forensic-reader")
    request = pb.RefuseItemRequest(assessment=made.assessment, item="adverse-information", reason="no budget")
    after = office.alice.call("DiligenceService.RefuseItem", request).assessment
    assert list(after.obstacles) == ["adverse-information was refused (no budget)"]
    nameless = pb.RefuseItemRequest(assessment=made.assessment, item="adverse-information")
    assert "reason: must be given" in refused(office.alice, "DiligenceService.RefuseItem", nameless, Invalid)


# -------------------------------------------------------------------------------------------------------- overrides


def overriding(made: diligence_pb2.Assessment, category: str, reason: str = "seen") -> pb.OverrideAssessmentRequest:
    return pb.OverrideAssessmentRequest(assessment=made.assessment, category=category, reason=reason)


def test_an_override_takes_two_persons_and_keeps_what_was_judged(office: Office):
    made = assess(office.alice, office.alice.unassessed())
    asked = office.alice.call(OVERRIDE, overriding(made, "elevated", "a new government")).approval
    assert "found low: take elevated in its place: a new government" in asked.summary
    office.alice.sign(asked)
    assert shown(office.alice, made.assessment).category == "low"
    office.bob.sign(asked)
    found = shown(office.alice, made.assessment)
    assert (found.category, found.judged_category, found.overridden_by) == ("elevated", "low", "alice")
    assert found.override_reason == "a new government"
    assert [each.split(" is ")[0] for each in found.obstacles] == [
        "adverse-information",
        "legal-review",
        "mitigation-plan",
    ]


@pytest.mark.parametrize(
    ("category", "reason", "words"),
    [
        ("low", "seen", "category: it is low already"),
        ("elevated", " ", "reason: must be given"),
        ("purple", "seen", "category: judged was low; policy lets two persons go down by 1 at most"),
    ],
)
def test_an_override_that_policy_does_not_know_is_refused_before_anybody_signs(
    office: Office, category: str, reason: str, words: str
):
    made = assess(office.alice, office.alice.unassessed())
    assert words in refused(office.alice, OVERRIDE, overriding(made, category, reason), Invalid)


def test_nobody_overrides_his_way_out_of_the_last_category(office: Office):
    made = assess(office.alice, office.alice.unassessed(), country="QZ")
    assert "never out of unacceptable" in refused(office.alice, OVERRIDE, overriding(made, "high"), Invalid)


def test_an_override_that_was_asked_for_before_another_is_asked_for_again(office: Office):
    made = assess(office.alice, office.alice.unassessed())
    first = office.alice.call(OVERRIDE, overriding(made, "elevated")).approval
    office.alice.sign(first)
    office.daemon.clock.passed += 1  # type: ignore[attr-defined]
    office.agree(OVERRIDE, overriding(made, "high"))
    with pytest.raises((Conflict, IllegalTransition)):
        office.bob.sign(first)


def test_an_override_of_what_was_superseded_meanwhile_is_ended(office: Office):
    customer = office.alice.unassessed()
    made = assess(office.alice, customer)
    asked = office.alice.call(OVERRIDE, overriding(made, "elevated")).approval
    office.alice.sign(asked)
    assess(office.alice, customer)
    with pytest.raises(LicdError, match="superseded"):
        office.bob.sign(asked)


# -------------------------------------------------------------------------------------------------------------- gate


def test_a_licence_without_an_assessment_is_refused_before_a_second_person_is_asked(office: Office):
    customer = office.alice.unassessed()
    words = refused(office.alice, ISSUE, issuing(office, customer), IllegalTransition)
    assert words.startswith(f"diligence: the gate is closed: there is no assessment of {customer} for locator")


def test_a_licence_within_its_assessment_is_issued(office: Office):
    customer = office.alice.unassessed()
    assess(office.alice, customer)
    assert office.agree(ISSUE, issuing(office, customer)).licence.status == operator_pb2.LICENCE_STATUS_ACTIVE


def test_terms_of_a_lower_category_than_was_found_are_refused(office: Office):
    customer = office.alice.unassessed()
    made = assess(office.alice, customer, country="QS")
    assert made.category == "moderate"
    words = refused(office.alice, ISSUE, issuing(office, customer), IllegalTransition)
    assert f"assessment {made.assessment} found moderate, and the terms are of low" in words


def test_an_assessment_made_between_asking_and_signing_is_looked_at_anew(office: Office):
    customer = office.alice.customer()
    asked = office.alice.call(ISSUE, issuing(office, customer)).approval
    office.alice.sign(asked)
    assess(office.alice, customer, country="QS")
    with pytest.raises((Conflict, IllegalTransition)):
        office.bob.sign(asked)
    request = approval_service_pb2.GetApprovalRequest(approval=asked.approval)
    found = office.alice.call("ApprovalService.GetApproval", request).approval
    assert found.status != operator_pb2.APPROVAL_STATUS_EXECUTED


def test_as_many_persons_sign_as_the_category_asks_for(office: Office):
    customer = office.alice.unassessed()
    more = evidence("adverse-information", "legal-review", "mitigation-plan", "outside-firm", "expert-opinion")
    more += [pb.ItemEvidence(item="board-decision", sha256=hash_of(b"minutes"))]
    assess(office.alice, customer, product="remote-collector", country="QS", evidence=more, term_ms=90 * DAY)
    request = licence_service_pb2.IssueLicenceRequest(customer=customer, template="counter-terror-desk")
    asked = office.alice.call(ISSUE, request).approval
    assert asked.needed == 3
    office.alice.sign(asked)
    assert office.bob.sign(asked).status == operator_pb2.APPROVAL_STATUS_PENDING
    carol = Operator.of(office.daemon, "carol")
    assert carol.sign(asked).status == operator_pb2.APPROVAL_STATUS_EXECUTED


def test_who_may_not_assess_does_not(office: Office):
    approver = office.admit(fresh("op"), "approver")
    words = refused(approver, "DiligenceService.AssessCustomer", wanted("x"), Forbidden)
    assert "no role that may call DiligenceService.AssessCustomer" in words


# ----------------------------------------------------------------------------------------------------------- reviews


def reviewed(daemon: Daemon) -> None:
    daemon.on_loop(daemon.up.daemon.jobs.review)


def open_reviews(alice: Operator, customer: str) -> list[diligence_pb2.Review]:
    request = pb.ListReviewsRequest(customer=customer)
    return list(alice.call("DiligenceService.ListReviews", request).reviews)


@pytest.fixture
def own(own_daemon: Callable[..., Daemon]) -> Office:
    """An office of a daemon of its own: what its indicators say, only this test says."""
    return Office(own_daemon())


def fallen(office: Office, value: int, score: int, label: str) -> None:
    year = year_of(office.daemon.clock.wall())
    import_file(office.alice, wgi_file({"QN": value}, year=year, label=label))
    import_file(office.alice, cpi_file({"QN": score}, year=year, label=label))


def test_a_country_that_falls_opens_a_review_and_narrows_the_licence_to_the_new_ceiling(own: Office):
    customer = own.alice.customer()
    licence = own.licence(customer, cap=20, grace_ms=3_600_000)
    assert isinstance(own.daemon, Daemon)
    reviewed(own.daemon)
    assert open_reviews(own.alice, customer) == []
    fallen(own, -300, 35, "fallen")
    reviewed(own.daemon)
    [review] = open_reviews(own.alice, customer)
    assert (review.licence, review.cause) == (licence, "indicators")
    assert review.detail == "low has become elevated: cc -0.3 (2026)".replace(
        "2026", str(year_of(own.daemon.clock.wall()))
    )
    found = own.alice.licence_of(licence)
    limits = [each.concurrent_targets.limit for each in found.terms.constraints if each.HasField("concurrent_targets")]
    graces = [each.offline_grace.grace_ms for each in found.terms.constraints if each.HasField("offline_grace")]
    assert (min(limits), min(graces), found.epoch) == (8, 300_000, 2)
    reviewed(own.daemon)
    assert own.alice.licence_of(licence).epoch == 2
    assert len(open_reviews(own.alice, customer)) == 1
    again = licence_service_pb2.RenewLicenceRequest(
        licence=licence, version=found.version, not_after_ms=found.terms.not_after_ms + DAY
    )
    words = refused(own.alice, "LicenceService.RenewLicence", again, IllegalTransition)
    assert f"review {review.review} is open" in words
    assess(own.alice, customer)
    assert open_reviews(own.alice, customer) == []


def test_a_country_below_every_floor_suspends_the_licence(own: Office):
    customer = own.alice.customer()
    licence = own.licence(customer)
    fallen(own, -2_500, 5, "ruined")
    assert isinstance(own.daemon, Daemon)
    reviewed(own.daemon)
    found = own.alice.licence_of(licence)
    assert (found.status, found.suspension_code) == (operator_pb2.LICENCE_STATUS_SUSPENDED, "country_change")
    assert [each.cause for each in open_reviews(own.alice, customer)] == ["indicators"]


def test_a_better_year_changes_nothing(own: Office):
    customer = own.alice.customer()
    licence = own.licence(customer)
    fallen(own, 2_000, 95, "risen")
    assert isinstance(own.daemon, Daemon)
    reviewed(own.daemon)
    assert open_reviews(own.alice, customer) == []
    assert own.alice.licence_of(licence).epoch == 1


def test_a_review_comes_due_by_the_calendar(own: Office):
    customer = own.alice.customer()
    own.licence(customer, days=90)
    [made] = listed(own.alice, customer)
    own.agree(OVERRIDE, overriding(shown(own.alice, made), "high"))
    assert isinstance(own.daemon, Daemon)
    own.daemon.clock.passed += 29 * DAY
    reviewed(own.daemon)
    assert open_reviews(own.alice, customer) == []
    own.daemon.clock.passed += 2 * DAY
    reviewed(own.daemon)
    [review] = open_reviews(own.alice, customer)
    assert (review.cause, review.due_at_ms - review.opened_at_ms) == ("calendar", 30 * DAY)


def test_an_override_for_the_worse_narrows_the_licence_as_well(own: Office):
    customer = own.alice.customer()
    licence = own.licence(customer, cap=20)
    [made] = listed(own.alice, customer)
    own.agree(OVERRIDE, overriding(shown(own.alice, made), "moderate"))
    assert isinstance(own.daemon, Daemon)
    reviewed(own.daemon)
    found = own.alice.licence_of(licence)
    rights = rights_of(terms_from_message(found.terms))
    assert (rights.cap, rights.attestation, found.terms.category) == (15, True, "low")
