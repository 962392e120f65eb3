"""SIGTERM under load, and the next daemon at once; SIGSTOP of a system for longer than its leases."""

from __future__ import annotations

import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import grpc

from licd.core.errors import LicdError, ShuttingDown
from tests.daemon import code_of
from tests.eventually import boot_ms, eventually, let_pass
from tests.gate.fleet import Fleet, enrolled
from tests.gate.judge import Judge, rows_of, verifier_of
from tests.gate.load import Crowd, Load
from tests.gate.row import Row, Trial
from tests.gate.stage import made_state, wide_licence
from tests.gate.told import Told
from tests.office import Office
from tests.process import Process

LENGTH, GRACE = 3_000, 4_000
DRAIN_LENGTH = 20_000
ACT = 100
"""Milliseconds that a lease's holder may take to notice, on a machine that is busy."""


class Counter:
    """Makes customers one after the other, and keeps which calls were answered and which were turned away."""

    def __init__(self, process: Process, told: Told, trial: Trial, name: str) -> None:
        self.process, self.told, self.trial, self.name = process, told, trial, name
        self.turned_away: set[str] = set()

    def live(self) -> None:
        """Until it is turned away."""
        office = Office(self.process)
        for turn in range(1_000_000):
            customer = f"{self.name}-{turn}"
            try:
                office.alice.customer(customer)
            except (grpc.RpcError, LicdError) as error:
                clean = isinstance(error, ShuttingDown) or code_of(error) is grpc.StatusCode.UNAVAILABLE
                self.trial.need(clean, f"{customer}: neither answered nor cleanly turned away: {error!r}")
                self.turned_away.add(customer)
                return
            self.told.customers.add(customer)
            self.told.answered()


def under_load(trial: Trial) -> None:
    """Every call is answered, and then it is in the log, or turned away, and then it was not decided."""
    state = made_state(trial.folder)
    process = trial.daemon(state, parent=trial.parent()).start()
    told = Told()
    crowd = Crowd.gather(process, told, trial.chance)
    judge = Judge(crowd.caps, verifier_of(state))
    directories = enrolled(Office(process), wide_licence(Office(process), length=DRAIN_LENGTH), trial.folder, 2)
    turned_away: set[str] = set()
    with Fleet(directories) as fleet:
        fleet.all_act(60)
        for cycle in trial.each():
            callers = [Counter(process, told, trial, f"drained-{cycle}-{index}") for index in range(4)]
            lives = [each.live for each in callers]
            with Load(
                told, [*crowd.callers()[1:], *lives], allowed=lambda error: isinstance(error, ShuttingDown)
            ) as load:
                load.until(trial.chance.randrange(20, 200))
                begun = boot_ms()
                code = process.stop()
                trial.peak("longest drain ms", boot_ms() - begun)
            trial.need(code == 0, f"cycle {cycle}: licd ended with {code}")
            for each in callers:
                turned_away |= each.turned_away
            left = rows_of(state, trial.folder / f"left-{cycle}")
            stopped = boot_ms()
            process.start()
            trial.violated(*(f"cycle {cycle}: {each}" for each in judge.look(left, told, trial.folder / "judged")))
            known = _customers(left.database)
            trial.violated(*(f"cycle {cycle}: {each} was turned away, and made" for each in turned_away & known))
            fleet.in_touch(stopped, 30)
        eventually(lambda: len(fleet.acting) == fleet.leases, 30, "everybody acts")
        trial.need(not fleet.causes, f"leases on the SDK stopped: {fleet.causes}")
    process.kill()
    trial.figures |= {"answers": told.answers, "turned away": len(turned_away), "SDK leases lost": len(fleet.causes)}


def _customers(rows: Path) -> set[str]:
    with closing(sqlite3.connect(rows)) as opened:
        return {row[0] for row in opened.execute("SELECT id FROM customer")}


def stopped_process(trial: Trial) -> None:
    """A system's process is stopped for longer than L + G, and goes on: nothing is acted on before licd is heard."""
    state = made_state(trial.folder)
    process = trial.daemon(state).start()
    office = Office(process)
    licence = wide_licence(office, cap=50, length=LENGTH, grace=GRACE)
    directories = enrolled(office, licence, trial.folder, 3)
    for cycle in trial.each():
        with Fleet(directories, targets=2) as fleet:
            fleet.all_act(60)
            let_pass(trial.chance.uniform(0, 3))
            stopped = boot_ms()
            fleet.send(signal.SIGSTOP)
            asleep = LENGTH + GRACE + ACT + trial.chance.randrange(2_000)
            process.send(signal.SIGSTOP)  # after it, licd says nothing: what is acted on is acted on by old permits
            let_pass(asleep / 1_000)
            fleet.send(signal.SIGCONT)
            awake = boot_ms()
            last = fleet.none_acts(20)
            trial.need(last <= stopped + ACT, f"cycle {cycle}: acted {last - stopped} ms after the stop began")
            trial.need(set(fleet.causes) == {"LAPSED"}, f"cycle {cycle}: stopped by {set(fleet.causes)}")
            process.send(signal.SIGCONT)
            fleet.all_act(60)
            trial.peak("ms to act again", boot_ms() - awake)
    process.kill()
    trial.figures["leases"] = 6


ROWS = (
    Row(
        "drain", "S6 S7 L1", "SIGTERM under load, restarted at once, SDK systems on top", 8, 1, (), under_load, takes=60
    ),
    Row(
        "stopped", "S9", "SIGSTOP of SDK systems for longer than L+G, then SIGCONT", 6, 1, (), stopped_process, takes=90
    ),
)
