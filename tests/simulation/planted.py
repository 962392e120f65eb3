"""Faults to plant: each is a mistake somebody could make, in place of the right code for as long as a block lasts.

Plain replacement of one function, so that everything around it stays the code that ships.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import licd.client.session.incoming as client_incoming
import licd.client.session.replies as client_replies
import licd.client.session.stops as client_stops
import licd.core.link as core_link
import licd.core.rights as core_rights
import licd.core.state as core_state
import licd.ledger.load as ledger_load
import licd.ledger.verbs.answer_link as ledger_links
import licd.ledger.verbs.leases as ledger_leases
from licd.client.saving import Saving
from licd.core.chain import Verdict, judge
from licd.core.model import LicenceStatus
from licd.core.seats import Seats
from licd.core.standing import standing
from licd.core.state import LicenceState
from licd.core.terms import rights_of
from licd.ledger.log import Log
from licd.ledger.rows import LEASES
from licd.ledger.timekeeper import Reading, Timekeeper
from licd.ledger.transaction import States
from licd.server.memory_database import MemoryDatabase
from licd.server.memory_server import InTurn
from simulator.deterministic.customer import Customer
from simulator.deterministic.machine import Machine
from simulator.deterministic.vendor import Vendor
from simulator.deterministic.watch import Watch

Fault = Callable[[], Any]


@contextmanager
def put(owner: Any, name: str, wrong: Any) -> Iterator[None]:
    """Something wrong in place of owner.name."""
    right = vars(owner)[name]
    setattr(owner, name, wrong)
    try:
        yield
    finally:
        setattr(owner, name, right)


# ------------------------------------------------------------------------------------------------- seats
@contextmanager
def seat_freed_at_release() -> Iterator[None]:
    """A seat is free as soon as its lease has ended, though its permits run on."""
    right = LicenceState.end

    def end(self: LicenceState, lease: Any, now: int, reason: str, *, barred_until: int = 0) -> Any:
        freed = replace(right(self, lease, now, reason, barred_until=barred_until), free_at=now)
        self.put(freed)
        return freed

    with put(LicenceState, "end", end):
        yield


@contextmanager
def cap_counts_live_leases_only() -> Iterator[None]:
    """Cooling seats are not counted."""
    with put(Seats, "occupied", lambda self, now: len(self.live)):
        yield


@contextmanager
def cooling_seats_forgotten_at_a_restart() -> Iterator[None]:
    """Only live leases are read back."""
    right = LEASES.find

    class Forgetful:
        select = LEASES.select

        def find(self, connection: Any, name: str, make: Any, **given: Any) -> list[Any]:
            return [lease for lease in right(connection, name, make, **given) if not lease.ended_at]

    with put(ledger_load, "LEASES", Forgetful()):
        yield


@contextmanager
def grace_does_not_grow_with_age() -> Iterator[None]:
    """A lease of a second's age gets the whole grace."""

    def hard_end(decided: int, granted_at: int, length: int, grace: int, ends: int) -> int:
        return min(decided + length + grace, ends)

    with put(core_link, "hard_end", hard_end):
        yield


# ------------------------------------------------------------------------------------------------- suspension
@contextmanager
def suspension_stops_nothing() -> Iterator[None]:
    """Only new leases are looked at; what a link renews is not."""
    right = standing

    def lenient(state: LicenceState, deployment: str, now: int) -> Any:
        denied = right(state, deployment, now)
        return None if denied is not None and state.licence.status is LicenceStatus.SUSPENDED else denied

    with put(core_link, "standing", lenient):
        yield


@contextmanager
def stored_permit_is_said_again() -> Iterator[None]:
    """A repeated link gets the stored reply, whatever has become of the licence."""

    def repeat(self: Any, tx: Any, state: Any, session: Any) -> Any:
        kind = ledger_links.REPLY_KINDS[session.reply_kind]
        return self._reply(tx, state, kind, session.reply, session.session, ())

    with put(ledger_links.AnswerLink, "_repeat", repeat):
        yield


@contextmanager
def stored_unary_permit_is_said_again() -> Iterator[None]:
    """A repeated unary call gets the stored permit, whatever has become of the licence."""
    with (
        put(ledger_leases, "_outdated", lambda state, payload: None),
        put(ledger_leases, "standing", lambda state, deployment, now: None),
    ):
        yield


@contextmanager
def epochs_begin_anew_at_a_reinstatement() -> Iterator[None]:
    """The licence is as new, its epoch too."""
    right = core_rights._step

    def step(state: LicenceState, **changes: Any) -> None:
        right(state, **changes)
        if changes.get("status") is LicenceStatus.ACTIVE:
            state.put(replace(state.licence, epoch=1))

    with put(core_rights, "_step", step):
        yield


# ------------------------------------------------------------------------------------------------- chain and rows
@contextmanager
def late_frames_are_forks() -> Iterator[None]:
    """Whatever is not the next link proves a copy."""
    right = judge

    def strict(*arguments: Any) -> Verdict:
        verdict = right(*arguments)
        return Verdict.FORK if verdict is Verdict.LATE else verdict

    with put(ledger_links, "judge", strict):
        yield


@contextmanager
def commits_are_not_synced() -> Iterator[None]:
    """A crash takes the last commit along."""
    images: dict[MemoryDatabase, list[bytes]] = {}
    right = MemoryDatabase.commit

    def commit(self: MemoryDatabase) -> None:
        right(self)
        images[self] = [*images.get(self, [])[-1:], self.image()]

    async def gone(self: Vendor) -> None:
        assert isinstance(self.database, MemoryDatabase)
        self.database.rollback()
        self.database.restore(images[self.database][0])

    with put(MemoryDatabase, "commit", commit), put(Vendor, "gone", gone):
        yield


@contextmanager
def grants_are_not_logged() -> Iterator[None]:
    """Every third entry about a lease is left out."""
    right = Log.append
    seen = [0]

    def append(self: Log, connection: Any, entries: Any, *rest: Any) -> None:
        left = []
        for entry in entries:
            seen[0] += entry.kind == "lease.granted"
            if entry.kind != "lease.granted" or seen[0] % 3:
                left.append(entry)
        right(self, connection, left, *rest)

    with put(Log, "append", append):
        yield


# ------------------------------------------------------------------------------------------------- time
@contextmanager
def clock_is_never_doubted() -> Iterator[None]:
    """The wall clock is believed, whatever it says."""

    def read(self: Timekeeper) -> Any:
        wall, boot = self._clock.wall(), self._clock.boot()
        saved = replace(self._saved, mark=wall, known=wall, boot=boot, offset=wall - boot, since=boot, jumped="")
        return Reading(wall, ""), saved

    with put(Timekeeper, "_read", read):
        yield


# ------------------------------------------------------------------------------------------------- the SDK
@contextmanager
def deadline_counted_from_the_reply() -> Iterator[None]:
    """A permit holds from when it came, not from when it was asked for."""
    right = client_replies.take_reply

    def take_reply(state: Any, envelope: Any, now: int) -> bool:
        link = state.chain.outstanding
        if link is not None:
            state.chain.outstanding = replace(link, sent_at=now)
        return right(state, envelope, now)

    with put(client_incoming, "take_reply", take_reply):
        yield


@contextmanager
def links_are_written_down_later() -> Iterator[None]:
    """A link is sent at once; its record reaches the disk a second later."""
    right = Saving.save

    async def save(self: Saving, effect: Any) -> None:
        async def later() -> None:
            due = asyncio.Event()
            asyncio.get_running_loop().call_later(1, due.set)
            await due.wait()
            await right(self, effect)

        _LATER.append(asyncio.get_running_loop().create_task(later()))

    with put(Saving, "save", save):
        yield
    _LATER.clear()


_LATER: list[Any] = []


@contextmanager
def a_no_is_not_heard() -> Iterator[None]:
    """A refusal is noted, and nothing stops."""
    with put(client_stops, "_stop", lambda state, hold, stopped, denied: None):
        yield


@contextmanager
def deadlines_on_a_clock_that_sleeps() -> Iterator[None]:
    """A machine's clock stands still while the machine does, as time.monotonic() in suspend to memory."""
    stopped: dict[Machine, float] = {}
    pause, resume = Machine.pause, Machine.resume

    def paused(self: Machine) -> None:
        stopped.setdefault(self, asyncio.get_running_loop().time())
        pause(self)

    def resumed(self: Machine) -> None:
        if self in stopped:
            self._booted_at += asyncio.get_running_loop().time() - stopped.pop(self)
        resume(self)

    with put(Machine, "pause", paused), put(Machine, "resume", resumed):
        yield


@contextmanager
def grace_goes_on_across_a_reboot() -> Iterator[None]:
    """What a system worked on when its machine went down it works on again, at once, when it comes up."""
    last: dict[Watch, bytes] = {}
    acts, start = Watch.acts, Customer.start

    def acted(self: Watch, target: bytes) -> None:
        last[self] = target
        acts(self, target)

    def started(self: Customer) -> None:
        start(self)
        if self.watch in last:
            self.watch.acts(last[self.watch])

    with put(Watch, "acts", acted), put(Customer, "start", started):
        yield


# ------------------------------------------------------------------------------------------------- overlays
@contextmanager
def overlays_narrow_no_right() -> Iterator[None]:
    """Overlays are kept and told, and decisions look at the terms alone."""
    with put(core_state, "effective", lambda terms, _: rights_of(terms)):
        yield


@contextmanager
def overlays_are_forgotten_at_a_restart() -> Iterator[None]:
    """What is read from rows has none."""
    with put(ledger_load, "overlays_of", lambda *_: []):
        yield


# ------------------------------------------------------------------------------------------------- replicas
@contextmanager
def a_copy_outlives_the_turns_of_others() -> Iterator[None]:
    """A replica goes on with its working copy, whoever has decided since; from when all are enrolled."""
    right = States.get

    def get(self: States, licence: str, turn: int) -> Any:
        return self._kept.get(licence) if _has_begun() else right(self, licence, turn)

    with put(States, "get", get):
        yield


@contextmanager
def the_log_goes_on_from_the_own_end() -> Iterator[None]:
    """A replica writes where it left the log, and not where the log ends; from when all are enrolled."""
    right = InTurn.log_end
    with put(InTurn, "log_end", lambda self, known: known if _has_begun() else right(self, known)):
        yield


def _has_begun() -> bool:
    return asyncio.get_running_loop().time() > 5


FAULTS: dict[str, Fault] = {
    fault.__name__: fault
    for fault in (
        seat_freed_at_release,
        cap_counts_live_leases_only,
        cooling_seats_forgotten_at_a_restart,
        grace_does_not_grow_with_age,
        suspension_stops_nothing,
        stored_permit_is_said_again,
        stored_unary_permit_is_said_again,
        epochs_begin_anew_at_a_reinstatement,
        late_frames_are_forks,
        commits_are_not_synced,
        grants_are_not_logged,
        clock_is_never_doubted,
        deadline_counted_from_the_reply,
        links_are_written_down_later,
        a_no_is_not_heard,
        deadlines_on_a_clock_that_sleeps,
        grace_goes_on_across_a_reboot,
        overlays_narrow_no_right,
        overlays_are_forgotten_at_a_restart,
        a_copy_outlives_the_turns_of_others,
        the_log_goes_on_from_the_own_end,
    )
}
OF_REPLICAS = frozenset({"a_copy_outlives_the_turns_of_others", "the_log_goes_on_from_the_own_end"})
"""Found where there are several licds; one alone does nothing wrong by them."""
