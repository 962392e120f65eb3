"""Operators who cheat, and those who have taken an operator's keys."""

from __future__ import annotations

from os import urandom  # noqa: TID251 - a key that a thief would add
from typing import Any

import pytest

from licd.core.errors import Conflict, Forbidden, LicdError, Unauthenticated
from licd.keys.certificate_request import make_private_key, make_request
from licd.keys.kinds import KeyPurpose
from licd.keys.signer import MemorySigner
from licd.v1 import (
    approval_service_pb2,
    customer_service_pb2,
    deployment_service_pb2,
    key_service_pb2,
    licence_service_pb2,
    operator_pb2,
)
from licd.v1.session_pb2 import OperatorCommand
from tests.daemon import Daemon, fresh
from tests.office import Office, draft
from tests.server.test_four_eyes import again, asked, issued
from tests.wired_system import joined

PENDING, EXECUTED = operator_pb2.APPROVAL_STATUS_PENDING, operator_pb2.APPROVAL_STATUS_EXECUTED


def test_approve_then_modify(office: Office):
    """A second person who is shown one thing and signs another has signed nothing."""
    approval = asked(office)
    office.alice.sign(approval)
    command = OperatorCommand.FromString(approval.command.payload)
    request = licence_service_pb2.IssueLicenceRequest.FromString(command.request)
    request.terms.constraints[0].concurrent_targets.limit = 19
    command.request = request.SerializeToString()
    with pytest.raises(Forbidden, match="bytes"):
        office.bob.sign(approval, command.SerializeToString())
    assert list(again(office.alice, approval).signed_by) == ["alice"]
    assert not issued(office, approval)
    assert office.bob.sign(approval).status == EXECUTED
    executed = OperatorCommand.FromString(again(office.alice, approval).command.payload)
    assert (
        licence_service_pb2.IssueLicenceRequest.FromString(executed.request).terms.constraints[0]
        == (draft(office.daemon.clock.wall()).constraints[0])
    )


def test_stolen_operator_key(daemon: Daemon, office: Office):
    """Certificate and signing key of one operator, in other hands: they stop things, and widen nothing."""
    clerk = office.admit(fresh("clerk"), "operator", "approver", "keymaster")
    thief = clerk  # whoever has the keys is the clerk
    licence = office.licence()
    system = joined(office, licence)
    thief.suspend(licence)
    found = thief.licence_of(licence)
    other_one = thief.licence_of(office.licence())
    attempts: list[tuple[str, Any]] = [
        (
            "LicenceService.ReinstateLicence",
            licence_service_pb2.ReinstateLicenceRequest(
                licence=licence, epoch=found.epoch, reason_code="unfounded", detail="by a thief"
            ),
        ),
        (
            "LicenceService.IssueLicence",
            licence_service_pb2.IssueLicenceRequest(
                customer=office.alice.customer(), licence=fresh("licence"), terms=draft(daemon.clock.wall())
            ),
        ),
        (
            "LicenceService.AmendLicence",
            licence_service_pb2.AmendLicenceRequest(
                licence=other_one.licence,
                version=other_one.version,
                terms=draft(other_one.terms.not_before_ms, cap=9),
                detail="more",
            ),
        ),
        (
            "DeploymentService.ReenrolDeployment",
            deployment_service_pb2.ReenrolDeploymentRequest(deployment=system.deployment, detail="lost"),
        ),
        (
            "KeyService.AddOperator",
            key_service_pb2.AddOperatorRequest(
                operator=fresh("clerk"),
                roles=["operator"],
                public_key=MemorySigner.generate(KeyPurpose.OPERATOR, urandom).public_key,
                csr=make_request(make_private_key()),
            ),
        ),
    ]
    for verb, request in attempts:
        answer = thief.call(verb, request)
        assert answer.WhichOneof("outcome") == "approval", verb
        assert thief.sign(answer.approval).status == PENDING
        with pytest.raises(Conflict):
            thief.sign(answer.approval)
        other = approval_service_pb2.SignApprovalRequest(approval=answer.approval.approval)
        other.command.CopyFrom(answer.approval.command)
        with pytest.raises(LicdError):
            thief.call("ApprovalService.SignApproval", other)
        assert again(office.alice, answer.approval).status == PENDING
    with pytest.raises(Forbidden):
        thief.call("CustomerService.UnbanCustomer", customer_service_pb2.UnbanCustomerRequest(customer=found.customer))
    assert office.alice.licence_of(licence).epoch == found.epoch
    office.alice.call(
        "KeyService.DisableOperator", key_service_pb2.DisableOperatorRequest(operator=clerk.name, detail="stolen")
    )
    with pytest.raises((Forbidden, Unauthenticated)):
        thief.suspend(licence)
    with pytest.raises((Forbidden, Unauthenticated)):
        thief.licence_of(licence)
