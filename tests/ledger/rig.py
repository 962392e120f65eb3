"""A ledger on a database file of its own, with a clock that is moved by hand and faults that are made on purpose."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from random import Random  # noqa: TID251 - seeded
from typing import Any, TypeVar, cast

from licd.core.bounds import Timing
from licd.core.errors import LicdError
from licd.core.gate import OPEN, Gate
from licd.core.scope import Acquisition, RegionClaim
from licd.core.terms import (
    Basis,
    ConcurrentTargets,
    Constraint,
    Deployments,
    DistinctTargets,
    OfflineGrace,
    PermitLength,
    Purposes,
    TargetChurn,
    TargetRegions,
    Terms,
)
from licd.core.time import DAY, HOUR, MINUTE, SECOND, Instant, Millis
from licd.evidence.entry import Field, decode
from licd.keys.hold import HoldableSigner
from licd.keys.kinds import KeyPurpose
from licd.keys.signer import MemorySigner
from licd.ledger.database import Row, SqliteConnection, StoreFailed
from licd.ledger.ledger import BatchFigures, Ledger
from licd.ledger.log import LogKeeper, read_entries
from licd.ledger.postgres import PostgresConnection
from licd.ledger.schema import migrate, sqlite_url
from licd.ledger.transaction import Command, Committed, Installation, States, Transaction
from licd.ledger.verbs.customers import CreateCustomer
from licd.ledger.verbs.deployments import Enrol, Enrolled, InviteDeployment
from licd.ledger.verbs.licences import IssueLicence
from licd.ledger.verbs.reconcile import reconciled_at
from licd.server.log_keeping import log_keeper
from licd.server.memory_server import MemoryServer, ServerRows

R = TypeVar("R")

NOON: Instant = 1_800_000_000_000
DOMAIN = "licd.example"
ISSUER = MemorySigner(KeyPurpose.LICENCE_ISSUER, b"i" * 32)
PURPOSE = "licd:serious-crime"
TIMING = Timing(act=1_000, skew=500)


class HandClock:
    """Wall and boot clock, moved by the test."""

    def __init__(self, now: Instant = NOON) -> None:
        self._wall = now
        self._boot: Millis = 1_000_000
        self._boots = 1

    def wall(self) -> Instant:
        return self._wall

    def boot(self) -> Millis:
        return self._boot

    def boot_id(self) -> str:
        return f"boot {self._boots}"

    def reboot(self, off: Millis = 0) -> None:
        """The machine is started anew after it was off for so long."""
        self._wall += off
        self._boot = 1_000
        self._boots += 1

    def advance(self, by: Millis) -> None:
        """Time passes."""
        self._wall += by
        self._boot += by

    def jump(self, by: Millis) -> None:
        """Somebody sets the wall clock."""
        self._wall += by


class Faulty:
    """A real database that fails where it is told to. A fault is (where, how often it is let pass, the error)."""

    broken: Exception

    def __init__(self, *arguments: Any) -> None:
        self.faults: list[tuple[str, int, Exception]] = []
        self.commits = 0
        super().__init__(*arguments)

    def fail(self, where: str, error: Exception | None = None, *, after: int = 0, times: int = 1) -> None:
        """Plans faults at begin, commit, committed (durable, but the answer is lost), execute or executemany."""
        planned = error or self.broken
        self.faults += [(where, after, planned)] * times

    def _meet(self, where: str) -> None:
        for index, (place, left, error) in enumerate(self.faults):
            if place != where:
                continue
            if left:
                self.faults[index] = (place, left - 1, error)
                return
            del self.faults[index]
            raise error

    def commit(self) -> None:
        self._meet("commit")
        super().commit()  # type: ignore[misc]
        self.commits += 1
        self._meet("committed")

    def execute(self, text: str, arguments: Sequence[Any] = ()) -> list[Row]:
        self._meet("execute")
        found: list[Row] = super().execute(text, arguments)  # type: ignore[misc]
        return found

    def executemany(self, text: str, rows: Iterable[Sequence[Any]]) -> None:
        self._meet("executemany")
        super().executemany(text, rows)  # type: ignore[misc]


class FaultySqlite(Faulty, SqliteConnection):
    """SQLite."""

    broken = sqlite3.OperationalError("disk I/O error")
    full = sqlite3.OperationalError("database or disk is full")

    def begin(self) -> None:
        self._meet("begin")
        super().begin()


class FaultyPostgres(Faulty, PostgresConnection):
    """PostgreSQL, whose own clock is moved by hand: see tests.ledger.conftest."""

    broken = StoreFailed("could not write to file")
    full = StoreFailed("could not extend file: No space left on device", full=True)

    def __init__(self, url: str, clock: HandClock) -> None:
        self.clock = clock
        super().__init__(url)

    def _set_clock(self, raw: Any) -> None:
        raw.execute("SELECT set_config('licd.now', %s, false)", (str(self.clock.wall()),))

    def _live(self) -> Any:
        fresh = self._raw is None or self._raw.closed
        found = super()._live()
        if fresh:
            self._set_clock(found)
        return found

    def execute_all(self, queries: Sequence[tuple[str, Sequence[Any]]]) -> list[list[Row]]:
        self._meet("begin")
        return super().execute_all(queries)

    def _begun(self, raw: Any, queries: Sequence[tuple[str, Sequence[Any]]]) -> list[list[Row]]:
        self._set_clock(raw)
        return super()._begun(raw, queries)


class FaultyMemory(Faulty, ServerRows):
    """The simulation's server."""

    broken = StoreFailed("the server closed the connection unexpectedly")
    full = StoreFailed("no space left on device", full=True)

    def begin(self) -> None:
        self._meet("begin")
        super().begin()


@dataclass
class Told:
    """An observer that remembers what it was told."""

    batches: list[tuple[Committed, BatchFigures]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def committed(self, done: Committed, figures: BatchFigures) -> None:
        self.batches.append((done, figures))

    def failed(self, why: str) -> None:
        self.failures.append(why)


class Space:
    """A disk reserve without a disk: room says whether there is space to set it aside again."""

    def __init__(self) -> None:
        self.set_aside = True
        self.room = True

    def release(self) -> None:
        self.set_aside = False

    def restore(self) -> bool:
        self.set_aside = self.set_aside or self.room
        return self.set_aside


def seeded(seed: int) -> Callable[[int], bytes]:
    """Random bytes that can be repeated."""
    return Random(seed).randbytes


OPENED: list[FaultySqlite | FaultyPostgres | FaultyMemory] = []
"""Ended with the test that opened them."""


Store = Path | str | MemoryServer
"""A database file, a server's database by its address, or a server in memory."""


def opened(place: Store, clock: HandClock) -> FaultySqlite | FaultyPostgres | FaultyMemory:
    """A database file is made when it is not there."""
    made = _opened(place, clock)
    OPENED.append(made)
    return made


def _opened(place: Store, clock: HandClock) -> FaultySqlite | FaultyPostgres | FaultyMemory:
    if isinstance(place, MemoryServer):
        place.clock = clock.wall
        return FaultyMemory(place)
    if isinstance(place, str):
        return FaultyPostgres(place, clock)
    if not place.exists():
        migrate(sqlite_url(place))
    return FaultySqlite(place)


class Rig:
    """One ledger. reopened() gives another one on the same rows, as after a restart."""

    def __init__(
        self,
        place: Store,
        clock: HandClock | None = None,
        *,
        seed: int = 1,
        behind: str = "",
        answered: Mapping[str, int] | None = None,
        silent_since: Instant = 0,
        gate: Gate = OPEN,
    ) -> None:
        self.place = place
        self.clock = clock or HandClock()
        self.seed = seed
        self.held = False
        self.key_since = 0
        self.space = Space()
        self.told = Told()
        self.connection = opened(place, self.clock)
        self.installation = Installation(
            trust_domain=DOMAIN,
            timing=TIMING,
            licence_signer=lambda: HoldableSigner(ISSUER, lambda: self.held),
            bundle_version=lambda: 1,
            force_release_cool_down=10 * MINUTE,
            advise=lambda denied, _: denied,
            signs=lambda at: at >= self.key_since,
            reconciled_at=reconciled_at(self.connection),
            answered=answered or {},
            silent_since=silent_since,
            gate=gate,
        )
        self.ledger = Ledger(
            self.connection,
            self.installation,
            keeper(),
            self.clock,
            seeded(seed),
            self.space,
            lambda: 0,
            behind,
        )
        self.ledger.observe(self.told)

    @property
    def path(self) -> Path:
        """The file, of a rig on one."""
        assert isinstance(self.place, Path)
        return self.place

    @property
    def file(self) -> FaultySqlite:
        """The connection, of a rig on a file."""
        assert isinstance(self.connection, FaultySqlite)
        return self.connection

    def close(self) -> None:
        self.connection.close()

    def reopened(self, **more: Any) -> Rig:
        self.close()
        return Rig(self.place, self.clock, seed=self.seed + 1, **more)

    def ask(self, *commands: Command[Any]) -> list[Any]:
        """One batch; errors come back as values."""
        return self.ledger.execute(list(commands))

    def do(self, command: Command[R]) -> R:
        """One command; raises its error."""
        outcome = self.ask(command)[0]
        if isinstance(outcome, LicdError):
            raise outcome
        return cast("R", outcome)

    @property
    def states(self) -> States:
        """The ledger's own working copies."""
        return self.ledger._states

    def look(self, read: Callable[[Transaction], R]) -> R:
        """Looks at a licence's state or rows as a command would."""
        return cast("R", self.do(Look(read)))

    def entries(self, kind: str = "") -> list[dict[str, bytes]]:
        """The log, each entry as its fields; those of one kind."""
        found = [fields_of(line.body) for line in read_entries(self.connection)]
        return [each for each in found if not kind or each["kind"] == kind.encode()]

    def kinds(self) -> list[str]:
        return [each["kind"].decode() for each in self.entries()]

    # a small world

    def licence(self, name: str = "north-1", *, customer: str = "north", **limits: Any) -> str:
        """A licence of a customer who is made when he is not there."""
        self.ask(CreateCustomer(customer, customer.title(), "alice"))
        self.do(IssueLicence(terms(name, customer, self.clock.wall(), **limits), "alice"))
        return name

    def enrolled(self, name: str, licence: str = "north-1") -> Enrolled:
        """An enrolled deployment of the licence."""
        secret = sha256(f"{name}/{self.clock.wall()}".encode()).digest()
        self.do(InviteDeployment(licence, name, secret, DAY, "alice"))
        key = MemorySigner(KeyPurpose.SYSTEM, sha256(name.encode()).digest()).public_key
        make_receipt = lambda deployment, now: f"receipt {deployment.id} {now}".encode()  # noqa: E731
        return self.do(Enrol(secret, key, sha256(name.encode()).digest(), b"c" * 32, make_receipt))


@dataclass(frozen=True, slots=True)
class Look:
    """A command that only looks."""

    read: Callable[[Transaction], Any]
    grants: bool = False
    urgent: bool = False

    def run(self, tx: Transaction) -> Any:
        return self.read(tx)


@dataclass(frozen=True, slots=True)
class Try:
    """A command made of a function."""

    work: Callable[[Transaction], Any]
    grants: bool = False
    urgent: bool = False

    def run(self, tx: Transaction) -> Any:
        return self.work(tx)


def keeper() -> LogKeeper:
    return log_keeper(DOMAIN, MemorySigner(KeyPurpose.EVIDENCE, b"e" * 32))


def fields_of(body: bytes) -> dict[str, bytes]:
    return {each.name: each.value for each in decode(body).fields if isinstance(each, Field)}


def terms(
    name: str,
    customer: str,
    now: Instant,
    *,
    cap: int = 3,
    length: Millis = 20 * SECOND,
    grace: Millis = 60 * SECOND,
    systems: int = 4,
    distinct: int = 0,
    churn: int = 0,
    term: Millis = 30 * DAY,
    revision: int = 1,
) -> Terms:
    """Terms with the limits named; 0 leaves a volume limit out."""
    constraints: list[Constraint] = [
        ConcurrentTargets(cap),
        TargetRegions(frozenset({"AT", "HU"}), frozenset({Basis.NUMBER_PLAN})),
        Purposes(frozenset({PURPOSE})),
        PermitLength(length),
        OfflineGrace(grace),
        Deployments(systems),
    ]
    constraints += [DistinctTargets(distinct, DAY)] if distinct else []
    constraints += [TargetChurn(churn, HOUR)] if churn else []
    return Terms(
        licence=name,
        customer=customer,
        issuer=DOMAIN,
        revision=revision,
        issued_at=now,
        not_before=now,
        not_after=now + term,
        product="locator",
        category="moderate",
        policy_version="test",
        lineage=name,
        constraints=tuple(constraints),
    )


def target(number: int) -> bytes:
    return sha256(b"target %d" % number).digest()


def wish(number: int, *, region: str = "AT", purpose: str = PURPOSE, ends: Instant = 0) -> Acquisition:
    """Asks for target number."""
    claims = (RegionClaim(region, Basis.NUMBER_PLAN),)
    reference = "order 1" if ends else ""
    return Acquisition(target(number), claims, purpose, authorisation=reference, authorisation_end=ends)
