"""licd killed between any two statements: what was answered holds, what was not is done once or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from licd.ledger.database import Row, SqliteConnection
from licd.server import store
from licd.server.initialise import RATCHET
from licd.server.state_dir import StateDirectory
from licd.v1 import operator_pb2, session_pb2
from licd.v1.envelope_pb2 import Envelope
from tests.attacks.test_copies import look, status_of
from tests.attacks.test_suspension import entries
from tests.daemon import Daemon, serving
from tests.office import Office
from tests.wired_system import System, acquire, holding, licence_of, reason, release

FILES = ("licd.db", "licd.db-wal", RATCHET)


class PhotographedConnection(SqliteConnection):
    """Before every statement, and after the last, takes what kill −9 would leave: the files as they are."""

    photographs: list[tuple[str, dict[str, bytes]]] | None = None

    def __init__(self, path: Path | str, *, readonly: bool = False) -> None:
        super().__init__(path, readonly=readonly)
        self.path = Path(path)
        self.readonly = readonly

    def _photograph(self, what: str) -> None:
        if PhotographedConnection.photographs is not None and not self.readonly:
            files = {name: self.path.with_name(name) for name in FILES}
            found = {name: file.read_bytes() for name, file in files.items() if file.exists()}
            PhotographedConnection.photographs.append((what, found))

    def begin(self) -> None:
        self._photograph("begin")
        super().begin()

    def commit(self) -> None:
        self._photograph("commit")
        super().commit()
        self._photograph("committed")

    def execute(self, text: str, arguments: Sequence[Any] = ()) -> list[Row]:
        self._photograph(text)
        return super().execute(text, arguments)

    def executemany(self, text: str, rows: Iterable[Sequence[Any]]) -> None:
        self._photograph(text)
        super().executemany(text, rows)


class Killed:
    """A daemon whose statements are photographed, and daemons that start on what each photograph shows."""

    def __init__(self, daemon: Daemon, folder: Path) -> None:
        self.daemon = daemon
        self.folder = folder
        self.statements: list[str] = []

    def during(self, work: Callable[[], object]) -> None:
        """Takes the photographs of what is done here."""
        PhotographedConnection.photographs = []
        try:
            work()
        finally:
            self.taken, PhotographedConnection.photographs = PhotographedConnection.photographs, None
        self.statements = [what for what, _ in self.taken]

    def states(self) -> Iterable[StateDirectory]:
        """A state directory for each photograph that differs from the one before it."""
        before: object = None
        for number, (_, files) in enumerate(self.taken):
            seen = {name: sha256(data).digest() for name, data in files.items()}
            if seen == before:
                continue
            before = seen
            root = self.folder / str(number)
            shutil.copytree(self.daemon.state.root, root, ignore=shutil.ignore_patterns("licd.db*", "lock"))
            for name, data in files.items():
                (root / name).write_bytes(data)
            yield StateDirectory(root)


@pytest.fixture
def killed(own_daemon: Callable[..., Daemon], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Killed:
    monkeypatch.setattr(store, "SqliteConnection", PhotographedConnection)
    return Killed(own_daemon(), tmp_path)


def test_kill_9_at_each_statement_of_a_link(killed: Killed):
    """The system says its link again to whatever came up: one reply, no lease twice, no fork."""
    office = Office(killed.daemon)
    system = holding(office, office.licence(), 1)
    link = system.link(acquire(2), release(system.held[0]))
    replies: list[Envelope] = []

    def say() -> None:
        with system.stream() as stream:
            stream.send(link)
            replies.append(stream.reply())

    killed.during(say)
    assert len(killed.statements) > 5
    assert killed.statements[-1] == "committed"
    answered = durable = 0
    for state in killed.states():
        with serving(state) as daemon:
            system.daemon = daemon
            again = Office(daemon)
            granted = len(entries(again, licence_of(again, system), "lease.granted"))
            assert (granted, sequence_of(again, system)) in {(1, 1), (2, 2)}, "rows and log of one transaction"
            with system.stream(system.connect()) as stream:
                stream.send(link, system.last_reply)
                reply = stream.reply()
                answered += 1
                durable += reply.payload == replies[0].payload
                permit = system.read(reply)
                assert [each.WhichOneof("result") for each in permit.outcomes] == ["grant", "released"]
                sequence, previous, held = system.sequence, system.previous, list(system.held)
                system.take(link, reply)
                assert len(system.held) == 1
                stream.beat()
                system.sequence, system.previous, system.held = sequence, previous, held
            assert status_of(again, system.deployment) == operator_pb2.DEPLOYMENT_STATUS_ENROLLED
            assert daemon.metric("licd_forks_total") == 0
    assert answered >= 2
    assert durable >= 1, "after the commit the very reply that was given is given again"


def test_kill_9_at_each_statement(killed: Killed):
    """Of a suspension: before its commit nobody was told of it, and after it there is no permit, whoever comes up."""
    office = Office(killed.daemon)
    licence = office.licence()
    system = holding(office, licence, 1)
    killed.during(lambda: office.alice.suspend(licence))
    assert killed.statements[-1] == "committed"
    said: list[str] = []
    for state in killed.states():
        with serving(state) as daemon:
            system.daemon = daemon
            kept = (system.sequence, system.previous, system.session, list(system.held))
            with system.stream(system.connect()) as stream:
                reply: Any = stream.beat()
                said.append("permit" if isinstance(reply, session_pb2.Permit) else reason(reply))
            system.sequence, system.previous, system.session, system.held = kept
            again = Office(daemon)
            status = again.alice.licence_of(licence).status
            suspended = status == operator_pb2.LICENCE_STATUS_SUSPENDED
            assert len(entries(again, licence, "licence.suspended")) == suspended, "rows and log of one transaction"
            assert said[-1] == ("LICENCE_SUSPENDED" if suspended else "permit")
    assert said[0] == "permit"
    assert said[-1] == "LICENCE_SUSPENDED"
    assert said == sorted(said, key=lambda word: word != "permit"), "once it is durable it stays"


def sequence_of(office: Office, system: System) -> object:
    return look(office, system)[1]
