"""Logs of whole simulated runs, misfortunes included: no stop in them is contradicted by what licd wrote after it.

One that was lifted before it took effect everywhere is refused, and rightly: nothing else may be.
"""

from __future__ import annotations

import pytest

from licd.evidence.entry import Entry, Field, decode
from licd.verify.story import STOPS, NotShown, Watch
from simulator.deterministic.run import run
from simulator.deterministic.world import World

SEEDS = (1000, 1001, 1002, 1003)


def log_of(seed: int, patch: pytest.MonkeyPatch) -> list[Entry]:
    """The log at the end of a run: what was there when the auditor last looked."""
    kept: list[bytes] = []
    look = World.look

    def looked(world: World) -> None:
        look(world)
        kept[:] = [bytes(body) for (body,) in world.site.rows.look('SELECT body FROM log_entry ORDER BY "index"')]

    patch.setattr(World, "look", looked)
    run(seed)
    return [decode(body) for body in kept]


def stops_in(log: list[Entry]) -> list[int]:
    kinds = [entry.field("kind") for entry in log]
    return [index for index, kind in enumerate(kinds) if isinstance(kind, Field) and kind.value.decode() in STOPS]


def verdict(log: list[Entry], stop: int) -> str:
    watch = Watch(stop)
    try:
        for index, entry in enumerate(log):
            watch.take(index, entry)
        watch.finish()
    except NotShown as error:
        return "lifted before" if "it lifts the stop" in str(error) else str(error)
    return "holds"


def test_every_stop_in_simulated_logs_holds_or_was_lifted_first(monkeypatch: pytest.MonkeyPatch):
    verdicts = []
    for seed in SEEDS:
        with monkeypatch.context() as patch:
            log = log_of(seed, patch)
        verdicts += [verdict(log, stop) for stop in stops_in(log)]
    assert verdicts.count("holds") >= len(SEEDS)
    assert set(verdicts) <= {"holds", "lifted before"}
