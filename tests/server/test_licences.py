"""Licences are issued, amended and renewed within the policy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from licd.core.errors import Conflict, Invalid
from licd.core.time import DAY
from licd.v1 import (
    licence_pb2,
    licence_service_pb2,
    operator_pb2,
)
from tests.daemon import fresh
from tests.office import Office, draft

pb = licence_service_pb2
ACTIVE, SUSPENDED = operator_pb2.LICENCE_STATUS_ACTIVE, operator_pb2.LICENCE_STATUS_SUSPENDED


def amend(office: Office, licence: str, **limits: Any) -> Any:
    found = office.alice.licence_of(licence)
    terms = draft(found.terms.not_before_ms, **limits)
    return office.alice.call(
        "LicenceService.AmendLicence",
        pb.AmendLicenceRequest(licence=licence, version=found.version, terms=terms, detail="as agreed"),
    )


def test_what_only_narrows_takes_effect_at_once(office: Office):
    licence = office.licence()
    done = amend(office, licence, cap=2, grace_ms=0).licence
    assert (done.epoch, done.version, done.terms.revision) == (2, 2, 2)
    assert office.alice.licence_of(licence).terms.constraints[0].concurrent_targets.limit == 2


@pytest.mark.parametrize(
    "limits",
    [
        {"cap": 5},
        {"grace_ms": 61_000},
        {"permit_ms": 21_000},
        {"regions": ("NO", "SE", "FI")},
        {"days": 31},
        {"systems": 5},
    ],
    ids=lambda limits: next(iter(limits)),
)
def test_what_widens_anything_waits_for_a_second_person(office: Office, limits: dict[str, Any]):
    licence = office.licence(systems=3 if "systems" in limits else 4)
    asked = amend(office, licence, **({"systems": 4} if "systems" in limits else limits))
    assert asked.HasField("approval")
    assert office.alice.licence_of(licence).version == 1


def test_narrowing_one_thing_does_not_pay_for_widening_another(office: Office):
    licence = office.licence()
    assert amend(office, licence, cap=1, regions=("NO", "SE", "FI")).HasField("approval")


def test_an_amendment_of_what_has_changed_since_is_a_conflict(office: Office):
    licence = office.licence()
    amend(office, licence, cap=3)
    found = office.alice.licence_of(licence)
    with pytest.raises(Conflict):
        office.alice.call(
            "LicenceService.AmendLicence",
            pb.AmendLicenceRequest(licence=licence, version=1, terms=draft(found.terms.not_before_ms, cap=2)),
        )


def test_a_renewal_lengthens_the_term_and_keeps_the_rest(office: Office):
    licence = office.licence()
    found = office.alice.licence_of(licence)
    end = found.terms.not_after_ms + 30 * DAY
    request = pb.RenewLicenceRequest(licence=licence, version=1, not_after_ms=end)
    renewed = office.agree("LicenceService.RenewLicence", request).licence
    assert (renewed.terms.not_after_ms, renewed.terms.lineage) == (end, found.terms.lineage)
    assert renewed.terms.constraints == found.terms.constraints
    with pytest.raises(Invalid) as refused:
        office.alice.call(
            "LicenceService.RenewLicence", pb.RenewLicenceRequest(licence=licence, version=2, not_after_ms=end)
        )
    assert refused.value.field == "not_after_ms"


def test_a_licence_beyond_policy_is_not_even_asked_for(office: Office):
    with pytest.raises(Invalid):
        office.licence(cap=100_000)


ODD = licence_pb2.Constraint


WRONG_TERMS: list[Callable[[pb.TermsDraft], object]] = [
    lambda terms: terms.ClearField("constraints"),
    lambda terms: terms.constraints.append(ODD()),
    lambda terms: terms.constraints.pop(),
    lambda terms: setattr(terms, "category", "none-such"),
    lambda terms: setattr(terms, "product", ""),
    lambda terms: setattr(terms, "not_after_ms", terms.not_before_ms),
    lambda terms: setattr(terms, "not_after_ms", 0),
    lambda terms: setattr(terms, "not_before_ms", -(1 << 62)),
    lambda terms: setattr(terms, "not_after_ms", (1 << 63) - 1),
    lambda terms: terms.constraints[0].concurrent_targets.__setattr__("limit", -1),
    lambda terms: terms.constraints[1].distinct_targets.__setattr__("period_ms", (1 << 63) - 1),
    lambda terms: terms.constraints[3].target_regions.regions.append("XX"),
    lambda terms: terms.constraints[3].target_regions.bases.append(0),  # type: ignore[arg-type]
    lambda terms: terms.constraints[3].target_regions.bases.append(77),  # type: ignore[arg-type]
    lambda terms: terms.constraints[4].purposes.purposes.append("licd:journalism"),
    lambda terms: terms.constraints[5].permit_length.__setattr__("length_ms", 0),
    lambda terms: terms.constraints.append(
        ODD(deployment_addresses=licence_pb2.DeploymentAddresses(ranges=["10.0.0.0/40"]))
    ),
    lambda terms: terms.MergeFromString(b"\xfa\x7f\x01x"),
    lambda terms: terms.constraints[0].concurrent_targets.MergeFromString(b"\xf8\x7f\x01"),
]


@pytest.mark.parametrize("spoil", WRONG_TERMS)
def test_terms_that_are_wrong_or_not_understood_are_refused(office: Office, spoil: Callable[[pb.TermsDraft], object]):
    terms = draft(office.daemon.clock.wall())
    spoil(terms)
    request = pb.IssueLicenceRequest(customer=office.alice.customer(), licence=fresh("licence"), terms=terms)
    with pytest.raises(Invalid):
        office.alice.call("LicenceService.IssueLicence", request)


@pytest.mark.parametrize("start", [-1, 1, -(1 << 63), (1 << 63) - 1, 1 << 60])
def test_a_start_that_no_calendar_has_is_refused(office: Office, start: int):
    request = pb.IssueLicenceRequest(customer=office.alice.customer(), template="coastal-rescue", not_before_ms=start)
    with pytest.raises(Invalid) as refused:
        office.agree("LicenceService.IssueLicence", request)
    assert "not_before" in refused.value.field
