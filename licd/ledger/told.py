"""Do the rows that give rights say what the log says of them last? A row changed behind licd's back is no decision.

The log's entries are read once at each start anyway; of those that change a right what they say is kept by subject,
the later over the earlier, and compared with the rows. That costs one value for each subject, however long the log.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import Table, select

from licd.evidence.entry import Entry, ErasedField
from licd.ledger import tables
from licd.ledger.database import Connection, Prepared
from licd.v1.envelope_pb2 import Envelope

HASHED: Final = frozenset({"token"})


class FactErased(Exception):
    """What an entry changed can be erased as little as the change: a row could then say anything."""


@dataclass(frozen=True, slots=True)
class Says:
    """What an entry says of one subject: facts that its kind alone says, and columns that its fields say."""

    table: Table
    named: str
    facts: Mapping[str, bytes] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)


def _licence(status: str = "", *fields: str) -> Says:
    facts = {"status": status.encode()} if status else {}
    return Says(tables.licence, "licence", facts, {name: name for name in ("epoch", *fields)})


def _deployment(status: str, facts: Mapping[str, bytes], **fields: str) -> Says:
    return Says(tables.deployment, "system", {"status": status.encode(), **facts}, fields)


_KEYS: Final = {"system_key": "key", "channel_key_hash": "channel_key", "enrolment": "enrolment"}
_NO_KEYS: Final = {"system_key": b"", "channel_key_hash": b""}

SAYS: Final[Mapping[str, tuple[Says, ...]]] = {
    "customer.created": (Says(tables.customer, "customer", {"banned": b"0"}),),
    "customer.banned": (Says(tables.customer, "customer", {"banned": b"1"}),),
    "customer.unbanned": (Says(tables.customer, "customer", {"banned": b"0"}),),
    "licence.issued": (_licence("active", "customer", "token"),),
    "licence.suspended": (_licence("suspended"),),
    "licence.reinstated": (_licence("active"),),
    "licence.terminated": (_licence("terminated"),),
    "licence.drilled": (_licence(),),
    "licence.amended": (_licence("", "token"),),
    "licence.renewed": (_licence("", "token"),),
    "licence.resealed": (_licence("", "token"),),
    "licence.expired": (_licence("", "expired_at"),),
    "licence.extended": (_licence("", "expired_at"),),
    "licence.reconciled": (_licence(),),
    "lease.force-released": (_licence(),),
    "deployment.invited": (_deployment("invited", {}, licence="licence"),),
    "deployment.reinvited": (_deployment("invited", _NO_KEYS),),
    "deployment.enrolled": (_deployment("enrolled", {}, **_KEYS),),
    "deployment.revoked": (_deployment("revoked", {}), _licence()),
    "deployment.fenced": (_deployment("fenced", {}), _licence()),
    "authority.registered": (
        Says(
            tables.authority,
            "authority",
            {"withdrawn_at": b"0"},
            {"kind": "ground", "jurisdiction": "jurisdiction", "public_key": "key"},
        ),
    ),
    "authority.withdrawn": (Says(tables.authority, "authority", {}, {"withdrawn_at": "withdrawn_at"}),),
    "contact.registered": (
        Says(tables.contact, "contact", {"withdrawn_at": b"0"}, {"customer": "customer", "public_key": "key"}),
    ),
    "contact.withdrawn": (Says(tables.contact, "contact", {}, {"withdrawn_at": "withdrawn_at"}),),
    "overlay.lodged": (
        Says(
            tables.overlay,
            "overlay",
            {},
            {name: name for name in ("authority", "customer", "revision", "status", "ended_at", "token")},
        ),
    ),
    "overlay.withdrawn": (Says(tables.overlay, "overlay", {"status": b"withdrawn"}, {"ended_at": "ended_at"}),),
    "overlay.expired": (Says(tables.overlay, "overlay", {"status": b"expired"}, {"ended_at": "ended_at"}),),
    "licence.overlaid": (_licence(),),
    "operator.added": (
        Says(
            tables.operator,
            "operator",
            {"enabled": b"1"},
            {"roles": "roles", "public_key": "key", "channel_key_hash": "channel_key"},
        ),
    ),
    "operator.disabled": (Says(tables.operator, "operator", {"enabled": b"0"}),),
}
"""Every kind of entry that changes what a row of rights says."""

SILENT: Final = frozenset(
    {"licence.gap", "licence.item-met", "licence.lost", "deployment.forked", "deployment.invitation-expired"}
)
"""Kinds about such subjects that change nothing in their rows."""

COMPARED: Final = (
    tables.customer,
    tables.licence,
    tables.deployment,
    tables.operator,
    tables.authority,
    tables.overlay,
    tables.contact,
)


_WHOLE: Final = {table.name: Prepared(partial(select, *table.columns)) for table in COMPARED}


class Told:
    """What the entries taken so far say last."""

    def __init__(self) -> None:
        self._said: Final[dict[str, dict[str, dict[str, bytes]]]] = {table.name: {} for table in COMPARED}

    def take(self, kind: str, entry: Entry) -> None:
        """Takes the next entry of the log. Raises FactErased."""
        for says in SAYS.get(kind, ()):
            subject = self._said[says.table.name].setdefault(_value(entry, says.named).decode(), {})
            subject.update(says.facts)
            for column, name in says.fields.items():
                subject[column] = _kept(column, _value(entry, name))

    def contradicted(self, connection: Connection) -> Iterator[str]:
        """Each row that says something else than the log, that the log does not know, or that is gone."""
        for table in COMPARED:
            said = dict(self._said[table.name])
            for row in _rows(connection, table):
                name = str(row["id"])
                told = said.pop(name, None)
                yield from _differences(table, name, row, told)
            for name in said:
                yield f"the log tells of {table.name} {name}, and there is no row of it"


def _value(entry: Entry, name: str) -> bytes:
    found = entry.field(name)
    if isinstance(found, ErasedField):
        raise FactErased(f"its {name} is erased, and nobody can say what it changed")
    return found.value if found else b""


def _kept(column: str, value: bytes) -> bytes:
    return sha256(value).digest() if column in HASHED else value


def _bytes(found: Any) -> bytes:
    """A column's value as entries write it, whichever database it comes from."""
    if isinstance(found, bytes):
        return found
    return str(int(found) if isinstance(found, bool) else found).encode()


def _rows(connection: Connection, table: Table) -> Iterator[dict[str, Any]]:
    names = [column.name for column in table.columns]
    for row in _WHOLE[table.name].rows(connection):
        yield dict(zip(names, row, strict=True))


def _differences(table: Table, name: str, row: Mapping[str, Any], told: Mapping[str, bytes] | None) -> Iterator[str]:
    what = f"the row of {table.name} {name}"
    if told is None:
        yield f"{what} is not in the log"
        return
    for column, wanted in told.items():
        found = row[column]
        value = _kept(column, _bytes(found))
        if value != wanted:
            shown = "other bytes" if isinstance(found, bytes) or column in HASHED else repr(found)
            said = "" if shown == "other bytes" else f" {wanted.decode(errors='replace')!r}"
            yield f"{what} has {column} {shown}, and the log says{said or ' what it was'}"
    if table in {tables.licence, tables.overlay} and Envelope.FromString(row["token"]).payload != row["terms"]:
        yield f"{what} has terms that are not those of its signed token"
