"""The life of a licence: each status meets each verb, and every step is one epoch with one directive."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from licd.core.deployment import fence_deployment, revoke_deployment
from licd.core.errors import Conflict, IllegalTransition
from licd.core.model import DirectiveKind, LicenceStatus
from licd.core.rights import reinstate_licence, suspend_licence
from tests.builders import REASON
from tests.core.rig import Rig

DRAFT, ACTIVE, SUSPENDED, RESTRICTED, TERMINATED = (
    LicenceStatus.DRAFT,
    LicenceStatus.ACTIVE,
    LicenceStatus.SUSPENDED,
    LicenceStatus.ACTIVE_RESTRICTED,
    LicenceStatus.TERMINATED,
)
ILLEGAL = None

# status: what suspend, reinstate, terminate, amend make of it
LIFE: dict[LicenceStatus, tuple[LicenceStatus | None, ...]] = {
    DRAFT: (ILLEGAL, ILLEGAL, TERMINATED, DRAFT),
    ACTIVE: (SUSPENDED, ILLEGAL, TERMINATED, ACTIVE),
    SUSPENDED: (SUSPENDED, ACTIVE, TERMINATED, SUSPENDED),
    RESTRICTED: (SUSPENDED, ILLEGAL, TERMINATED, RESTRICTED),
    TERMINATED: (ILLEGAL, ILLEGAL, ILLEGAL, ILLEGAL),
}
VERBS: dict[str, Callable[[Rig], object]] = {
    "suspend": Rig.suspend,
    "reinstate": Rig.reinstate,
    "terminate": Rig.terminate,
    "amend": Rig.amend,
}
KINDS = {
    "suspend": DirectiveKind.SUSPEND,
    "reinstate": DirectiveKind.REINSTATE,
    "terminate": DirectiveKind.TERMINATE,
    "amend": DirectiveKind.AMEND,
}
PAIRS = [(status, verb, becomes) for status, row in LIFE.items() for verb, becomes in zip(VERBS, row, strict=True)]


def rig_of(status: LicenceStatus) -> Rig:
    rig = Rig(opened=False)
    rig.state.put(replace(rig.state.licence, status=status, epoch=7, version=9))
    rig.state.take_changes()
    return rig


def test_the_table_knows_every_status_and_every_verb():
    assert set(LIFE) == set(LicenceStatus)
    assert len(PAIRS) == len(LicenceStatus) * len(VERBS)


@pytest.mark.parametrize(("status", "verb", "becomes"), PAIRS)
def test_each_verb_makes_of_each_status_what_the_table_says(
    status: LicenceStatus, verb: str, becomes: LicenceStatus | None
):
    rig = rig_of(status)
    if becomes is ILLEGAL:
        with pytest.raises(IllegalTransition):
            VERBS[verb](rig)
        changes = rig.state.take_changes()
        assert (changes.rows, changes.entries, changes.directives) == ([], [], [])
        return
    VERBS[verb](rig)
    assert rig.state.licence.status is becomes
    assert (rig.state.licence.epoch, rig.state.licence.version) == (8, 10)
    directives = rig.state.take_changes().directives
    assert [(each.kind, each.epoch) for each in directives] == [(KINDS[verb], 8)]


def test_suspending_what_is_suspended_is_a_suspension_of_its_own():
    rig = Rig()
    first = rig.suspend()
    rig.state.take_changes()
    rig.now += 5
    cause = {"code": "misuse", "detail": "another cause", "actor": "bob"}
    second = suspend_licence(rig.state, rig.now, suspension="S-2", **cause)
    assert (second.epoch, second.kind) == (first.epoch + 1, DirectiveKind.SUSPEND)
    licence = rig.state.licence
    assert (licence.suspension, licence.suspension_detail, licence.suspended_at) == ("S-2", "another cause", rig.now)
    assert [entry.kind for entry in rig.state.take_changes().entries] == ["licence.suspended"]
    with pytest.raises(Conflict):
        reinstate_licence(rig.state, rig.now, epoch=first.epoch, **REASON)


@pytest.mark.parametrize("off", [-1, 1])
def test_a_reinstatement_names_the_epoch_it_lifts(off: int):
    rig = Rig()
    rig.suspend()
    with pytest.raises(Conflict, match="epoch 2"):
        reinstate_licence(rig.state, rig.now, epoch=2 + off, **REASON)
    assert rig.state.licence.status is SUSPENDED
    rig.reinstate()
    licence = rig.state.licence
    assert (licence.suspended_at, licence.suspension, licence.suspension_code, licence.suspension_detail) == (
        0,
        "",
        "",
        "",
    )


def test_every_change_of_rights_is_one_epoch_with_one_directive_and_one_entry_in_epoch_order():
    rig = Rig(systems=("a", "b", "c"))
    lease = rig.grant()
    steps: list[Callable[[], object]] = [
        rig.suspend,
        rig.reinstate,
        lambda: rig.amend(cap=2),
        lambda: rig.force_release(lease.id),
        lambda: revoke_deployment(rig.state, "b", rig.now, **REASON),
        rig.suspend,
        lambda: rig.amend(cap=9),
        lambda: fence_deployment(rig.state, "c", rig.now, first=b"1", reply=b"r", second=b"2"),
        rig.reinstate,
        rig.terminate,
    ]
    rig.state.take_changes()
    for step in steps:
        rig.now += 1
        step()
    changes = rig.state.take_changes()
    assert [each.epoch for each in changes.directives] == list(range(2, 2 + len(steps)))
    told = [dict(entry.fields)["epoch"] for entry in changes.entries]
    assert told == sorted(told)
    assert set(told) == set(range(2, 2 + len(steps)))
    assert rig.state.licence.epoch == 1 + len(steps)


def test_an_amendment_of_a_suspended_licence_leaves_it_suspended_and_moves_the_epoch_to_lift():
    rig = Rig()
    rig.suspend()
    rig.amend(cap=1)
    assert rig.state.licence.status is SUSPENDED
    with pytest.raises(Conflict):
        reinstate_licence(rig.state, rig.now, epoch=2, **REASON)
    rig.reinstate()
    assert (rig.state.licence.status, rig.state.rights.cap) == (ACTIVE, 1)
