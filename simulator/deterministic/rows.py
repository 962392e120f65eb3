"""What an auditor reads in licd's durable rows: licences, systems, leases, the leaves of the log. Plain SQL."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from licd.server.inprocess import MemoryDatabase
from licd.v1 import licence_pb2
from licd.v1.envelope_pb2 import Envelope
from simulator.clock import Instant, Millis


@dataclass(frozen=True, slots=True)
class LicenceRow:
    """A licence as it is durable, its terms read from the signed token."""

    licence: str
    status: str
    epoch: int
    revision: int
    cap: int
    length: Millis
    grace: Millis
    begins: Instant
    ends: Instant


def licences(database: MemoryDatabase) -> list[LicenceRow]:
    """Every licence."""
    found = database.look("SELECT id, status, epoch, token FROM licence ORDER BY id")
    return [_licence(str(name), str(status), int(epoch), bytes(token)) for name, status, epoch, token in found]


@lru_cache(maxsize=64)
def _licence(name: str, status: str, epoch: int, token: bytes) -> LicenceRow:
    """Kept: after each commit the same few tokens are read."""
    terms = licence_pb2.LicenceTerms.FromString(Envelope.FromString(token).payload)
    by_kind = {each.WhichOneof("kind"): each for each in terms.constraints}
    return LicenceRow(
        licence=name,
        status=status,
        epoch=epoch,
        revision=terms.revision,
        cap=by_kind["concurrent_targets"].concurrent_targets.limit,
        length=by_kind["permit_length"].permit_length.length_ms,
        grace=by_kind["offline_grace"].offline_grace.grace_ms,
        begins=terms.not_before_ms,
        ends=terms.not_after_ms,
    )


def leaves(database: MemoryDatabase) -> list[bytes]:
    """The log's leaf hashes, in order."""
    return [bytes(each) for (each,) in database.look('SELECT leaf_hash FROM log_entry ORDER BY "index"')]


def leases(database: MemoryDatabase) -> set[int]:
    """The numbers of all leases, ended ones included."""
    return {int(each) for (each,) in database.look("SELECT id FROM lease")}


def entries(database: MemoryDatabase, kind: str) -> int:
    """How many entries of a kind the log has."""
    return int(database.look("SELECT count(*) FROM log_entry WHERE kind = ?", (kind,))[0][0])


def fenced(database: MemoryDatabase) -> set[str]:
    """The systems that count as forked."""
    return {str(each) for (each,) in database.look("SELECT id FROM deployment WHERE status = 'fenced'")}


def boot_compared(database: MemoryDatabase) -> str:
    """The start of licd's machine in which its clocks were last written down."""
    return "".join(str(each) for (each,) in database.look("SELECT boot_id FROM clock_anchor"))
