"""The only writer: takes all waiting commands, decides them one after the other, commits once.

One bad command fails alone. A batch whose commit fails is tried again command by command, so that what poisoned it
fails by itself. An answer is given out only after the commit that made it durable.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import structlog

from licd.core.errors import Behind, ClockDoubted, DatabaseFailed, DiskFull, LicdError
from licd.ledger.database import Connection
from licd.ledger.log import Log, LogKeeper, check_log, read_head
from licd.ledger.timekeeper import Clock, Reading, Timekeeper
from licd.ledger.transaction import Command, Committed, Installation, States, Transaction

logger = structlog.get_logger("licd.ledger")

SUSPECT_CLOCK: Final = 1000


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
    """What a batch cost, for the metrics. Times in nanoseconds of a clock that only measures."""

    commands: int
    entries: int
    commit_ns: int


class Observer(Protocol):
    """Told of every batch once it is durable, on the writing thread. Must not block."""

    def committed(self, done: Committed, figures: BatchFigures) -> None: ...

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
    ) -> None:
        """Checks the whole log against its checkpoint first. Raises LogRefused.

        behind says that these rows are older than what licd has answered already: it then starts read-only.
        """
        self._connection: Final = connection
        self._installation: Final = installation
        self._keeper: Final = keeper
        self._random: Final = random
        self._reserve: Final = reserve
        self._stopwatch: Final = stopwatch
        self._observers: list[Observer] = []
        self._states: Final = States()
        head = check_log(connection, keeper)
        self._log = Log(keeper, head)
        self.timekeeper: Final = Timekeeper(clock, head.clock_mark if head else 0)
        self._disk_full = False
        self._behind = behind

    def observe(self, observer: Observer) -> None:
        """Adds one who is told of every durable batch."""
        self._observers.append(observer)

    @property
    def log_size(self) -> int:
        return self._log.size

    def impediments(self) -> tuple[str, ...]:
        """Why nothing is granted now; empty when all is well."""
        reading = self.timekeeper.read()
        found = [f"clock: {reading.doubt}" if reading.doubt else "", self._behind and f"behind: {self._behind}"]
        return tuple(filter(None, [*found, "disk: full, running on the reserve" if self._disk_full else ""]))

    def execute(self, commands: Sequence[Command[Any]]) -> list[Outcome]:
        """Decides the commands in order in one durable transaction; each gets its result or its LicdError."""
        if self._disk_full and self._reserve.restore():
            self._disk_full = False
        try:
            return self._batch(commands)
        except sqlite3.Error as error:
            self._recover(error)
        if len(commands) == 1 and not self._disk_full:
            return [DatabaseFailed("the database did not take the transaction; whether it was kept is unknown")]
        return [self._alone(command) for command in commands]

    def _alone(self, command: Command[Any]) -> Outcome:
        try:
            return self._batch([command])[0]
        except sqlite3.Error as error:
            self._recover(error)
            if self._disk_full:
                return DiskFull("the disk is full and the reserve is used up")
            return DatabaseFailed("the database did not take the transaction; whether it was kept is unknown")

    def _recover(self, error: sqlite3.Error) -> None:
        """Back to what is durable: rows, log end and working copies are read anew."""
        self._connection.rollback()
        self._states.clear()
        self._log = Log(self._keeper, read_head(self._connection))
        if "full" in str(error):
            self._disk_full = True
            self._reserve.release()
        for observer in self._observers:
            observer.failed("disk_full" if self._disk_full else "database")
        logger.error("batch failed", error=str(error), disk_full=self._disk_full)

    def _batch(self, commands: Sequence[Command[Any]]) -> list[Outcome]:
        reading = self.timekeeper.read()
        self._connection.begin()
        tx = Transaction(self._connection, self._states, self._installation, reading.now, self._random)
        outcomes = [self._run(tx, command, reading) for command in commands]
        tx.flush()
        if not tx.wrote and not tx.entries:
            self._connection.rollback()
            return outcomes
        self._log.append(self._connection, tx.entries, tx.now, self.timekeeper.mark, self._random)
        before = self._stopwatch()
        self._connection.commit()
        figures = BatchFigures(len(commands), len(tx.entries), self._stopwatch() - before)
        tx.done.entries, tx.done.log_size = len(tx.entries), self._log.size
        for observer in self._observers:
            observer.committed(tx.done, figures)
        self._states.trim()
        return outcomes

    def _run(self, tx: Transaction, command: Command[Any], reading: Reading) -> Outcome:
        try:
            if command.grants:
                self._refuse_impeded(reading)
            result = command.run(tx)
        except LicdError as error:
            tx.refuse()
            if isinstance(error, Behind):
                self._behind = self._behind or error.detail
            return error
        except sqlite3.Error:
            raise
        except Exception:
            tx.refuse()
            logger.exception("command failed", command=type(command).__name__)
            return LicdError("licd failed on this command; nothing of it was done")
        tx.accept()
        return result

    def _refuse_impeded(self, reading: Reading) -> None:
        if reading.doubt:
            raise ClockDoubted(reading.doubt, retry_after=SUSPECT_CLOCK)
        if self._disk_full:
            raise DiskFull("licd's disk is full; it grants nothing until there is room")
        if self._behind:
            raise Behind(self._behind)
