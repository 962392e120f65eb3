"""Values ⇄ rows: one mapping for every aggregate, columns in the order of the value's fields."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, replace
from operator import attrgetter
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import (
    ARRAY,
    Column,
    Select,
    Table,
    TableValuedAlias,
    bindparam,
    cast,
    delete,
    func,
    literal_column,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import insert as upsert_postgresql
from sqlalchemy.dialects.sqlite import insert as upsert_sqlite
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.sql.elements import ColumnElement

from licd.core.allegation import (
    Allegation,
    AllegationCase,
    AllegationMessage,
    AllegationState,
    Disclosure,
    NumberKey,
    ReporterIdentity,
    Side,
)
from licd.core.case import Case, CaseState, CaseStep, StepState
from licd.core.condition import Condition
from licd.core.gate import Assessment, ChecklistItem, ItemState
from licd.core.model import Customer, Deployment, DeploymentStatus, Lease, Licence, LicenceStatus, Session
from licd.core.overlay import Overlay, OverlayStatus
from licd.core.reinstatement import ReinstatementItem
from licd.core.terms import Basis
from licd.ledger import allegation_tables, signal_tables, tables
from licd.ledger.database import Connection, Row, Statement
from licd.ledger.records import (
    Acknowledged,
    Answered,
    Approval,
    ApprovalStatus,
    Authority,
    AuthorityKind,
    Contact,
    DenialTally,
    Fork,
    IssuedDirective,
    LogCheckpoint,
    LoggedEntry,
    LogHead,
    Operator,
    Review,
    RulesAsked,
    Signal,
    StoredBundle,
    StoredIndicators,
    Suspension,
    SuspensionSystem,
)
from licd.ledger.timekeeper import ClockAnchor
from licd.v1.envelope_pb2 import Envelope
from licd.wire.overlay import overlay_from_payload
from licd.wire.terms import terms_from_payload, terms_payload

T = TypeVar("T")
Convert = tuple[Callable[[Any], Any], Callable[[Any], Any]]


class Rows(Generic[T]):
    """How values of one type are kept in one table. to_row and from_row convert the fields that need it."""

    def __init__(self, table: Table, kind: type[T], convert: dict[str, Convert] | None = None) -> None:
        names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
        if names != [column.name for column in table.columns]:
            raise TypeError(f"{kind.__name__} and table {table.name} differ in their fields")
        self.table: Final = table
        self.kind: Final = kind
        self._get: Final = attrgetter(*names)
        self._convert: Final = [(names.index(name), *pair) for name, pair in (convert or {}).items()]
        self.key_of: Final = attrgetter(*[column.name for column in table.primary_key.columns])
        self._statements: dict[tuple[str, str], Statement] = {}

    def to_row(self, value: T) -> Row:
        """The parameters of an upsert."""
        row = self._get(value)
        if not self._convert:
            return row
        changed = list(row)
        for index, outwards, _ in self._convert:
            changed[index] = outwards(changed[index])
        return tuple(changed)

    def from_row(self, row: Sequence[Any]) -> T:
        """The value of a row read with every column."""
        if not self._convert:
            return self.kind(*row)
        changed = list(row)
        for index, _, inwards in self._convert:
            changed[index] = inwards(changed[index])
        return self.kind(*changed)

    def put(self, connection: Connection, values: Iterable[T]) -> None:
        """Writes values, replacing rows of the same key."""
        connection.executemany(self._prepared("put", connection.dialect).text, [self.to_row(each) for each in values])

    def get(self, connection: Connection, *key: Any) -> T | None:
        """The value of that key."""
        found = connection.execute(self._prepared("get", connection.dialect).text, key)
        return self.from_row(found[0]) if found else None

    def get_all(self, connection: Connection, keys: Sequence[tuple[Any, ...]]) -> dict[tuple[Any, ...], T]:
        """The values of those of the keys that there are; on a server of its own in one exchange with it."""
        if connection.dialect.name == "sqlite":
            text = self._prepared("get", connection.dialect).text
            found = [row for key in keys for row in connection.execute(text, key)]
        else:
            text = self._prepared("get_all", connection.dialect).text
            found = connection.execute(text, [list(column) for column in zip(*keys, strict=True)])
        values = map(self.from_row, found)
        return {key if type(key := self.key_of(value)) is tuple else (key,): value for value in values}

    def remove(self, connection: Connection, *key: Any) -> None:
        """Deletes the row of that key."""
        connection.execute(self._prepared("remove", connection.dialect).text, key)

    def find(self, connection: Connection, name: str, where: Callable[[], Select[Any]], **given: Any) -> list[T]:
        """The values a named selection finds; it is built and compiled once. given are its bind parameters."""
        key = (name, connection.dialect.name)
        statement = self._statements.get(key)
        if statement is None:
            statement = self._statements[key] = Statement(where(), connection.dialect)
        return [self.from_row(row) for row in connection.execute(statement.text, statement.arguments(given))]

    def where(self, connection: Connection, *conditions: ColumnElement[bool]) -> list[T]:
        """The values of which the conditions hold, in the order of their key; compiled each time, for cold roads."""
        clause = self.select(*conditions).order_by(*self.table.primary_key.columns)
        statement = Statement(clause, connection.dialect)
        return [self.from_row(row) for row in connection.execute(statement.text, statement.arguments({}))]

    def select(self, *conditions: ColumnElement[bool]) -> Select[Any]:
        """A selection of whole rows."""
        return select(*self.table.columns).where(*conditions)

    def _prepared(self, what: str, dialect: Dialect) -> Statement:
        key = (what, dialect.name)
        found = self._statements.get(key)
        if found is None:
            found = self._statements[key] = Statement(self._build(what, dialect), dialect)
        return found

    def _build(self, what: str, dialect: Dialect) -> Any:
        same_key = [column == bindparam(f"key_{column.name}") for column in self.table.primary_key.columns]
        match what:
            case "get":
                return self.select(*same_key)
            case "get_all":
                return self._select_keys()
            case "remove":
                return delete(self.table).where(*same_key)
            case _:
                return self._upsert(dialect)

    def _select_keys(self) -> Any:
        """On PostgreSQL: the rows of as many keys as the arrays hold.

        Each is looked for by itself (a LATERAL with a limit): joined freely, the planner may well read the whole table.
        """
        keys = list(self.table.primary_key.columns)
        wanted = _unnested(keys)
        same = [column == wanted.c[column.name] for column in keys]
        each = select(*self.table.columns).where(*same).limit(literal_column("1")).lateral("found")
        return select(*each.columns).select_from(wanted.join(each, true()))

    def _upsert(self, dialect: Dialect) -> Any:
        """On SQLite for one row, on PostgreSQL for as many as the arrays of its columns hold."""
        columns = list(self.table.columns)
        keys = list(self.table.primary_key.columns)
        statement: Any
        if dialect.name == "sqlite":
            statement = upsert_sqlite(self.table).values({column.name: bindparam(column.name) for column in columns})
        else:
            names = [column.name for column in columns]
            statement = upsert_postgresql(self.table).from_select(names, select(_unnested(columns)))
        rest = {column.name: statement.excluded[column.name] for column in columns if column not in keys}
        return statement.on_conflict_do_update(index_elements=keys, set_=rest)


def _unnested(columns: Sequence[Column[Any]]) -> TableValuedAlias:
    """On PostgreSQL: one array for each column, as rows."""
    arrays = [cast(bindparam(column.name), ARRAY(type(column.type)())) for column in columns]
    return func.unnest(*arrays).table_valued(*[column.name for column in columns]).render_derived(name="given")


class OverlayRows(Rows[Overlay]):
    """Overlays beside the very payload that their authority has signed, in whatever order it names its sets."""

    def to_row(self, value: Overlay) -> Row:
        """With the payload of the token for its terms."""
        return super().to_row(replace(value, terms=Envelope.FromString(value.token).payload))  # type: ignore[arg-type]


def _as(kind: Callable[[Any], Any], outwards: Callable[[Any], Any] = str) -> Convert:
    return (outwards, kind)


CUSTOMERS: Final = Rows(tables.customer, Customer, {"banned": _as(bool, bool)})
LICENCES: Final = Rows(
    tables.licence, Licence, {"status": _as(LicenceStatus), "terms": (terms_payload, terms_from_payload)}
)
DEPLOYMENTS: Final = Rows(tables.deployment, Deployment, {"status": _as(DeploymentStatus)})
SESSIONS: Final = Rows(tables.session, Session)
LEASES: Final = Rows(tables.lease, Lease, {"basis": _as(Basis, int), "attached": _as(bool, bool)})
DIRECTIVES: Final = Rows(tables.directive, IssuedDirective)
ACKNOWLEDGEMENTS: Final = Rows(tables.acknowledgement, Acknowledged)
SUSPENSIONS: Final = Rows(tables.suspension, Suspension)
SUSPENSION_SYSTEMS: Final = Rows(tables.suspension_system, SuspensionSystem)
FORKS: Final = Rows(tables.fork, Fork)
APPROVALS: Final = Rows(tables.approval, Approval, {"status": _as(ApprovalStatus)})
OPERATORS: Final = Rows(tables.operator, Operator, {"enabled": _as(bool, bool)})
ANSWERED: Final = Rows(tables.answered, Answered)
DENIAL_TALLIES: Final = Rows(tables.denial_tally, DenialTally)
TRUST_BUNDLES: Final = Rows(tables.trust_bundle, StoredBundle)
LOG_ENTRIES: Final = Rows(tables.log_entry, LoggedEntry)
LOG_HEADS: Final = Rows(tables.log_head, LogHead)
LOG_CHECKPOINTS: Final = Rows(tables.log_checkpoint, LogCheckpoint)
CLOCK_ANCHORS: Final = Rows(tables.clock_anchor, ClockAnchor)
INDICATORS: Final = Rows(tables.indicators, StoredIndicators)
ASSESSMENTS: Final = Rows(tables.assessment, Assessment)
CHECKLIST_ITEMS: Final = Rows(tables.checklist_item, ChecklistItem, {"state": _as(ItemState)})
REVIEWS: Final = Rows(tables.review, Review)
CONTACTS: Final = Rows(tables.contact, Contact)
CONDITIONS: Final = Rows(tables.condition, Condition)
REINSTATEMENT_ITEMS: Final = Rows(tables.reinstatement_item, ReinstatementItem)
AUTHORITIES: Final = Rows(tables.authority, Authority, {"kind": _as(AuthorityKind)})
OVERLAYS: Final = OverlayRows(
    tables.overlay, Overlay, {"status": _as(OverlayStatus), "terms": (bytes, overlay_from_payload)}
)
SIGNALS: Final = Rows(signal_tables.signal, Signal)
CASES: Final = Rows(signal_tables.case_file, Case, {"state": _as(CaseState)})
CASE_STEPS: Final = Rows(signal_tables.case_step, CaseStep, {"mandatory": _as(bool, bool), "state": _as(StepState)})
RULES_ASKED: Final = Rows(signal_tables.rules_asked, RulesAsked)
ALLEGATIONS: Final = Rows(
    allegation_tables.allegation, Allegation, {"identified": _as(bool, bool), "state": _as(AllegationState)}
)
REPORTER_IDENTITIES: Final = Rows(allegation_tables.reporter_identity, ReporterIdentity)
ALLEGATION_MESSAGES: Final = Rows(allegation_tables.allegation_message, AllegationMessage, {"side": _as(Side)})
ALLEGATION_CASES: Final = Rows(allegation_tables.allegation_case, AllegationCase)
DISCLOSURES: Final = Rows(allegation_tables.disclosure, Disclosure)
NUMBER_KEYS: Final = Rows(allegation_tables.number_key, NumberKey)

ALL: Final[tuple[Rows[Any], ...]] = (
    CUSTOMERS,
    LICENCES,
    DEPLOYMENTS,
    SESSIONS,
    LEASES,
    DIRECTIVES,
    ACKNOWLEDGEMENTS,
    SUSPENSIONS,
    SUSPENSION_SYSTEMS,
    FORKS,
    APPROVALS,
    OPERATORS,
    ANSWERED,
    DENIAL_TALLIES,
    TRUST_BUNDLES,
    LOG_ENTRIES,
    LOG_HEADS,
    LOG_CHECKPOINTS,
    CLOCK_ANCHORS,
    INDICATORS,
    ASSESSMENTS,
    CHECKLIST_ITEMS,
    REVIEWS,
    AUTHORITIES,
    OVERLAYS,
    CONTACTS,
    CONDITIONS,
    REINSTATEMENT_ITEMS,
    SIGNALS,
    RULES_ASKED,
    CASES,
    CASE_STEPS,
    ALLEGATIONS,
    REPORTER_IDENTITIES,
    ALLEGATION_MESSAGES,
    ALLEGATION_CASES,
    DISCLOSURES,
    NUMBER_KEYS,
)

BY_KIND: Final[dict[type, Rows[Any]]] = {rows.kind: rows for rows in ALL}
