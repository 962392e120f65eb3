"""Rows that are older than what licd has answered: stops work, and say nothing that was said otherwise already."""

import inspect
from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import pytest

from licd.core.errors import Behind
from licd.core.model import LicenceStatus
from licd.core.terms import GRACE_CEILING, PERMIT_CEILING
from licd.core.time import HOUR, SECOND
from licd.ledger import verbs
from licd.ledger.rows import SUSPENSION_SYSTEMS
from licd.ledger.transaction import Command
from licd.ledger.verbs.clock import StoreBundle
from licd.ledger.verbs.customers import CreateCustomer
from licd.ledger.verbs.deployments import RevokeDeployment
from licd.ledger.verbs.leases import ForceReleaseLease
from licd.ledger.verbs.licences import SuspendLicence, SuspensionScope, TerminateLicence
from licd.ledger.verbs.reconcile import Reconcile, Reconciled
from tests.ledger.rig import NOON, Rig, wish
from tests.ledger.system import PaperSystem

SUSPEND = SuspendLicence(SuspensionScope(licence="north-1"), "manual", "because", "alice")
WHY = "the rows were put back from a backup"
ANSWERED = 7


def behind(rig: Rig, *, silent_since: int = NOON - HOUR) -> Rig:
    """licd on rows of epoch 1, of which it has answered epoch 7."""
    rig.licence()
    PaperSystem(rig, "alpha").open(wish(1))
    return rig.reopened(behind=WHY, answered={"north-1": ANSWERED}, silent_since=silent_since)


def reconciled(rig: Rig, answered: int) -> Reconciled:
    command = Reconcile(
        answered={"north-1": answered},
        answered_size=99,
        mourned=frozenset(),
        rows_size=rig.ledger.log_size,
        silent_since=NOON - HOUR,
        why=WHY,
        actor="licd reconcile",
    )
    return rig.do(command)


def test_a_suspension_is_not_run_out_while_permits_may_be_out_that_the_rows_do_not_hold(rig: Rig):
    rig = behind(rig)
    done = rig.do(SUSPEND)
    row = SUSPENSION_SYSTEMS.get(rig.connection, done.suspension, "alpha")
    assert row is not None
    assert row.bounded_until >= NOON - HOUR + PERMIT_CEILING + GRACE_CEILING


def test_without_knowing_since_when_nothing_was_granted_the_bound_counts_from_now(rig: Rig):
    rig = behind(rig, silent_since=0)
    done = rig.do(SUSPEND)
    row = SUSPENSION_SYSTEMS.get(rig.connection, done.suspension, "alpha")
    assert row is not None
    assert row.bounded_until >= NOON + PERMIT_CEILING + GRACE_CEILING


STOPS: dict[str, Callable[[int], Command[Any]]] = {
    "suspend": lambda _: SUSPEND,
    "terminate": lambda _: TerminateLicence("north-1", "manual", "d", "alice"),
    "revoke": lambda _: RevokeDeployment("alpha", "manual", "d", "alice"),
    "force-release": lambda lease: ForceReleaseLease(lease, SECOND, "manual", "d", "alice"),
}


@pytest.mark.parametrize("stop", STOPS)
def test_a_stop_takes_an_epoch_beyond_everything_that_was_answered(rig: Rig, stop: str):
    """A system that has seen epoch 7 takes no order of an epoch below; and no epoch may say two things."""
    rig = behind(rig)
    (lease,) = rig.look(lambda tx: list(tx.state("north-1").seats.live.values()))
    rig.do(STOPS[stop](lease.id))
    assert rig.look(lambda tx: tx.state("north-1").licence.epoch) == ANSWERED + 1
    assert [each.epoch for each in rig.told.batches[-1][0].directives] == [ANSWERED + 1]
    (gap,) = rig.entries("licence.gap")
    assert (gap["had"], gap["answered"]) == (b"1", b"%d" % ANSWERED)


def test_a_licence_that_was_stopped_while_behind_still_has_its_gap_when_it_is_reconciled(rig: Rig):
    """Its epoch has overtaken what was answered; what was answered is lost all the same."""
    rig = behind(rig)
    rig.do(STOPS["revoke"](0))
    rig = rig.reopened(behind=WHY, answered={"north-1": ANSWERED + 1})
    found = reconciled(rig, ANSWERED + 1)
    assert [each.licence for each in found.gaps] == ["north-1"]
    licence = rig.look(lambda tx: tx.state("north-1").licence)
    assert (licence.status, licence.epoch) == (LicenceStatus.SUSPENDED, ANSWERED + 2)
    assert reconciled(rig, ANSWERED + 2).gaps == ()


def test_rows_that_are_in_step_go_on_epoch_by_epoch(rig: Rig):
    rig.licence()
    rig = rig.reopened(behind=WHY, answered={"north-1": 1})
    assert rig.do(SUSPEND).licences[0].epoch == 2
    assert rig.entries("licence.gap") == []


# ------------------------------------------------------------------------------------------------ read-only
WIDENS_NOTHING = {
    "AnswerLink": "refuses by itself, and still says no to who is suspended",
    "CheckLicence": "looks",
    "Recall": "looks",
    "Once": "as what it wraps",
    "OpenCaseFrom": "as what it wraps",
    "ReleaseLease": "gives back",
    "ReapLeases": "ends what has run out",
    "ForgetAnswers": "deletes what nobody can ask for any more",
    "EndOutdated": "ends what can never be carried out",
    "LodgeOverlay": "narrows; one that may widen grants",
}
REFUSED = {
    "CreateCustomer",
    "SealAnew",
    "StoreBundle",
    "RequestApproval",
    "SignApproval",
    "EndOutdated",
    "RejectApproval",
    "ImportIndicators",
    "AssessCustomer",
    "CompleteItem",
    "RefuseItem",
    "OpenReviews",
    "DrillLicence",
    "OpenCase",
    "MoveCase",
    "DecideStep",
    "DetermineCase",
    "ReopenCase",
    "OpenConditions",
    "AddCondition",
    "MeetCondition",
    "CarryOut",
    "WithdrawContact",
    "AdoptRules",
    "RaiseSignals",
    "AcknowledgeSignal",
    "MeetReinstatementItem",
    "CommitNumberKey",
    "FileAllegation",
    "AcknowledgeAllegation",
    "AnswerAllegation",
    "WriteMessage",
    "JoinCase",
    "PermitDisclosure",
    "DiscloseIdentity",
}


def commands() -> dict[str, Any]:
    """Every command of the ledger."""
    modules = [import_module(f"{verbs.__name__}.{each.name}") for each in iter_modules(verbs.__path__)]
    found = [each for module in modules for each in vars(module).values() if inspect.isclass(each)]
    return {
        each.__name__: each for each in found if hasattr(each, "run") and each.__module__.startswith(verbs.__name__)
    }


def test_what_neither_stops_nor_looks_is_refused_while_behind():
    for name, command in commands().items():
        if name in WIDENS_NOTHING or command.grants is True or command.urgent is True:
            continue
        assert name in REFUSED, f"{name}: is it refused while licd is behind?"
        assert "refuse_behind" in inspect.getsource(command.run), name


@pytest.mark.parametrize("command", [CreateCustomer("new", "New", "alice"), StoreBundle(9, b"bundle", "alice")])
def test_nothing_new_is_taken_in_or_logged_while_behind(rig: Rig, command: Command[Any]):
    rig = behind(rig)
    size = rig.ledger.log_size
    assert isinstance(rig.ask(command)[0], Behind)
    assert rig.ledger.log_size == size
