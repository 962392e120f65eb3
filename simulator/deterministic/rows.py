"""What an auditor reads in licd's durable rows: licences and the overlays about them, leases, the log. Plain SQL."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from licd.server.inprocess import MemoryDatabase
from licd.v1 import licence_pb2, overlay_pb2
from licd.v1.envelope_pb2 import Envelope
from simulator.clock import Instant, Millis


@dataclass(frozen=True, slots=True)
class LicenceRow:
    """A licence as it is durable: its signed terms, and within them what signed overlays about it leave."""

    licence: str
    status: str
    epoch: int
    revision: int
    cap: int
    length: Millis
    grace: Millis
    begins: Instant
    ends: Instant
    withdrawn: bool
    """An authority has said that nothing is permitted."""

    @property
    def stopped(self) -> bool:
        """Whether nobody may have a permit, for as long as nothing changes."""
        return self.withdrawn or self.status in {"suspended", "terminated"}


def licences(database: MemoryDatabase) -> list[LicenceRow]:
    """Every licence."""
    bound = tuple(
        (str(status), bytes(token))
        for status, token in database.look("SELECT status, token FROM overlay WHERE status <> 'lifted' ORDER BY id")
    )
    found = database.look("SELECT id, status, epoch, token FROM licence ORDER BY id")
    return [_licence(str(name), str(status), int(epoch), bytes(token), bound) for name, status, epoch, token in found]


@lru_cache(maxsize=64)
def _licence(name: str, status: str, epoch: int, token: bytes, overlays: tuple[tuple[str, bytes], ...]) -> LicenceRow:
    """Kept: after each commit the same few tokens are read."""
    terms = licence_pb2.LicenceTerms.FromString(Envelope.FromString(token).payload)
    about = [(each, said) for each, raw in overlays if _is_about(said := _said(raw), name, terms)]
    limits = [*terms.constraints, *(limit for _, said in about for limit in said.constraints)]
    return LicenceRow(
        licence=name,
        status=status,
        epoch=epoch,
        revision=terms.revision,
        cap=min(each.concurrent_targets.limit for each in limits if each.HasField("concurrent_targets")),
        length=min(each.permit_length.length_ms for each in limits if each.HasField("permit_length")),
        grace=min(each.offline_grace.grace_ms for each in limits if each.HasField("offline_grace")),
        begins=max([terms.not_before_ms, *(said.not_before_ms for _, said in about)]),
        ends=min([terms.not_after_ms, *(said.not_after_ms for _, said in about)]),
        withdrawn=any(each == "withdrawn" for each, _ in about),
    )


@lru_cache(maxsize=64)
def _said(token: bytes) -> overlay_pb2.OverlayTerms:
    return overlay_pb2.OverlayTerms.FromString(Envelope.FromString(token).payload)


def _is_about(said: overlay_pb2.OverlayTerms, licence: str, terms: licence_pb2.LicenceTerms) -> bool:
    mine = said.licence in {"", licence} and said.product in {"", terms.product}
    return mine and said.customer == terms.customer


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
