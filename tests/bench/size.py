"""What an acquisition costs the ledger with few and with many live leases. In this one process: no network is in it.

The rows of most licences are copies, written past the ledger: what is measured is the cost of deciding and writing
among so many, and the log says nothing of those copies (a daemon would not start on such rows).
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Final

from licd.core.model import Lease
from licd.core.scope import Acquisition, RegionClaim
from licd.core.terms import Basis
from licd.core.time import HOUR
from licd.ledger.rows import DEPLOYMENTS, LEASES, LICENCES, SESSIONS
from licd.ledger.transaction import Command
from licd.ledger.verbs.answer_link import Reply
from licd.ledger.verbs.leases import AcquireLease, acquire_once
from tests.bench import clock
from tests.bench.measures import Measured
from tests.ledger.rig import PURPOSE, Rig
from tests.ledger.system import PaperSystem

SIZES: Final = (1_000, 10_000, 100_000, 1_000_000)
LEASES_EACH: Final = 10
BATCH: Final = 64
ROUNDS: Final = 25
WARMING: Final = 5
PORTION: Final = 20_000
MICROS: Final = 1e6
AT: Final = (RegionClaim("AT", Basis.NUMBER_PLAN),)


@dataclass(frozen=True, slots=True)
class Grown:
    """Microseconds for one acquisition by the number of live leases; warm: among licences that were asked before.

    smallest: of a ledger of the smallest size, in the same rounds as the largest.
    """

    warm: dict[int, float]
    any_licence: dict[int, float]
    smallest: float


class Vendor:
    """A ledger with a licence for every ten leases, and a system with its session open on each."""

    def __init__(self, folder: Path) -> None:
        self._rig = Rig(folder / "licd.db")
        self._chance = Random(1)
        self._licence = self._rig.licence("licence-0", cap=1_000_000)
        PaperSystem(self._rig, "system-0", self._licence).open()
        self.licences = 1
        self._rig.ask(*(self._ask(0) for _ in range(LEASES_EACH)))

    def grow(self, leases: int) -> None:
        """Copies the first licence with its system, session and leases until there are so many leases."""
        connection, wanted = self._rig.connection, leases // LEASES_EACH
        licence = LICENCES.get(connection, "licence-0")
        deployment = DEPLOYMENTS.get(connection, "system-0")
        session = SESSIONS.get(connection, "system-0")
        held = LEASES.where(connection, LEASES.table.c.licence == "licence-0")[:LEASES_EACH]
        assert licence is not None
        assert deployment is not None
        assert session is not None
        while self.licences < wanted:
            numbers = range(self.licences, min(wanted, self.licences + PORTION))
            names = [(f"licence-{n}", f"system-{n}") for n in numbers]
            terms = licence.terms
            connection.begin()
            LICENCES.put(
                connection,
                (replace(licence, id=a, lineage=a, terms=replace(terms, licence=a, lineage=a)) for a, _ in names),
            )
            DEPLOYMENTS.put(
                connection,
                (replace(deployment, id=b, licence=a, token_hash=b.encode(), system_key=b.encode()) for a, b in names),
            )
            SESSIONS.put(connection, (replace(session, deployment=b, licence=a) for a, b in names))
            LEASES.put(connection, self._copies(held, names))
            connection.commit()
            self.licences = numbers.stop

    def _copies(self, held: Sequence[Lease], names: Sequence[tuple[str, str]]) -> Iterator[Lease]:
        for licence, system in names:
            for lease in held:
                changed = {"id": self._chance.getrandbits(62), "target": clock.random(32)}
                yield replace(lease, licence=licence, lineage=licence, deployment=system, **changed)  # type: ignore[arg-type]

    def _ask(self, number: int) -> Command[Reply]:
        asked = Acquisition(clock.random(32), AT, PURPOSE, authorisation_end=0)
        ask = AcquireLease(f"system-{number}", asked, "127.0.0.1", self._request_id())
        return acquire_once(ask, f"customer/north/system/system-{number}", clock.random(32), HOUR)

    def _request_id(self) -> str:
        made = self._rig.clock.wall()
        return f"{made:012x}"[:8] + "-" + f"{made:012x}"[8:] + "-7000-8000-" + clock.random(6).hex()

    def batch(self, among: int) -> float:
        """Seconds for one acquisition, of a batch over so many licences at random."""
        commands = [self._ask(self._chance.randrange(among)) for _ in range(BATCH)]
        started = clock.seconds()
        outcomes = self._rig.ask(*commands)
        took = (clock.seconds() - started) / BATCH
        assert all(isinstance(each, Reply) and each.kind.value == "permit" for each in outcomes), outcomes[0]
        return took

    def close(self) -> None:
        """Ends it."""
        self._rig.close()


@contextmanager
def _vendor() -> Iterator[Vendor]:
    with tempfile.TemporaryDirectory(prefix="licd-bench-size-") as folder:
        vendor = Vendor(Path(folder))
        try:
            yield vendor
        finally:
            vendor.close()


def grown() -> Grown:
    """The figures at each size, in rounds that alternate with a ledger of the smallest size."""
    warm, anywhere, small = dict[int, float](), dict[int, float](), 0.0
    with _vendor() as vendor, _vendor() as smallest:
        smallest.grow(SIZES[0])
        few = smallest.licences
        for size in SIZES:
            vendor.grow(size)
            for _ in range(WARMING):
                vendor.batch(few)
                smallest.batch(few)
            rounds = [(vendor.batch(few), vendor.batch(vendor.licences), smallest.batch(few)) for _ in range(ROUNDS)]
            warm[size], anywhere[size], small = (statistics.median(each) * MICROS for each in zip(*rounds, strict=True))
    return Grown(warm, anywhere, small)


def acquire_at_1m_vs_1k(found: Grown) -> Measured:
    """Time for an acquisition with a million live leases over 100 000 licences against a thousand over a hundred."""
    largest = SIZES[-1]
    sides = {"1 000 in the same rounds": found.smallest}
    sides |= {f"{size:,}".replace(",", " "): took for size, took in found.warm.items()}
    sides |= {f"{size:,} any licence".replace(",", " "): took for size, took in found.any_licence.items()}
    ratio = found.warm[largest] / found.smallest
    note = "over licences that were asked before; 'any licence': over all of them, most read from the database first"
    return Measured("acquire_at_1m_vs_1k", ratio, 1.2, False, sides, "us", note)
