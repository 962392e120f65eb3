"""An overlay comes, changes, is withdrawn: what ends at once, what is ordered, and who is named in a refusal."""

from dataclasses import replace
from random import Random  # noqa: TID251 - seeded
from typing import Any

import pytest

from licd.core.acquire_lease import Granted
from licd.core.continuity import issue_continuity
from licd.core.errors import IllegalTransition
from licd.core.link import Permit
from licd.core.model import Directive, DirectiveKind, LicenceStatus
from licd.core.overlay import Overlay, OverlayStatus
from licd.core.reasons import Denied, Reason
from licd.core.rights import amend_licence, overlay_licence
from licd.core.scope import RegionClaim
from licd.core.terms import (
    Basis,
    ConcurrentTargets,
    Constraint,
    DeploymentRegions,
    DistinctTargets,
    Offences,
    OfflineGrace,
    OverlayRequired,
    PermitLength,
    ProtectedPersonAttestation,
    Purposes,
    TargetChurn,
    TargetRegions,
)
from licd.core.time import DAY, HOUR, MINUTE, SECOND
from tests.builders import GRACE, LENGTH, NOW, make_ask, make_overlay
from tests.core.rig import Rig

ALL = frozenset(Basis)
ID = "export-qn/EX-1"
IN_DE = TargetRegions(frozenset({"DE"}), ALL)


def lodge(rig: Rig, overlay: Overlay) -> Directive | None:
    return overlay_licence(rig.state, rig.now, overlay=overlay, code="export_authority", detail="d", actor="o")


def kinds(rig: Rig) -> list[str]:
    return [each.kind for each in rig.state.changes.entries]


# ------------------------------------------------------------------------------------------- at once, and ordered
def test_an_overlay_that_narrows_raises_the_epoch_and_ends_what_it_no_longer_permits():
    rig = Rig()
    inside, outside = rig.grant(1), rig.grant(2, region="AT")
    rig.state.take_changes()
    directive = lodge(rig, make_overlay(IN_DE))
    assert directive is not None
    assert (directive.kind, directive.epoch, rig.state.licence.epoch) == (DirectiveKind.AMEND, 2, 2)
    assert kinds(rig) == ["licence.overlaid", "lease.ended"]
    assert set(rig.state.seats.of("a")) == {inside.id}
    permit = rig.renew(held=[inside.id, outside.id])
    assert [each.lease for each in permit.leases] == [inside.id]
    assert permit.ended == ((outside.id, Reason.REGION_NOT_PERMITTED),)


def test_an_overlay_that_changes_nothing_here_orders_nothing():
    rig = Rig()
    for overlay in (make_overlay(ConcurrentTargets(99)), make_overlay(ConcurrentTargets(0), product="another")):
        assert lodge(rig, overlay) is None
    assert rig.state.licence.epoch == 1


@pytest.mark.parametrize(
    "overlay",
    [
        make_overlay(status=OverlayStatus.WITHDRAWN),
        make_overlay(not_after=NOW),
        make_overlay(OverlayRequired("domestic-qn")),
    ],
)
def test_where_nothing_is_left_everything_stops_as_for_a_suspension(overlay: Overlay):
    rig = Rig()
    lodge(rig, make_overlay())
    leases = [rig.grant(number).id for number in (1, 2)]
    directive = lodge(rig, overlay)
    assert directive is not None
    assert directive.kind is DirectiveKind.SUSPEND
    assert rig.state.licence.status is LicenceStatus.ACTIVE
    assert rig.state.seats.of("a") == {}
    refused = rig.link(held=leases)
    assert isinstance(refused, Denied)
    assert refused.reason is Reason.OVERLAY_NOT_IN_FORCE
    assert refused.detail == directive.detail
    unary = rig.unary(3)
    assert isinstance(unary, Denied)
    assert unary.reason is Reason.OVERLAY_NOT_IN_FORCE


def test_a_later_revision_gives_the_right_back_under_a_newer_epoch():
    rig = Rig()
    lodge(rig, make_overlay(status=OverlayStatus.WITHDRAWN))
    directive = lodge(rig, make_overlay(revision=2))
    assert directive is not None
    assert (directive.kind, directive.epoch) == (DirectiveKind.AMEND, 3)
    assert rig.grant(1)


def test_one_that_begins_later_is_waited_for_and_begins_by_itself():
    rig = Rig()
    rig.grant(1)
    directive = lodge(rig, make_overlay(not_before=NOW + HOUR))
    assert directive is not None
    assert directive.kind is DirectiveKind.AMEND, "no newer epoch will come that could end a stop"
    refused = rig.link()
    assert isinstance(refused, Denied)
    assert refused.retry_at == NOW + HOUR
    rig.now = NOW + HOUR
    assert rig.grant(1)


def test_it_takes_effect_on_a_suspended_licence_too_and_a_reinstatement_does_not_bring_it_back():
    rig = Rig()
    rig.suspend()
    lodge(rig, make_overlay(status=OverlayStatus.WITHDRAWN))
    assert rig.state.licence.status is LicenceStatus.SUSPENDED
    rig.reinstate()
    refused = rig.link()
    assert isinstance(refused, Denied)
    assert refused.reason is Reason.OVERLAY_NOT_IN_FORCE


def test_an_amendment_that_leaves_nothing_stops_everything_as_a_withdrawal_does():
    rig = Rig()
    rig.grant(1)
    terms = rig.state.licence.terms
    terms = replace(terms, revision=2, constraints=(*terms.constraints, OverlayRequired("export-qn")))
    directive = amend_licence(
        rig.state, rig.now, terms=terms, token=b"t", code="c", detail="d", actor="o", verb="amended"
    )
    assert (directive.kind, rig.state.seats.of("a")) == (DirectiveKind.SUSPEND, {})
    assert directive.detail == "the licence stands on an overlay of authority export-qn, and there is none"
    back = lodge(rig, make_overlay())
    assert back is not None
    assert back.kind is DirectiveKind.AMEND


def test_a_licence_whose_terms_demand_an_overlay_grants_nothing_without_it():
    rig = Rig(OverlayRequired("export-qn"), opened=False)
    refused = rig.open()
    assert isinstance(refused, Denied)
    assert (refused.reason, refused.overlays) == (Reason.OVERLAY_NOT_IN_FORCE, ("export-qn",))
    lodge(rig, make_overlay())
    assert isinstance(rig.open(), Permit)
    assert rig.grant(1)


# ------------------------------------------------------------------------------------------------- hard ends
def test_no_permit_outlives_the_overlay_that_it_stands_on():
    rig = Rig()
    lodge(rig, make_overlay(not_after=NOW + HOUR))
    lease = rig.grant(1)
    rig.keep(58 * MINUTE)
    assert rig.ends(rig.renew())[lease.id] == NOW + HOUR - rig.now
    late = rig.grant(2)
    assert rig.ends(rig.renew())[late.id] <= NOW + HOUR - rig.now
    unary = rig.unary(3)
    assert isinstance(unary, Granted)
    assert unary.hard_end <= NOW + HOUR
    rig.now = NOW + HOUR
    refused = rig.link()
    assert isinstance(refused, Denied)
    assert (refused.reason, refused.overlays) == (Reason.OVERLAY_NOT_IN_FORCE, (ID,))


def test_a_continuity_permit_ends_with_the_overlay_too_and_none_is_given_without_one():
    rig = Rig()
    rig.grant(1)
    lodge(rig, make_overlay(not_after=NOW + HOUR))
    wanted: dict[str, Any] = {"until": NOW + 2 * HOUR, "deployment": "", "detail": "the move", "actor": "alice"}
    [given] = issue_continuity(rig.state, rig.now, new_id=lambda: "C-1", **wanted)
    assert [each.hard_end for each in given.leases] == [NOW + HOUR]
    lodge(rig, make_overlay(revision=2, status=OverlayStatus.WITHDRAWN))
    with pytest.raises(IllegalTransition, match="overlay export-qn/EX-1 was withdrawn"):
        issue_continuity(rig.state, rig.now, new_id=lambda: "C-2", **wanted)


def test_shorter_figures_of_an_overlay_hold_from_the_next_permit_on_and_free_no_seat_early():
    rig = Rig()
    lease = rig.grant(1)
    rig.keep(GRACE)
    until = rig.now + LENGTH + GRACE
    lodge(rig, make_overlay(OfflineGrace(0), PermitLength(5 * SECOND)))
    assert rig.ends(rig.renew())[lease.id] == 5 * SECOND
    rig.release(lease.id)
    assert rig.state.seats.cooling[lease.target].free_at >= until


def test_the_youngest_beyond_an_overlays_cap_are_not_renewed():
    rig = Rig()
    leases = [rig.grant(number).id for number in (1, 2, 3)]
    lodge(rig, make_overlay(ConcurrentTargets(1)))
    permit = rig.renew(held=leases)
    assert [each.lease for each in permit.leases] == leases[:1]
    assert permit.ended == tuple((lease, Reason.CAP_NARROWED) for lease in leases[1:])


def test_a_volume_limit_of_an_overlay_that_looks_back_further_has_the_state_read_anew():
    rig = Rig(DistinctTargets(9, HOUR))
    lodge(rig, make_overlay(DistinctTargets(9, DAY)))
    assert rig.state.is_short


# ----------------------------------------------------------------------------------------------- who is named
@pytest.mark.parametrize(
    ("limit", "asked", "reason"),
    [
        (IN_DE, {"region": "AT"}, Reason.REGION_NOT_PERMITTED),
        (TargetRegions(frozenset({"DE"}), frozenset({Basis.DECLARED})), {}, Reason.REGION_BASIS_NOT_ACCEPTED),
        (Purposes(frozenset({"test:two"})), {}, Reason.PURPOSE_NOT_PERMITTED),
        (Offences(frozenset({"o:1"})), {}, Reason.OFFENCE_UNKNOWN),
        (Offences(frozenset({"o:1"})), {"offence": "o:2"}, Reason.OFFENCE_NOT_PERMITTED),
        (ProtectedPersonAttestation(), {}, Reason.ATTESTATION_REQUIRED),
        (ConcurrentTargets(0), {}, Reason.CONCURRENT_CAP),
        (DistinctTargets(0, DAY), {}, Reason.DISTINCT_CAP),
        (TargetChurn(0, DAY), {}, Reason.CHURN_LIMIT),
    ],
)
def test_a_refusal_names_the_overlay_that_makes_it_one(limit: Constraint, asked: dict[str, str], reason: Reason):
    rig = Rig()
    lodge(rig, make_overlay(reference="EX-0"))
    lodge(rig, make_overlay(limit))
    denied = rig.refuse(1, **asked)
    assert (denied.reason, denied.overlays) == (reason, (ID,))
    assert denied.detail.endswith(f"; narrowed by overlay {ID}")


def test_what_the_terms_refuse_by_themselves_is_no_overlays_doing():
    rig = Rig()
    lodge(rig, make_overlay(IN_DE))
    denied = rig.refuse(1, region="FR")
    assert (denied.reason, denied.overlays) == (Reason.REGION_NOT_PERMITTED, ())


def test_overlays_that_refuse_only_together_are_named_together():
    rig = Rig()
    lodge(rig, make_overlay(TargetRegions(frozenset({"DE", "AT"}), frozenset({Basis.DECLARED}))))
    other = TargetRegions(frozenset({"DE", "AT"}), frozenset({Basis.NUMBER_PLAN}))
    lodge(rig, make_overlay(other, authority="domestic-qn"))
    both = (RegionClaim("DE", Basis.DECLARED), RegionClaim("DE", Basis.NUMBER_PLAN))
    denied = rig.operate(replace(make_ask(1), regions=both))
    assert isinstance(denied, Denied)
    assert (denied.reason, denied.overlays) == (Reason.REGION_BASIS_NOT_ACCEPTED, ("domestic-qn/EX-1", ID))


def test_a_system_that_stands_outside_an_overlay_is_told_whose():
    rig = Rig(opened=False)
    lodge(rig, make_overlay(DeploymentRegions(frozenset({"AT"}))))
    refused = rig.open(region="DE")
    assert isinstance(refused, Denied)
    assert (refused.reason, refused.overlays) == (Reason.DEPLOYMENT_REGION_NOT_PERMITTED, (ID,))


# -------------------------------------------------------------------------------- walks beside a slow oracle
class Walk:
    """Grants, renewals, time and overlays by chance, each permit compared with what each part says by itself."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.rig = Rig(cap=4)
        self.overlays: dict[str, Overlay] = {}
        self.ended: set[int] = set()
        self.judged = 0

    def step(self) -> None:
        self.chance.choice([self.advance, self.acquire, self.acquire, self.renew, self.lodge, self.withdraw])()

    def advance(self) -> None:
        self.rig.now += self.chance.choice([SECOND, 10 * SECOND, MINUTE, 10 * MINUTE])

    def lodge(self) -> None:
        reference = self.chance.choice(["1", "2"])
        found = self.overlays.get(f"export-qn/{reference}")
        limits: list[Constraint] = [
            ConcurrentTargets(self.chance.randint(0, 4)),
            PermitLength(self.chance.choice([5, 20, 60]) * SECOND),
            OfflineGrace(self.chance.choice([0, 30, 600]) * SECOND),
            TargetRegions(frozenset(self.chance.sample(["DE", "AT", "FR"], 2)), ALL),
        ]
        self.put(
            make_overlay(
                *self.chance.sample(limits, 2),
                reference=reference,
                revision=found.revision + 1 if found else 1,
                not_before=self.rig.now + self.chance.choice([0, 0, 0, MINUTE]),
                not_after=self.rig.now + self.chance.choice([2 * MINUTE, HOUR]),
            )
        )

    def withdraw(self) -> None:
        if self.overlays and self.chance.random() < 0.3:
            name = self.chance.choice(sorted(self.overlays))
            withdrawn = replace(self.overlays[name], status=OverlayStatus.WITHDRAWN, ended_at=self.rig.now)
            self.put(withdrawn)

    def put(self, overlay: Overlay) -> None:
        before = set(self.rig.state.seats.of("a"))
        self.overlays[overlay.id] = overlay
        lodge(self.rig, overlay)
        self.ended |= before - set(self.rig.state.seats.of("a"))

    def limits(self, kind: type) -> list[Any]:
        own: list[Any] = [each for each in self.rig.state.licence.terms.constraints if isinstance(each, kind)]
        for overlay in self.overlays.values():
            own += [each for each in overlay.terms.constraints if isinstance(each, kind)]
        return own

    def stopped(self) -> bool:
        now = self.rig.now
        return any(
            each.status is not OverlayStatus.IN_FORCE or not each.terms.not_before <= now < each.terms.not_after
            for each in self.overlays.values()
        )

    def permits(self, region: str) -> bool:
        return all(region in each.regions for each in self.limits(TargetRegions))

    def acquire(self) -> None:
        region = self.chance.choice(["DE", "AT"])
        outcome = self.rig.unary(self.chance.randint(1, 6), region=region)
        if isinstance(outcome, Denied):
            assert self.stopped() is (outcome.reason is Reason.OVERLAY_NOT_IN_FORCE)
            return
        assert not self.stopped()
        assert self.permits(region)
        cap = min(each.limit for each in self.limits(ConcurrentTargets))
        assert outcome.existing or self.rig.occupied <= cap
        self.judge_end(outcome.hard_end)

    def renew(self) -> None:
        answer = self.rig.link()
        if isinstance(answer, Denied):
            assert self.stopped()
            return
        assert not self.stopped()
        for each in answer.leases:
            assert each.lease not in self.ended
            assert self.permits(self.rig.state.seats.by_id[each.lease].region)
            self.judge_end(each.hard_end)

    def judge_end(self, hard_end: int) -> None:
        self.judged += 1
        longest = [
            min(each.length for each in self.limits(PermitLength)),
            min(each.grace for each in self.limits(OfflineGrace)),
        ]
        assert hard_end <= self.rig.now + sum(longest)
        assert all(hard_end <= each.terms.not_after for each in self.overlays.values())


@pytest.mark.parametrize("block", range(4))
def test_in_no_walk_does_a_permit_go_beyond_a_part(block: int):
    judged = 0
    for seed in range(100 * block, 100 * block + 100):
        walk = Walk(seed)
        for _ in range(40):
            walk.step()
        judged += walk.judged
    assert judged > 300
