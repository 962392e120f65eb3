"""The only writer of its process: takes all waiting commands, decides them one after the other, commits once.

One bad command fails alone. A batch whose commit fails is tried again command by command, so that what poisoned it
fails by itself. An answer is given out only after the commit that made it durable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

import structlog

from licd.core.errors import Behind, ClockDoubted, DatabaseFailed, DiskFull, Held, LicdError
from licd.keys.hold import SigningHeld
from licd.ledger.database import FAILURES, Connection, is_full
from licd.ledger.following import Following
from licd.ledger.kept_seats import keep_seats
from licd.ledger.log import Log, LogKeeper, check_log, read_head
from licd.ledger.records import LogHead
from licd.ledger.rows import CLOCK_ANCHORS
from licd.ledger.sharing import Turns, Untaken, sharing_of
from licd.ledger.timekeeper import Clock, Reading, Timekeeper
from licd.ledger.transaction import (
    ANYTHING,
    NOTHING,
    Command,
    Committed,
    Installation,
    States,
    Transaction,
    confined_to,
    within,
)

logger = structlog.get_logger("licd.ledger")

SUSPECT_CLOCK: Final = 1000
ANCHOR_ID: Final = 1


class Reserve(Protocol):
    """Disk space set aside, so that a suspension can still be written when the disk is full."""

    def release(self) -> None:
        """Gives the space back to the file system."""
        ...

    def restore(self) -> bool:
        """Sets the space aside again; False while there is none."""
        ...


@dataclass(frozen=True, slots=True)
class BatchFigures:
    """What a batch cost, for the metrics. Times in nanoseconds of a clock that only measures.

    No commands: another replica's batches were seen, of which this one measured nothing.
    """

    commands: int
    entries: int
    commit_ns: int


class Observer(Protocol):
    """Told of every batch once it is durable, on the writing thread. Must not block."""

    def committed(self, done: Committed, figures: BatchFigures) -> None:
        """A batch is durable; its answers go out after this returns."""
        ...

    def failed(self, why: str) -> None:
        """A batch was not taken by the database."""
        ...


Outcome = Any


class Ledger:
    """The rows, the log and the clock of one daemon. execute() is not to be called from two threads at once."""

    def __init__(
        self,
        connection: Connection,
        installation: Installation,
        keeper: LogKeeper,
        clock: Clock,
        random: Callable[[int], bytes],
        reserve: Reserve,
        stopwatch: Callable[[], int],
        behind: str = "",
        followed: int = 0,
    ) -> None:
        """Checks the whole log against its checkpoint first. Raises LogRefused.

        behind says that these rows are older than what licd has answered already: it then starts read-only. followed is
        how many entries of the log the observers know already, where others write to it too.
        """
        self._connection: Final = connection
        self._installation: Final = installation
        self._keeper: Final = keeper
        self._random: Final = random
        self._reserve: Final = reserve
        self._stopwatch: Final = stopwatch
        self._observers: list[Observer] = []
        self._states: Final = States()
        with connection.snapshot():
            head = check_log(connection, keeper)
        self._log = Log(keeper, head)
        self._sharing: Final = sharing_of(connection, keeper)
        self._following: Final = Following(connection, stopwatch, followed)
        self.timekeeper: Final = self._timekeeper(clock, head)
        self._disk_full = False
        self._behind = behind
        self._stale: Exception | None = None
        self._time_before = self.timekeeper.saved()

    def _timekeeper(self, process: Clock, head: LogHead | None) -> Timekeeper:
        """Shared rows have the database's clock, and no anchor in it: it is another machine's, and may be several'."""
        mark = head.clock_mark if head else 0
        if self._connection.shared:
            return Timekeeper(self._sharing.clock(process), mark, told=False)
        return Timekeeper(process, mark, CLOCK_ANCHORS.get(self._connection, ANCHOR_ID))

    def observe(self, observer: Observer) -> None:
        """Adds one who is told of every durable batch."""
        self._observers.append(observer)

    @property
    def shared(self) -> bool:
        """Whether other replicas decide on the same rows."""
        return self._connection.shared

    def hurry(self) -> None:
        """The next batch looks what others have decided, however lately it was looked at. From any thread."""
        self._following.hurry()

    @property
    def log_size(self) -> int:
        """How many entries the log has."""
        return self._log.size

    def impediments(self) -> tuple[str, ...]:
        """Why nothing is granted now; empty when all is well. May be called from any thread."""
        doubt = self.timekeeper.look().doubt
        found = [f"clock: {doubt}" if doubt else "", self._behind and f"behind: {self._behind}"]
        return tuple(filter(None, [*found, "disk: full, running on the reserve" if self._disk_full else ""]))

    def execute(self, commands: Sequence[Command[Any]]) -> list[Outcome]:
        """Decides the commands in order in one durable transaction; each gets its result or its LicdError."""
        if self._disk_full and self._reserve.restore():
            self._disk_full = False
        if self._stale and not self._reread():
            return [_undone(self._stale) for _ in commands]
        try:
            return self._decide(commands)
        except Exception as error:  # noqa: BLE001 - whatever a batch stumbles over, the ledger goes on
            failure = self._recover(error)
        if self._stale or (len(commands) == 1 and not self._disk_full):
            return [failure for _ in commands]
        return [self._alone(command) for command in commands]

    def _decide(self, commands: Sequence[Command[Any]]) -> list[Outcome]:
        """On what the commands say that they look at; on anything where one of them looked further."""
        try:
            return self._batch(commands, confined_to(commands))
        except Untaken as error:
            logger.info("a command looked beyond what it said", licence=str(error))
            self._connection.rollback()
            self._states.clear()
            return self._batch(commands, ANYTHING)

    def _alone(self, command: Command[Any]) -> Outcome:
        if self._stale and not self._reread():
            return _undone(self._stale)
        try:
            return self._decide([command])[0]
        except Exception as error:  # noqa: BLE001 - as above
            failure = self._recover(error)
            return DiskFull("the disk is full and the reserve is used up") if self._disk_full else failure

    def _recover(self, error: Exception) -> LicdError:
        """Back to what is durable: clock, rows, log end and working copies are read anew. What callers are told."""
        logger.error("batch failed", exc_info=error)
        self.timekeeper.restore(self._time_before)
        self._stale = error
        self._reread()
        if is_full(error):
            self._disk_full = True
            self._reserve.release()
        for observer in self._observers:
            self._tell(observer, lambda each: each.failed("disk_full" if self._disk_full else "database"))
        return _undone(error)

    def _reread(self) -> bool:
        """False while the database cannot even be read; it is tried again with the next batch."""
        try:
            self._connection.rollback()
            self._states.clear()
            self._log = Log(self._keeper, read_head(self._connection))
        except FAILURES:
            logger.exception("the database cannot be read")
            return False
        self._stale = None
        return True

    def _tell(self, observer: Observer, what: Callable[[Observer], None]) -> None:
        """An observer that fails is its own affair: what was decided is durable."""
        try:
            what(observer)
        except Exception:
            logger.exception("observer failed", observer=type(observer).__name__)

    def _batch(self, commands: Sequence[Command[Any]], deployments: set[str] | None) -> list[Outcome]:
        self._time_before = self.timekeeper.saved()
        turns = self._sharing.begin(deployments)
        self.timekeeper.follow(self._sharing.mark())
        self._tell_of_others()
        reading = self.timekeeper.read()
        tx = Transaction(
            self._connection,
            self._states,
            turns,
            self._installation,
            reading.now,
            self._random,
            partial(self._impediment, reading),
            lambda: self._behind,
        )
        if self.timekeeper.unaccounted:
            self._keep_seats(tx)
        tx.look_up(commands)
        outcomes = [self._run(tx, command) for command in commands]
        tx.flush()
        if tx.wrote or tx.entries:
            self._commit(tx, turns, len(commands))
        elif self._tells_what_lies_there(commands):
            self._write(tx, turns)
        else:
            self._connection.rollback()
        if self.timekeeper.mark < tx.now:
            self._states.clear()  # the clock was accepted at an earlier time: seats may have been freed too early
        self._states.trim()
        return outcomes

    def _tells_what_lies_there(self, commands: Sequence[Command[Any]]) -> bool:
        """Whether an answer may be told again that only this server has: a commit waits for its standby, no look does.

        It lies there when the first commit's wait for the standby was ended by somebody.
        """
        return self._connection.shared and any(within(each) != NOTHING for each in commands)

    def _tell_of_others(self) -> None:
        """What other replicas have made durable since, for the observers of this one."""
        seen = self._following.seen(self._sharing.size())
        if seen is not None:
            for observer in self._observers:
                self._tell(observer, lambda each: each.committed(seen, BatchFigures(0, 0, 0)))

    def _keep_seats(self, tx: Transaction) -> None:
        """The machine was started since the last batch: how long it was off is known by its wall clock alone."""
        by = self.timekeeper.unaccounted
        self.timekeeper.account()
        kept = keep_seats(tx, tx.now - by, by, permits_run_on=False)
        if kept:
            tx.log("clock.restarted", ("unaccounted", by), ("seats_kept", kept))
            tx.accept()

    def _write(self, tx: Transaction, turns: Turns) -> int:
        """Makes the batch durable. How long the commit took, nanoseconds."""
        self._log = self._sharing.log_end(self._log)
        first, mark = self._log.size, self._sharing.mark_to_keep(self.timekeeper.mark)
        self._log.append(self._connection, tx.entries, tx.now, mark, self._random)
        if not self._connection.shared:
            CLOCK_ANCHORS.put(self._connection, [self.timekeeper.anchor])
        if tx.done.directives:
            self._sharing.announce()
        before = self._stopwatch()
        self._connection.commit()
        took = self._stopwatch() - before
        self._states.leave(turns.taken)
        self._following.wrote(first, self._log.size)
        return took

    def _commit(self, tx: Transaction, turns: Turns, commands: int) -> None:
        """Makes the batch durable, and tells the observers of it."""
        figures = BatchFigures(commands, len(tx.entries), self._write(tx, turns))
        tx.done.entries, tx.done.log_size, tx.done.decided_at = len(tx.entries), self._log.size, tx.now
        for observer in self._observers:
            self._tell(observer, lambda each: each.committed(tx.done, figures))

    def _run(self, tx: Transaction, command: Command[Any]) -> Outcome:
        try:
            if command.grants:
                tx.refuse_impeded()
            result = command.run(tx)
        except LicdError as error:
            tx.refuse()
            if isinstance(error, Behind):
                self._behind = self._behind or error.detail
            return error
        except SigningHeld:
            tx.refuse()
            return Held("signing is held on this machine; nothing was done")
        except (*FAILURES, Untaken):
            raise
        except Exception:
            tx.refuse()
            logger.exception("command failed", command=type(command).__name__)
            return LicdError("licd failed on this command; nothing of it was done")
        tx.accept()
        return result

    def _impediment(self, reading: Reading) -> LicdError | None:
        """Why nothing is granted in this batch, by now: a command of it may have shown that licd is behind."""
        if self._disk_full:
            return DiskFull("licd's disk is full; it grants nothing until there is room")
        if self._behind:
            return Behind(self._behind)
        if reading.doubt:
            return ClockDoubted(reading.doubt, retry_after=SUSPECT_CLOCK)
        return None


def _undone(error: Exception) -> LicdError:
    """A database that fails at commit may have kept the transaction; anything else comes before that."""
    if isinstance(error, FAILURES):
        return DatabaseFailed("the database did not take the transaction; whether it was kept is unknown")
    return LicdError("licd failed on this command; nothing of it was done")
