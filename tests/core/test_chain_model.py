"""Every way a chain can go, up to a size: no honest system is fenced, no two copies go on unseen.

The model must be able to fail, so each protection is taken away once, and the harm is found.
"""

from dataclasses import replace

import pytest
from hypothesis import settings

from licd.core import chain
from licd.core.chain import Verdict
from tests.core.chain_model import Found, Scope, explore

THOROUGH = settings().max_examples >= 5_000

HONEST = {
    "three links, one stream, a crash, a suspension and its end": Scope(links=3, streams=1, orders=2),
    "three links, two streams, a suspension and its end": Scope(links=3, streams=2, lives=0, orders=2),
    "four links, two streams, a crash": Scope(links=4, streams=2),
    "six links, two streams": Scope(links=6, streams=2, lives=0),
    "two links, one stream, two crashes": Scope(links=2, streams=1, lives=2),
    "three doubled calls": Scope(links=3, streams=1, sends=3),
}
HONEST_THOROUGH = {
    "four links, three streams, a crash": Scope(links=4, streams=3),
    "three links, three streams, a crash, a suspension and its end": Scope(links=3, streams=3, orders=2),
    "five links, three streams, two crashes": Scope(links=5, streams=3, lives=2),
}
COPIED = {
    "two links, one stream, a crash": Scope(is_copied=True, links=2, streams=1),
    "three links, two streams": Scope(is_copied=True, links=3, streams=2, lives=0),
    "two links, one stream, a suspension": Scope(is_copied=True, links=2, streams=1, sends=1, lives=0, orders=1),
}
COPIED_THOROUGH = {
    "two links, two streams, a crash": Scope(is_copied=True, links=2, streams=2),
    "two links, two streams, a suspension and its end": Scope(is_copied=True, links=2, streams=2, lives=0, orders=2),
    "three links, three streams": Scope(is_copied=True, links=3, streams=3, lives=0, most=2_000_000),
}


def chosen(usual: dict[str, Scope], thorough: dict[str, Scope]) -> list[object]:
    return [pytest.param(scope, id=name) for name, scope in (usual | (thorough if THOROUGH else {})).items()]


def looked_at(scope: Scope) -> Found:
    found = explore(scope)
    assert found.is_complete, f"more than {scope.most} states: the scope is too wide"
    for verdict in (Verdict.ACCEPT, Verdict.REPEAT, Verdict.LATE):
        assert found.verdicts[verdict] > 0
    return found


@pytest.mark.timeout(300)
@pytest.mark.parametrize("scope", chosen(HONEST, HONEST_THOROUGH))
def test_an_honest_system_is_never_fenced_never_stuck_and_never_calls_licd_behind(scope: Scope):
    found = looked_at(scope)
    assert found.forks == []
    assert found.stuck == []
    assert found.verdicts[Verdict.BEHIND] == 0


@pytest.mark.timeout(300)
@pytest.mark.parametrize("scope", chosen(COPIED, COPIED_THOROUGH))
def test_two_copies_never_both_advance_unseen(scope: Scope):
    found = looked_at(scope)
    assert found.both_advanced == []
    assert found.verdicts[Verdict.FORK] > 0
    assert found.verdicts[Verdict.BEHIND] == 0


@pytest.mark.parametrize(
    "scope",
    [
        pytest.param(Scope(links=3, streams=2, restores=True), id="a crash"),
        pytest.param(Scope(links=3, streams=1, lives=0, restores=True, orders=1), id="a suspension"),
    ],
)
def test_a_licd_restored_from_an_older_state_is_behind_and_fences_nobody(scope: Scope):
    found = looked_at(scope)
    assert found.forks == []
    assert found.verdicts[Verdict.BEHIND] > 0


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "scope",
    [
        pytest.param(Scope(links=4, streams=2, lives=0, sends=1, restores=True, reconciles=True), id="two streams"),
        pytest.param(Scope(links=3, streams=3, lives=0, sends=1, restores=True, reconciles=True), id="three streams"),
        pytest.param(Scope(links=3, streams=1, sends=1, restores=True, reconciles=True), id="a crash"),
    ],
)
def test_after_a_restored_licd_was_reconciled_every_honest_system_goes_on(scope: Scope):
    found = looked_at(scope)
    assert found.forks == []
    assert found.stuck == []
    assert found.verdicts[Verdict.TAKE_UP] > 0


# ------------------------------------------------------------------------------------- the model can fail
@pytest.mark.parametrize(
    ("faults", "scope"),
    [
        (["no write-ahead"], Scope(links=2, streams=1)),
        (["nothing remembered"], Scope(links=2, streams=1)),
        (["nothing remembered", "no old-stream rule"], Scope(links=3, streams=2)),
        (["repeats forgotten"], Scope(links=4, streams=3)),
        (["nothing sent along"], Scope(links=3, streams=2, restores=True)),
    ],
)
def test_without_a_protection_an_honest_system_is_fenced(faults: list[str], scope: Scope):
    found = explore(replace(scope, faults=frozenset(faults)))
    assert found.forks != []


def test_without_the_replaced_reply_an_honest_system_seems_to_know_more_than_licd():
    found = explore(Scope(links=2, streams=1, orders=1, faults=frozenset(("one parent",))))
    assert found.verdicts[Verdict.BEHIND] > 0


def test_without_looking_at_what_a_link_follows_two_copies_both_advance():
    found = explore(Scope(is_copied=True, links=2, streams=1, lives=0, faults=frozenset(("anything follows",))))
    assert found.both_advanced != []


def test_remembering_every_link_a_late_one_is_forgotten_and_remembering_the_right_ones_it_is_not(monkeypatch):
    # The memory is made small, so that a small model can run over it: what counts is what uses it up.
    monkeypatch.setattr(chain, "RECENT", 4)
    scope = Scope(links=7, streams=2, lives=0)
    assert looked_at(scope).forks == []
    assert explore(replace(scope, faults=frozenset(("all remembered",)))).forks != []
