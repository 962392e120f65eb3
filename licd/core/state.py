"""One licence with everything its rules look at, as a working copy.

A verb reads the state, puts new versions of rows into it and says what happened; the ledger takes the changes and
writes them in the transaction that decided. When a verb fails, the ledger throws the working copy away.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from licd.core.bounds import Timing, epsilon, hard_end
from licd.core.model import Customer, Deployment, Directive, DirectiveKind, Entry, FieldValue, Lease, Licence, Session
from licd.core.overlay import Overlay, effective
from licd.core.seats import Seats
from licd.core.terms import Rights, Terms
from licd.core.time import Instant, Millis

GAP = "licence.gap"
"""The entry that says that epochs of a licence were used and what they said is lost."""

Row = Customer | Licence | Deployment | Session | Lease | Directive | Overlay


@dataclass(slots=True)
class Changes:
    """What a verb did: rows to write, entries to log, directives to push."""

    rows: list[Row] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    directives: list[Directive] = field(default_factory=list)


class LicenceState:
    """The licence, its customer's standing, its deployments, sessions and seats.

    overlays are all that the customer has, by name: which of them are about the licence follows from its terms. rights
    is what the terms and those overlays come to.

    is_short: an amendment has made the volume limits look back further than the seats may remember; whoever keeps the
    state between transactions drops it then and builds it anew from rows.

    answered: the highest epoch that is known to have been answered. Rows put back from a backup are behind it, and the
    epochs between were used: what they said is lost, and none of them may say anything else.
    """

    __slots__ = (
        "answered",
        "banned",
        "changes",
        "deployments",
        "epsilon",
        "is_short",
        "licence",
        "overlays",
        "rights",
        "seats",
        "sessions",
        "timing",
    )

    def __init__(self, licence: Licence, *, banned: bool, timing: Timing, overlays: Iterable[Overlay] = ()) -> None:
        self.banned = banned
        self.timing = timing
        self.deployments: dict[str, Deployment] = {}
        self.sessions: dict[str, Session] = {}
        self.seats = Seats()
        self.changes = Changes()
        self.is_short = False
        self.answered = 0
        self.overlays: dict[str, Overlay] = {each.id: each for each in overlays}
        self.licence = licence
        self._take_terms(licence.terms)

    def take_licence(self, licence: Licence) -> None:
        """Makes this the licence as it stands, without recording a change."""
        are_known = self.licence.terms is licence.terms
        self.licence = licence
        if not are_known:
            self._take_terms(licence.terms)

    def _take_terms(self, terms: Terms) -> None:
        """Boils them down with the overlays, which takes longer than most decisions: once for the same ones."""
        self.rights: Rights = effective(terms, self.overlays.values())
        self.epsilon = epsilon(self.rights.length, self.rights.grace, self.timing)

    def put(self, row: Licence | Deployment | Session | Lease | Overlay) -> None:
        """Takes the new version of a row and records it to be written."""
        match row:
            case Lease():
                self.seats.put(row)
            case Session():
                self.sessions[row.deployment] = row
            case Deployment():
                self.deployments[row.id] = row
            case Licence() | Overlay():
                window = self.rights.window
                self._retake(row)
                self.is_short |= self.rights.window > window
        self.changes.rows.append(row)

    def _retake(self, row: Licence | Overlay) -> None:
        if isinstance(row, Licence):
            self.take_licence(row)
        else:
            self.overlays[row.id] = row
            self._take_terms(self.licence.terms)

    def step(self, **changes: object) -> None:
        """Raises the licence's epoch, with what else changes in its row; beyond every epoch that was ever used."""
        licence = self.licence
        if self.answered > licence.epoch:
            self.record(GAP, ("had", licence.epoch), ("answered", self.answered))
        epoch = max(licence.epoch, self.answered) + 1
        self.put(replace(licence, epoch=epoch, version=licence.version + 1, **changes))  # type: ignore[arg-type]

    def record(self, kind: str, *fields: tuple[str, FieldValue]) -> None:
        """Adds an entry to the log, with the licence and its epoch in front."""
        head = (("licence", self.licence.id), ("epoch", self.licence.epoch))
        self.changes.entries.append(Entry(kind, (*head, *fields)))

    def direct(
        self,
        kind: DirectiveKind,
        now: Instant,
        code: str,
        detail: str,
        *,
        leases: tuple[int, ...] = (),
        deployment: str = "",
    ) -> Directive:
        """Orders something of the licence's systems, under the licence's present epoch."""
        directive = Directive(self.licence.id, self.licence.epoch, kind, now, code, detail, leases, deployment)
        self.changes.rows.append(directive)
        self.changes.directives.append(directive)
        return directive

    @property
    def has_changes(self) -> bool:
        """Whether anything was put, recorded or ordered since the changes were taken."""
        changes = self.changes
        return bool(changes.rows or changes.entries or changes.directives)

    def take_changes(self) -> Changes:
        """Hands the recorded changes over and starts a new list."""
        taken, self.changes = self.changes, Changes()
        return taken

    def bound(self, lease: Lease) -> Instant:
        """The latest hard end ever decided for a live lease."""
        session = self._renewing(lease)
        if session is None:
            return lease.seat_until
        return max(lease.seat_until, session_hard_end(lease, session))

    def free_at(self, lease: Lease) -> Instant:
        """When a live lease's seat is free, if it is not renewed."""
        return self._ends(lease)[1]

    def _renewing(self, lease: Lease) -> Session | None:
        session = self.sessions.get(lease.deployment)
        return session if lease.attached and session is not None and session.renewed_at else None

    def _ends(self, lease: Lease) -> tuple[Instant, Instant]:
        """The lease's bound, and when its seat is free.

        Each permit rests for the epsilon of the figures it was decided under: shorter figures do not shorten that.
        """
        return lease_ends(lease, self.sessions.get(lease.deployment), self.timing)

    def settled(self, lease: Lease, *, attached: bool) -> Lease:
        """A live lease with all that was decided for it so far in its own row, whatever its session decides next."""
        until, free_at = self._ends(lease)
        return replace(lease, seat_until=until, free_at=free_at, attached=attached)

    def end(self, lease: Lease, now: Instant, reason: str, *, barred_until: Instant = 0) -> Lease:
        """Ends a live lease; its seat cools until every permit decided for it has run out and rested."""
        until, free_at = self._ends(lease)
        ended = lease.ended(now, reason, until, free_at, barred_until)
        self.put(ended)
        self.record(
            "lease.ended",
            ("system", lease.deployment),
            ("lease", lease.id),
            ("target", lease.target),
            ("reason", reason),
            ("free_at", ended.free_at),
        )
        return ended

    def lapse(self, lease: Lease, now: Instant) -> None:
        """Ends a lease whose last permit has run out."""
        over = lease.authorisation_end and self.bound(lease) >= lease.authorisation_end
        self.end(lease, now, "authorisation-ended" if over else "lapsed")

    def reap(self, now: Instant) -> int:
        """Ends every live lease whose last permit has run out. Returns how many."""
        lapsed = [lease for lease in self.seats.live.values() if self.bound(lease) <= now]
        for lease in lapsed:
            self.lapse(lease, now)
        self.seats.settle(now)
        self.seats.forget_before(now - self.rights.window)
        return len(lapsed)


def lease_ends(lease: Lease, session: Session | None, timing: Timing) -> tuple[Instant, Instant]:
    """The latest hard end decided for a lease, and when its seat is free. session is that of its deployment."""
    if not lease.attached or session is None or not session.renewed_at:
        return lease.seat_until, lease.free_at
    until = session_hard_end(lease, session)
    rest = epsilon(session.length, session.grace, timing)
    return max(lease.seat_until, until), max(lease.free_at, until + rest)


def kept_seat(
    lease: Lease, session: Session | None, timing: Timing, at: Instant, by: Millis, *, permits_run_on: bool
) -> Lease:
    """The lease after deciding time went on by so much at an instant, and nobody knows that real time did as well.

    Its permits are counted on their holder's boot clock and may run on: its seat is kept, and a bar on its target. That
    they do run on is known where a boot clock shows it; else the lease is not renewed, nor its permit told again, for
    longer than was decided: it may have run out, and its target be one too many under a cap narrowed since.
    """
    until, free_at = lease_ends(lease, session, timing)
    barred_until = lease.barred_until + by if lease.barred_until > at else lease.barred_until
    if lease.ended_at and free_at <= at:
        return replace(lease, barred_until=barred_until)
    until += by if permits_run_on else 0
    return replace(lease, seat_until=until, free_at=free_at + by, barred_until=barred_until)


def session_hard_end(lease: Lease, session: Session) -> Instant:
    """Hard end that the session's last permit gave to an attached lease."""
    ends = session.licence_end
    if lease.authorisation_end:
        ends = min(ends, lease.authorisation_end)
    return hard_end(session.renewed_at, lease.granted_at, session.length, session.grace, ends)
