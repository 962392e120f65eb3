"""One licence and its systems, a clock that is moved by hand, and one line for each thing that can be asked."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import count
from typing import Any

from licd.core.acquire_lease import Granted, acquire_lease
from licd.core.force_release import force_release_lease
from licd.core.link import Link, Opening, Operation, Outcome, Permit, Release, answer_link
from licd.core.model import Directive, Lease
from licd.core.reasons import Denied
from licd.core.release_lease import Released, release_lease
from licd.core.rights import amend_licence, reinstate_licence, suspend_licence, terminate_licence
from licd.core.scope import Acquisition
from licd.core.standing import standing
from licd.core.terms import Constraint, Terms
from licd.core.time import SECOND, Millis
from tests.builders import NOW, REASON, make_ask, make_state, make_terms

BEAT: Millis = 5 * SECOND


class Rig:
    """The state under test. Every system has an open session unless opened=False."""

    def __init__(self, *extra: Constraint, opened: bool = True, now: int = NOW, **figures: Any) -> None:
        self.state = make_state(*extra, now=now, **figures)
        self.now = now
        self._lease_ids = count(1)
        if opened:
            for system in list(self.state.deployments):
                assert isinstance(self.open(system), Permit)

    # ------------------------------------------------------------------------------------------ systems ask
    def open(
        self, system: str = "a", held: Iterable[int] = (), *operations: Operation, region: str = "DE"
    ) -> Permit | Denied:
        opening = Opening(f"session {self.state.sessions[system].sequence} of {system}", region, "1.0")
        return self._answer(system, "", held, operations, opening)

    def link(self, system: str = "a", *operations: Operation, held: Iterable[int] | None = None) -> Permit | Denied:
        """A heartbeat; it holds on to all live leases unless told which."""
        kept = list(self.state.seats.of(system)) if held is None else held
        return self._answer(system, self.state.sessions[system].session, kept, operations, None)

    def renew(self, system: str = "a", *operations: Operation, held: Iterable[int] | None = None) -> Permit:
        permit = self.link(system, *operations, held=held)
        assert isinstance(permit, Permit), permit
        return permit

    def operate(self, operation: Operation, system: str = "a") -> Outcome:
        """One operation in a heartbeat that holds on to all."""
        [outcome] = self.renew(system, operation).outcomes
        return outcome

    def acquire(self, number: int = 1, system: str = "a", **changes: Any) -> Outcome:
        return self.operate(make_ask(number, **changes), system)

    def grant(self, number: int = 1, system: str = "a", **changes: Any) -> Lease:
        outcome = self.acquire(number, system, **changes)
        assert isinstance(outcome, Granted), outcome
        return outcome.lease

    def refuse(self, number: int = 1, system: str = "a", **changes: Any) -> Denied:
        outcome = self.acquire(number, system, **changes)
        assert isinstance(outcome, Denied), outcome
        return outcome

    def unary(self, number: int = 1, system: str = "a", **changes: Any) -> Granted | Denied:
        """A unary acquire, as the ledger asks for it."""
        ask: Acquisition = make_ask(number, **changes)
        denied = standing(self.state, system, self.now)
        return denied or acquire_lease(
            self.state, system, ask, self.now, lease_id=next(self._lease_ids), attached=False
        )

    def release(self, lease: int, system: str = "a") -> Released | Denied:
        """A unary release."""
        return release_lease(self.state, system, lease, self.now)

    def give_back(self, lease: int, system: str = "a") -> Outcome:
        """A release inside a link."""
        return self.operate(Release(lease), system)

    def _answer(
        self, system: str, session: str, held: Iterable[int], operations: Iterable[Operation], opening: Opening | None
    ) -> Permit | Denied:
        before = self.state.sessions[system]
        sequence = before.sequence + 1
        link = Link(
            sequence=sequence,
            payload_hash=sequence.to_bytes(32, "big"),
            nonce=b"nonce",
            boot_nonce=b"boot",
            session=session,
            held=tuple(held),
            operations=tuple(operations),
            opening=opening,
            address="192.0.2.1",
        )
        after, answer = answer_link(self.state, system, link, self.now, lambda: next(self._lease_ids))
        self.state.put(replace(after, sequence=sequence, link_hash=link.payload_hash, accepted_at=self.now))
        return answer

    def keep(self, duration: Millis, system: str = "a") -> None:
        """Heartbeats for so long, holding on to all."""
        until = self.now + duration
        while self.now < until:
            self.now = min(self.now + BEAT, until)
            self.renew(system)

    # ------------------------------------------------------------------------------------------ operators order
    def suspend(self) -> Directive:
        return suspend_licence(self.state, self.now, suspension="S-1", **REASON)

    def reinstate(self) -> Directive:
        return reinstate_licence(self.state, self.now, epoch=self.state.licence.epoch, **REASON)

    def terminate(self) -> Directive:
        return terminate_licence(self.state, self.now, **REASON)

    def amend(self, *extra: Constraint, **figures: Any) -> Directive:
        """Terms by the figures of make_terms, in place of the present ones."""
        old = self.state.licence.terms
        terms: Terms = make_terms(*extra, now=old.not_before, **figures)
        terms = replace(terms, revision=old.revision + 1)
        return amend_licence(self.state, self.now, terms=terms, token=b"token", verb="amended", **REASON)

    def force_release(self, lease: int, cool_down: Millis = 0) -> Lease:
        return force_release_lease(self.state, lease, self.now, cool_down=cool_down, **REASON)

    # ------------------------------------------------------------------------------------------ what is so
    @property
    def occupied(self) -> int:
        return self.state.seats.occupied(self.now)

    def ends(self, permit: Permit | Denied) -> dict[int, int]:
        """Hard end of each lease on a permit, counted from now."""
        assert isinstance(permit, Permit), permit
        return {each.lease: each.hard_end - self.now for each in permit.leases}
