"""Whatever systems, operators and time can do to one licence, each step compared with the slow oracle.

One method a step; each ends with `check`. A step that is not possible now (nothing to release) does nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from operator import attrgetter
from typing import Any

from licd.core.acquire_lease import Granted, acquire_lease
from licd.core.bounds import Timing
from licd.core.errors import Conflict, IllegalTransition, NotFound
from licd.core.force_release import force_release_lease
from licd.core.link import Link, Opening, Operation, Outcome, Permit, Release, answer_link
from licd.core.model import Lease, LicenceStatus, Session
from licd.core.reasons import Denied, Reason
from licd.core.release_lease import Released, release_lease
from licd.core.rights import amend_licence, reinstate_licence, suspend_licence
from licd.core.scope import Acquisition
from licd.core.standing import standing
from licd.core.state import Changes, LicenceState
from licd.core.terms import Constraint, DistinctTargets, TargetChurn, Terms
from tests.builders import NOW, REASON, make_ask, make_deployment, make_licence, make_session, make_terms, target
from tests.oracle import MINUTE, Figures, Holding, Oracle

SYSTEMS = ("a", "b", "c")
TARGETS = 6
PURPOSES = ("test:one", "test:two")
START = Figures(cap=2, length=10_000, grace=30_000, not_after=NOW + 3_600_000, purposes=frozenset(PURPOSES))

Wish = tuple[str, int, str, int]
"""acquire: target, purpose, authorisation life; release: which of the own leases."""


_SESSION = [field.name for field in fields(Session)]
_of_session = attrgetter(*_SESSION)
_SEQUENCE, _ACCEPTED_AT = _SESSION.index("sequence"), _SESSION.index("accepted_at")


def _accepted(session: Session, sequence: int, now: int) -> Session:
    """As dataclasses.replace, in a third of the time: each link of each walk does it."""
    row: list[Any] = list(_of_session(session))
    row[_SEQUENCE], row[_ACCEPTED_AT] = sequence, now
    return Session(*row)


class World:
    """licd's state and the oracle side by side. trace: what was answered, with instants counted from the start."""

    def __init__(self, figures: Figures = START, *, shift: int = 0) -> None:
        self.shift = shift
        self.started = self.now = NOW + shift
        self.figures = replace(figures, not_after=figures.not_after + shift)
        self.oracle = Oracle(self.figures)
        self.timing = Timing(act=figures.act, skew=figures.skew, rate_error_ppm=figures.ppm)
        self.state = LicenceState(make_licence(self._terms(1)), banned=False, timing=self.timing)
        self.rows: dict[int, Lease] = {}
        self.epochs = [1]
        self.trace: list[tuple[Any, ...]] = []
        self._lease = 0
        self._narrowed = False
        for name in SYSTEMS:
            self.state.put(make_deployment(name))
            self.state.put(make_session(name))
            self.link(name, opens=True)

    def _terms(self, revision: int) -> Terms:
        extra: list[Constraint] = [DistinctTargets(*each) for each in self.figures.distinct]
        extra += [TargetChurn(*each) for each in self.figures.churn]
        figures = self.figures
        return make_terms(
            *extra,
            now=self.started,
            not_after=figures.not_after,
            revision=revision,
            cap=figures.cap,
            length=figures.length,
            grace=figures.grace,
            purposes=figures.purposes,
        )

    # ------------------------------------------------------------------------------------------------- time
    def advance(self, duration: int) -> None:
        self.now += duration
        self.check()

    def reap(self) -> None:
        self.state.reap(self.now)
        self.check()

    def restart(self) -> None:
        """licd comes back with nothing but its rows, of which it reads only those that it has to."""
        self._keep_rows()
        old = self.state
        state = LicenceState(old.licence, banned=old.banned, timing=old.timing)
        state.deployments, state.sessions = dict(old.deployments), dict(old.sessions)
        since = self.now - max(state.rights.window, MINUTE)
        wanted = [
            row
            for row in self.rows.values()
            if not row.ended_at or max(row.free_at, row.ended_at) > since or row.barred_until > self.now
        ]
        state.seats.restore(wanted, self.now, state.rights.window)
        self.state = state
        self.check()

    # ---------------------------------------------------------------------------------------------- systems
    def unary(self, system: str, wish: Wish) -> None:
        ask = self._ask(wish)
        expected = self._expected(system, ask)
        denied = standing(self.state, system, self.now)
        outcome = denied or acquire_lease(
            self.state, system, ask, self.now, lease_id=self._next_lease(), attached=False
        )
        if isinstance(outcome, Granted):
            before = self.oracle.last_end(outcome.lease.id)
            self._note_grant(system, ask, outcome)
            until = min(outcome.hard_end, self.now + self.figures.length)
            self._give(outcome.lease.id, until, is_said_again=outcome.existing)
            assert not outcome.existing or until <= before, "a unary call extended a live lease"
        self._compare(outcome, expected, ask)
        self.check()

    def release(self, system: str, which: int) -> None:
        own = self._own(system)
        if not own:
            return
        lease = own[which % len(own)]
        outcome = release_lease(self.state, system, lease, self.now)
        self._note_end(lease)
        self._note_release(lease, outcome)
        self.check()

    def link(self, system: str, keep: int = -1, wishes: Sequence[Wish] = (), *, opens: bool = False) -> None:
        """A link that holds on to those own leases whose bit is set in keep."""
        own = self._own(system)
        held = [lease for at, lease in enumerate(own) if keep >> at & 1]
        operations = self._operations(own, wishes)
        session = self.state.sessions[system]
        link = Link(
            sequence=session.sequence + 1,
            payload_hash=b"hash",
            nonce=b"nonce",
            boot_nonce=b"boot",
            session=session.session,
            held=held,
            operations=operations,
            opening=Opening(f"s{session.sequence}", "DE", "1") if opens else None,
        )
        busy = len(self.oracle.busy(self.now))
        given_back = {each.lease for each in operations if isinstance(each, Release)}
        asked = {each.target for each in operations if isinstance(each, Acquisition)}
        plan = self._plan(own, held, given_back, asked)
        decided, answer = answer_link(self.state, system, link, self.now, self._next_lease)
        self.state.put(_accepted(decided, link.sequence, self.now))
        if isinstance(answer, Denied):
            assert self._refused() == answer.reason.name
            self._say("refused", answer.reason.name)
        else:
            assert self._refused() == ""
            self._follow(system, answer, operations, plan)
            assert len(self.oracle.busy(self.now)) <= max(busy, self.figures.cap)
        self.check()

    def _plan(
        self, own: list[int], held: list[int], given_back: set[int], asked: set[bytes]
    ) -> tuple[list[int], list[int]]:
        """What of the held leases is to be renewed, and what is to end for being among the youngest beyond the cap."""
        if self._refused():
            return [], []
        now, oracle = self.now, self.oracle
        live = {each.lease for each in oracle.live(now)}
        going_on = [lease for lease in held if lease in live and lease not in given_back]
        for lease in own:
            holding = oracle.holdings[lease]
            if lease in given_back:
                holding.is_ended = holding.target not in asked
            elif lease not in going_on and (holding.is_renewed or lease in held):
                holding.is_ended = True
        excess = [lease for lease in oracle.excess(now, given_back) if lease in going_on]
        for lease in excess:
            oracle.holdings[lease].is_ended = True
        return [lease for lease in going_on if lease not in excess], excess

    def _follow(
        self, system: str, permit: Permit, operations: Sequence[Operation], plan: tuple[list[int], list[int]]
    ) -> None:
        """The oracle takes the same steps, in the order in which licd says it does."""
        renewed, excess = plan
        assert sorted(lease for lease, why in permit.ended if why is Reason.CAP_NARROWED) == sorted(excess)
        listed = {each.lease: each.hard_end for each in permit.leases}
        for lease in renewed:
            holding = self.oracle.holdings[lease]
            holding.is_renewed = True
            self._give(lease, self.oracle.hard_end(holding, self.now))
            assert listed[lease] == self.oracle.hard_end(holding, self.now)
        on_permit = set(renewed)
        for operation, outcome in zip(operations, permit.outcomes, strict=True):
            self._follow_one(system, operation, outcome, on_permit)
        assert set(listed) == on_permit
        self._say("permit", sorted((lease, end - self.shift) for lease, end in listed.items()), permit.ended)

    def _follow_one(self, system: str, operation: Operation, outcome: Outcome, on_permit: set[int]) -> None:
        if isinstance(operation, Release):
            self._note_end(operation.lease)
            self._note_release(operation.lease, outcome)
            on_permit.discard(operation.lease)
            return
        expected = self._expected(system, operation)
        assert not isinstance(outcome, Released)
        if isinstance(outcome, Granted):
            self._note_grant(system, operation, outcome)
            holding = self.oracle.holdings[outcome.lease.id]
            holding.is_renewed = True
            self._give(holding.lease, self.oracle.hard_end(holding, self.now))
            assert outcome.hard_end == self.oracle.hard_end(holding, self.now)
            on_permit.add(holding.lease)
        self._compare(outcome, expected, operation)

    # --------------------------------------------------------------------------------------------- operators
    def suspend(self) -> None:
        made = suspend_licence(self.state, self.now, suspension="S", **REASON)
        self.epochs.append(made.epoch)
        self.check()

    def reinstate(self) -> None:
        try:
            made = reinstate_licence(self.state, self.now, epoch=self.state.licence.epoch, **REASON)
        except (IllegalTransition, Conflict):
            assert self.state.licence.status is not LicenceStatus.SUSPENDED
            return
        self.epochs.append(made.epoch)
        self.check()

    def amend(self, **figures: object) -> None:
        new = replace(self.figures, **figures)  # type: ignore[arg-type]
        self._narrowed |= new.cap < self.figures.cap
        self.figures = self.oracle.figures = new
        terms = self._terms(self.state.licence.terms.revision + 1)
        made = amend_licence(self.state, self.now, terms=terms, token=b"", verb="amended", **REASON)
        self.epochs.append(made.epoch)
        for holding in self.oracle.live(self.now):
            if holding.terms[0] not in new.purposes:
                holding.is_ended = True
        self.check()
        if self.state.is_short:
            self.restart()

    def force_release(self, which: int, cool_down: int) -> None:
        live = sorted(each.lease for each in self.oracle.live(self.now))
        if not live:
            return
        lease = live[which % len(live)]
        try:
            ended = force_release_lease(self.state, lease, self.now, cool_down=cool_down, **REASON)
        except NotFound:
            raise AssertionError(f"lease {lease} is live and licd does not know it") from None
        self._note_end(lease)
        self.epochs.append(self.state.licence.epoch)
        self.oracle.barred[ended.target] = self.oracle.free_at(ended.target) + cool_down
        assert ended.barred_until == self.oracle.barred[ended.target]
        self.check()

    # ------------------------------------------------------------------------------------- both sides compared
    def _ask(self, wish: Wish) -> Acquisition:
        _, number, purpose, life = wish
        authorised: dict[str, Any] = {"authorisation": "w", "authorisation_end": self.now + life} if life else {}
        for held in self.oracle.live(self.now):
            if life and held.target == target(number) and held.authorisation_end:
                authorised["authorisation_end"] = held.authorisation_end  # the same again, not a later end
        return make_ask(number, purpose=purpose, **authorised)

    def _expected(self, system: str, ask: Acquisition) -> str:
        refused = self._refused()
        if refused:
            return refused
        if ask.purpose not in self.figures.purposes:
            return "PURPOSE_NOT_PERMITTED"
        if ask.authorisation_end and ask.authorisation_end <= self.now:
            return "AUTHORISATION_EXPIRED"
        return self.oracle.acquire(system, ask.target, (ask.purpose, ask.authorisation_end), self.now)

    def _refused(self) -> str:
        if self.state.licence.status is LicenceStatus.SUSPENDED:
            return "LICENCE_SUSPENDED"
        return "LICENCE_EXPIRED" if self.now >= self.figures.not_after else ""

    def _compare(self, outcome: Granted | Denied, expected: str, ask: Acquisition) -> None:
        match outcome:
            case Granted(lease, hard_end, existing):
                assert ("EXISTING" if existing else "GRANTED") == expected
                self._say("granted", lease.id, hard_end - self.shift, existing)
            case Denied(reason, _, retry_at):
                assert expected == reason.name
                if reason is Reason.CONCURRENT_CAP:
                    assert retry_at == self.oracle.seats_retry(ask.target, self.now)
                    assert {seat.lease for seat in outcome.seats} <= set(self.oracle.holdings)
                if reason is Reason.TARGET_HELD:
                    assert retry_at == self.oracle.free_at(ask.target)
                self._say("denied", reason.name, retry_at and retry_at - self.shift)

    def _note_grant(self, system: str, ask: Acquisition, granted: Granted) -> None:
        lease = granted.lease
        if granted.existing:
            return
        takes_seat = ask.target not in self.oracle.busy(self.now)
        terms = (ask.purpose, ask.authorisation_end)
        self.oracle.holdings[lease.id] = Holding(
            lease.id, system, ask.target, terms, self.now, ask.authorisation_end, takes_seat
        )
        assert len(self.oracle.busy(self.now) | {ask.target}) <= self.figures.cap

    def _note_end(self, lease: int) -> None:
        self.oracle.holdings[lease].is_ended = True

    def _note_release(self, lease: int, outcome: Outcome) -> None:
        holding = self.oracle.holdings[lease]
        if isinstance(outcome, Released):
            assert outcome.free_at == self.oracle.free_at(holding.target)
            self._say("released", lease, outcome.free_at - self.shift)

    def _give(self, lease: int, hard_end: int, *, is_said_again: bool = False) -> None:
        """No permit while suspended, none past its ends, none that a slow clock makes outlast the seat."""
        assert self._refused() == ""
        self.oracle.permit(lease, self.now, hard_end, is_said_again=is_said_again)
        holding, given = self.oracle.holdings[lease], self.oracle.given[-1]
        assert hard_end <= self.figures.not_after
        assert not holding.authorisation_end or hard_end <= holding.authorisation_end
        slowest = (hard_end - given.decided) * 1_000_000 / (1_000_000 - self.figures.ppm)
        assert given.decided + slowest + self.figures.act <= given.free_at

    def check(self) -> None:
        """Seats as the oracle has them, the cap, and epochs without gaps."""
        self._keep_rows()
        seats, now = self.state.seats, self.now
        live = [each.id for each in seats.live.values() if self.state.bound(each) > now]
        assert sorted(live) == sorted([each.lease for each in self.oracle.live(now)])
        busy = {each.target for each in seats.cooling.values() if each.free_at > now}
        busy |= {each.target for each in seats.live.values() if self.state.free_at(each) > now}
        assert busy == self.oracle.busy(now)
        assert self.oracle.usable(now) <= busy
        assert len(self.oracle.uses(now)) == len(busy), "one target is used by two systems"
        assert self._narrowed or len(busy) <= self.figures.cap
        assert self.epochs[-1] == self.state.licence.epoch == len(self.epochs)

    def _keep_rows(self) -> None:
        changes: Changes = self.state.take_changes()
        self.rows.update({row.id: row for row in changes.rows if isinstance(row, Lease)})
        assert [each.epoch for each in changes.directives] == self.epochs[len(self.epochs) - len(changes.directives) :]

    def _operations(self, own: list[int], wishes: Iterable[Wish]) -> list[Operation]:
        operations: list[Operation] = []
        for wish in wishes:
            if wish[0] == "acquire":
                operations.append(self._ask(wish))
            elif own:
                operations.append(Release(own[wish[1] % len(own)]))
        return operations

    def _own(self, system: str) -> list[int]:
        return sorted(each.lease for each in self.oracle.live(self.now) if each.system == system)

    def _next_lease(self) -> int:
        self._lease += 1
        return self._lease

    def _say(self, *what: object) -> None:
        self.trace.append((self.now - self.started, *what))
