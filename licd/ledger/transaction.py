"""What a command sees while it is decided: working copies, rows, the time, and where to note what it did."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar, runtime_checkable

from licd.core.bounds import Timing
from licd.core.errors import Behind, DiskFull, LicdError, NotFound
from licd.core.gate import OPEN, Gate
from licd.core.model import Customer, Directive, Entry, FieldValue
from licd.core.reasons import Denied
from licd.core.state import Changes, LicenceState
from licd.core.time import Instant, Millis
from licd.keys.signer import Signer
from licd.ledger.database import Connection
from licd.ledger.load import load_state
from licd.ledger.records import IssuedDirective
from licd.ledger.rows import BY_KIND, CUSTOMERS, DEPLOYMENTS, Rows
from licd.ledger.sharing import Turns
from licd.wire.session import directive_payload

T = TypeVar("T")
R_co = TypeVar("R_co", covariant=True)

STATES_KEPT: Final = 20_000


@dataclass(frozen=True, slots=True)
class Installation:
    """What is the same for every decision of this installation.

    licence_signer chooses who signs a licence now, bundle_version says which trust bundle is the newest. advise
    completes a denial with what policy says about asking again; signs tells whether the key that signs replies now does
    so for what is decided at an instant. Of what was answered before reconciled_at something is
    known to be lost. answered is the highest epoch of each licence that is known to have been answered when licd
    started; silent_since the instant from which on nothing was granted that its rows do not hold, 0: unknown. gate is
    what policy asks before a right is made, lengthened or widened.
    """

    trust_domain: str
    timing: Timing
    licence_signer: Callable[[], Signer]
    bundle_version: Callable[[], int]
    force_release_cool_down: Millis
    advise: Callable[[Denied, Instant], Denied]
    signs: Callable[[Instant], bool]
    reconciled_at: Instant = 0
    answered: Mapping[str, int] = field(default_factory=dict)
    silent_since: Instant = 0
    gate: Gate = OPEN


class Command(Protocol[R_co]):
    """One thing asked of the ledger. run decides and writes through the transaction, and does no other I/O.

    grants: it may give a right, so it is refused while the clock is in doubt, the disk full or licd behind.
    urgent: it goes before everything that waits.
    """

    @property
    def grants(self) -> bool:
        """Whether it may give a right."""
        ...

    @property
    def urgent(self) -> bool:
        """Whether it goes before everything that waits."""
        ...

    def run(self, tx: Transaction, /) -> R_co:
        """Decides and writes, through the transaction alone."""
        ...


ANYTHING: Final = None
NOTHING: Final = ""


@runtime_checkable
class Confined(Protocol):
    """A command that says beforehand whose rows it looks at, so that replicas need not wait for each other.

    within: the deployment whose licence alone it reads and writes; NOTHING: no rows of licences; ANYTHING: it might.
    """

    @property
    def within(self) -> str | None:
        """A deployment, NOTHING or ANYTHING."""
        ...


class Seeking(Protocol):
    """A command that says beforehand which row it will look for, so that a batch looks for all of them at once.

    What it names has not been judged: it must be something that any database takes, or None, for else the batch fails.
    """

    @property
    def sought(self) -> tuple[Rows[Any], tuple[Any, ...]] | None:
        """Where, and by which key."""
        ...


def within(command: Command[Any]) -> str | None:
    """The deployment whose licence alone a command looks at, NOTHING or ANYTHING."""
    found: str | None = getattr(
        command, "within", ANYTHING
    )  # asked of every command: isinstance costs 20 times as much
    return found


def confined_to(commands: Iterable[Command[Any]]) -> set[str] | None:
    """The deployments whose licences alone these commands look at; None when one of them may look at anything."""
    found: set[str] = set()
    for command in commands:
        deployment = within(command)
        if deployment is ANYTHING:
            return None
        found.add(deployment)
    return found - {NOTHING}


@dataclass(slots=True)
class Committed:
    """What a batch has made durable, for those who push and index. decided_at is the batch's time."""

    rows: list[Any] = field(default_factory=list)
    directives: list[IssuedDirective] = field(default_factory=list)
    entries: int = 0
    log_size: int = 0
    decided_at: Instant = 0


class States:
    """Working copies of licences, kept between batches; dropped whenever they might differ from the rows."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, LicenceState] = OrderedDict()
        self._left: dict[str, int] = {}
        self.licence_of: dict[str, str] = {}

    def get(self, licence: str, turn: int) -> LicenceState | None:
        """The kept copy, now the most recently used; turn is the batch's at this licence (licd.ledger.sharing).

        None when somebody else has taken a turn since: his changes are not in the copy.
        """
        found = self._kept.get(licence)
        if found is None or self._left[licence] != turn - 1:
            return None
        self._kept.move_to_end(licence)
        return found

    def keep(self, state: LicenceState, turn: int) -> None:
        """Keeps a copy that was made in this turn."""
        self._kept[state.licence.id] = state
        self._left[state.licence.id] = turn - 1

    def leave(self, taken: Mapping[str, int]) -> None:
        """The batch that took these turns is durable: its copies hold what it did, others are outdated."""
        for licence, turn in taken.items():
            if licence not in self._kept:
                continue
            if self._left[licence] == turn - 1:
                self._left[licence] = turn
            else:
                self.drop(licence)

    def trim(self) -> None:
        """Lets the least recently used go; only between batches."""
        while len(self._kept) > STATES_KEPT:
            licence, _ = self._kept.popitem(last=False)
            del self._left[licence]

    def drop(self, licence: str) -> None:
        """Forgets one copy: it may differ from the rows."""
        if self._kept.pop(licence, None) is not None:
            del self._left[licence]

    def clear(self) -> None:
        """Forgets all copies."""
        self._kept.clear()
        self._left.clear()
        self.licence_of.clear()

    def __iter__(self) -> Any:
        return iter(list(self._kept.values()))


class Transaction:
    """One batch's transaction. Commands run in it one after the other; a failed one leaves nothing behind."""

    def __init__(
        self,
        connection: Connection,
        states: States,
        turns: Turns,
        installation: Installation,
        now: Instant,
        random: Callable[[int], bytes],
        impediment: Callable[[], LicdError | None] = lambda: None,
        behind: Callable[[], str] = str,
    ) -> None:
        self.connection: Final = connection
        self.installation: Final = installation
        self.now: Final = now
        self.random: Final = random
        self.impediment: Final = impediment
        self.behind: Final = behind
        self._states: Final = states
        self._turns: Final = turns
        self._touched: dict[str, LicenceState] = {}
        self._own = Changes()
        self._pending: dict[tuple[type, Any], Any] = {}
        self._own_pending: dict[tuple[type, Any], Any] = {}
        self._looked_up: dict[tuple[type, Any], Any] = {}
        self.entries: list[Entry] = []
        self.done = Committed()
        self.wrote = False

    def refuse_impeded(self) -> None:
        """Raises why nothing may be granted now: ClockDoubted, DiskFull, Behind."""
        impediment = self.impediment()
        if impediment is not None:
            raise impediment

    def refuse_behind(self) -> None:
        """Raises Behind: for what gives no right, stops nothing, and would be told of rows that are not the last."""
        why = self.behind()
        if why:
            raise Behind(why)

    def refuse_full(self) -> None:
        """Raises DiskFull while licd runs on its reserve: that is for what stops somebody, and for nothing else."""
        impediment = self.impediment()
        if isinstance(impediment, DiskFull):
            raise impediment

    # what a command reads

    def state(self, licence: str) -> LicenceState:
        """The working copy of a licence. Raises NotFound."""
        found = self._touched.get(licence)
        if found is None:
            turn = self._turns.number(licence)
            found = self._touched[licence] = self._states.get(licence, turn) or self._loaded(licence, turn)
        return found

    def _loaded(self, licence: str, turn: int) -> LicenceState:
        self.flush()
        found = load_state(self.connection, licence, self.now, self.installation.timing)
        if found is None:
            raise NotFound(f"there is no licence {licence}", field="licence")
        found.answered = self.installation.answered.get(licence, 0)
        self._states.keep(found, turn)
        return found

    def state_of(self, deployment: str) -> LicenceState:
        """The working copy of the licence a deployment belongs to. Raises NotFound."""
        licence = self._states.licence_of.get(deployment)
        if licence is None:
            found = self.get(DEPLOYMENTS, deployment)
            if found is None:
                raise NotFound(f"there is no deployment {deployment}", field="deployment")
            licence = self._states.licence_of[deployment] = found.licence
        return self.state(licence)

    def get(self, rows: Rows[T], *key: Any) -> T | None:
        """A row as this transaction sees it."""
        marker = _marker(rows, key)
        for known in (self._own_pending, self._pending, self._looked_up):
            if marker in known:
                return known[marker]  # type: ignore[no-any-return]
        return rows.get(self.connection, *key)

    def look_up(self, commands: Iterable[Command[Any]]) -> None:
        """Reads what the commands say that they will look for, all rows of a kind at once."""
        sought: dict[Rows[Any], dict[tuple[Any, ...], None]] = {}
        for command in commands:
            named: tuple[Rows[Any], tuple[Any, ...]] | None = getattr(command, "sought", None)
            if named is not None:
                sought.setdefault(named[0], {})[named[1]] = None
        for rows, keys in sought.items():
            found = rows.get_all(self.connection, list(keys))
            self._looked_up.update((_marker(rows, key), found.get(key)) for key in keys)

    def customer(self, customer: str) -> Customer:
        """Raises NotFound."""
        found = self.get(CUSTOMERS, customer)
        if found is None:
            raise NotFound(f"there is no customer {customer}", field="customer")
        return found

    # what a command does

    def put(self, value: Any) -> None:
        """Writes a row."""
        rows = BY_KIND[type(value)]
        self._own_pending[type(value), rows.key_of(value)] = value

    def remove(self, rows: Rows[Any], *key: Any) -> None:
        """Deletes a row at once, whatever becomes of the command: for what is over and decides nothing any more."""
        rows.remove(self.connection, *key)
        self._looked_up.pop(_marker(rows, key), None)
        self.wrote = True

    def log(self, kind: str, *fields: tuple[str, FieldValue]) -> None:
        """Adds an entry that belongs to no licence's state."""
        self._own.entries.append(Entry(kind, fields))

    def adopt(self, state: LicenceState) -> None:
        """Takes a licence that this command has just made."""
        self._states.keep(state, self._turns.number(state.licence.id))
        self._touched[state.licence.id] = state

    def random_id(self) -> int:
        """A fresh positive 63-bit number."""
        return int.from_bytes(self.random(8), "big") >> 1 or 1

    # what the ledger does around a command

    def accept(self) -> None:
        """Takes what the command did into the batch."""
        for state in self._touched.values():
            self._take(state.take_changes(), state)
            if state.is_short:
                self._states.drop(state.licence.id)
        self._take(self._own, None)
        self._pending.update(self._own_pending)
        self.done.rows.extend(self._own_pending.values())
        self._reset_own()

    def refuse(self) -> None:
        """Throws away what the command did. Copies that it changed are read anew, after what was accepted before.

        Those that it only looked at stay: else a frame that is dropped would cost what reading the licence does.
        """
        changed = [licence for licence, state in self._touched.items() if state.has_changes]
        if changed:
            self.flush()
        for licence in changed:
            self._states.drop(licence)
        self._reset_own()

    def reread(self) -> None:
        """Rows were changed below the working copies: each is read anew when it is needed."""
        self.flush()
        self._states.clear()
        self._touched = {}
        self._looked_up = {}
        self.wrote = True

    def _reset_own(self) -> None:
        self._touched = {}
        self._own = Changes()
        self._own_pending = {}

    def _take(self, changes: Changes, state: LicenceState | None) -> None:
        self.entries.extend(changes.entries)
        for row in changes.rows:
            value = self._issued(row, state) if isinstance(row, Directive) and state is not None else row
            self._pending[type(value), BY_KIND[type(value)].key_of(value)] = value
            self.done.rows.append(value)

    def _issued(self, directive: Directive, state: LicenceState) -> IssuedDirective:
        system = f"customer/{state.licence.customer}/system/{directive.deployment}" if directive.deployment else ""
        issued = IssuedDirective(
            licence=directive.licence,
            epoch=directive.epoch,
            kind=directive.kind.value,
            decided_at=directive.decided_at,
            reason_code=directive.reason_code,
            detail=directive.detail,
            leases=",".join(str(lease) for lease in directive.leases),
            deployment=directive.deployment,
            payload=directive_payload(directive, self.installation.trust_domain, system),
        )
        self.done.directives.append(issued)
        return issued

    def flush(self) -> None:
        """Writes every accepted row into the open transaction."""
        by_kind: dict[type, list[Any]] = {}
        for (kind, _), value in self._pending.items():
            by_kind.setdefault(kind, []).append(value)
        for kind, values in by_kind.items():
            BY_KIND[kind].put(self.connection, values)
            self.wrote = True
        for marker in self._looked_up.keys() & self._pending.keys():
            self._looked_up[marker] = self._pending[marker]
        self._pending.clear()


def _marker(rows: Rows[Any], key: tuple[Any, ...]) -> tuple[type, Any]:
    return rows.kind, key[0] if len(key) == 1 else key
