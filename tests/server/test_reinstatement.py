"""The way back over the operators' listener: the checklist, who may tick it, and what a mistake takes."""

from collections.abc import Callable
from typing import Any

import pytest

from licd.core.errors import Conflict, IllegalTransition, Invalid
from licd.core.time import HOUR
from licd.v1 import licence_service_pb2 as pb
from licd.v1 import operator_pb2
from tests.daemon import Daemon, new_id
from tests.office import Office, Operator

SHA = bytes(32)


def checklist(operator: Operator, licence: str) -> pb.Reinstatement:
    request = pb.GetReinstatementRequest(licence=licence)
    found: pb.Reinstatement = operator.call("LicenceService.GetReinstatement", request).reinstatement
    return found


def meet(operator: Operator, licence: str, item: str, epoch: int = 2, evidence: bytes = SHA) -> pb.ReinstatementItem:
    request = pb.MeetReinstatementItemRequest(licence=licence, epoch=epoch, item=item, evidence_sha256=evidence)
    met: pb.ReinstatementItem = operator.call("LicenceService.MeetReinstatementItem", request).item
    return met


def lift(licence: str, reason: str = "comfort_full", epoch: int = 2) -> pb.ReinstateLicenceRequest:
    return pb.ReinstateLicenceRequest(licence=licence, epoch=epoch, reason_code=reason, detail="d")


def stopped(office: Office, code: str) -> str:
    licence = office.licence()
    request = pb.SuspendLicenceRequest(
        scope=pb.SuspensionScope(licence=licence), reason_code=code, detail="d", request_id=new_id()
    )
    office.alice.call("LicenceService.SuspendLicence", request)
    return licence


def test_the_checklist_says_what_is_demanded_and_who_did_what(office: Office):
    licence = stopped(office, "rule_purpose")
    found = checklist(office.alice, licence)
    assert (found.epoch, found.suspension_code, found.persons) == (2, "rule_purpose", 2)
    assert [each.item for each in found.items] == ["users-interviewed", "training-done"]
    assert found.waits_until_ms == office.alice.licence_of(licence).suspended_at_ms + 48 * HOUR
    assert list(found.mistaken_codes) == ["unfounded"]
    meet(office.bob, licence, "training-done")
    by_name = {each.item: each for each in checklist(office.alice, licence).items}
    assert (by_name["training-done"].met_by, by_name["training-done"].evidence_sha256) == ("bob", SHA)
    assert by_name["users-interviewed"].met_at_ms == 0


def test_a_reinstatement_is_refused_by_name_until_all_is_done_and_its_signers_see_who_did_it(
    own_daemon: Callable[..., Daemon],
):
    daemon = own_daemon()
    office = Office(daemon)
    licence = stopped(office, "rule_purpose")
    with pytest.raises(IllegalTransition, match="users-interviewed, training-done; 48 h of the time to wait"):
        office.alice.call("LicenceService.ReinstateLicence", lift(licence))
    meet(office.alice, licence, "users-interviewed")
    meet(office.bob, licence, "training-done")
    with pytest.raises(IllegalTransition, match="48 h of the time to wait"):
        office.alice.call("LicenceService.ReinstateLicence", lift(licence))
    daemon.clock.passed += 48 * HOUR
    asked = office.alice.call("LicenceService.ReinstateLicence", lift(licence))
    assert "training-done by bob" in asked.approval.summary
    office.alice.sign(asked.approval)
    assert office.bob.sign(asked.approval).status == operator_pb2.APPROVAL_STATUS_EXECUTED
    assert office.alice.licence_of(licence).status == operator_pb2.LICENCE_STATUS_ACTIVE


def test_a_mistake_takes_as_many_persons_as_the_reason_and_nothing_else(office: Office):
    licence = stopped(office, "fork")
    asked = office.alice.call("LicenceService.ReinstateLicence", lift(licence, "unfounded"))
    assert asked.approval.needed == 3
    office.alice.sign(asked.approval)
    assert office.bob.sign(asked.approval).status == operator_pb2.APPROVAL_STATUS_PENDING
    carol = Operator.of(office.daemon, "carol")
    assert carol.sign(asked.approval).status == operator_pb2.APPROVAL_STATUS_EXECUTED


@pytest.mark.parametrize(
    ("changed", "refusal", "field"),
    [
        ({"item": "determination"}, Invalid, "item"),
        ({"evidence": b"short"}, Invalid, "evidence_sha256"),
        ({"epoch": 1}, Conflict, "epoch"),
    ],
)
def test_what_is_not_demanded_or_not_shown_is_refused(
    office: Office, changed: dict[str, Any], refusal: type[Exception], field: str
):
    licence = stopped(office, "rule_purpose")
    with pytest.raises(refusal) as refused:
        meet(office.alice, licence, **{"item": "training-done", **changed})
    assert refused.value.field == field  # type: ignore[attr-defined]


def test_a_licence_in_force_has_no_checklist(office: Office):
    with pytest.raises(IllegalTransition):
        checklist(office.alice, office.licence())
