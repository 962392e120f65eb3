"""Callers who go on until nobody answers: a desk, systems with a chain, systems that ask by unary calls."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Self

import grpc

from licd.core.errors import LicdError
from licd.keys.kinds import Kind
from licd.v1 import log_service_pb2, operator_pb2, session_pb2
from licd.v1.envelope_pb2 import Envelope
from tests.daemon import PATIENCE, Reachable, fresh
from tests.eventually import eventually
from tests.gate.history import now
from tests.gate.stage import wide_licence
from tests.gate.told import Told
from tests.office import Office
from tests.wired_system import Stream, System, acquire, release

TARGETS = 40
REPEATS = 2
Caller = Callable[[], None]


class Desk:
    """Two operators: customers, licences, and one licence that they stop and lift in turn."""

    def __init__(self, process: Reachable, told: Told, stopped: str, caps: dict[str, int]) -> None:
        self.process, self.told, self.stopped, self.caps = process, told, stopped, caps

    def live(self) -> None:
        """Until the daemon does not answer."""
        office = Office(self.process)
        for turn in range(1_000_000):
            self.told.customers.add(office.alice.customer())
            self.told.answered()
            self._stop_or_lift(office)
            note = office.alice.call("LogService.GetCheckpoint", log_service_pb2.GetCheckpointRequest()).checkpoint
            self.told.checkpoint(note.encode())
            self.told.answered()
            if turn % 4 == 3:
                licence = wide_licence(office, cap=2)
                self.caps[licence] = 2
                self.told.licences.add(licence)
                self.told.answered()

    def _stop_or_lift(self, office: Office) -> None:
        licence = office.alice.licence_of(self.stopped)
        self.told.epoch(self.stopped, licence.epoch)
        asked = now()
        if licence.status == operator_pb2.LICENCE_STATUS_SUSPENDED:
            epoch = office.reinstate(self.stopped).epoch
            self.told.done(self.stopped, "licence.reinstated", epoch, asked)
        else:
            answer = office.alice.suspend(self.stopped)
            self.told.suspensions.add(answer.suspension)
            epoch = answer.licences[0].epoch
            self.told.done(self.stopped, "licence.suspended", epoch, asked)
        self.told.epoch(self.stopped, epoch)
        self.told.answered()


@dataclass
class Holder:
    """A system that takes and gives back targets in its chain. What was not answered it sends again, byte for byte."""

    process: Reachable
    system: System
    told: Told
    chance: random.Random
    outstanding: Envelope | None = None
    answered: Envelope | None = None
    lives: int = 0
    repeats: int = 0
    asked: int = 0
    """When the outstanding link was sent first."""

    def live(self) -> None:
        """Until the daemon does not answer."""
        self.lives += 1
        self.system.channel = self.system.connect()
        stream: Stream | None = None
        repeated = 0
        try:
            while True:
                if repeated < REPEATS and self.outstanding is None and self.answered is not None:
                    repeated += 1
                    stream = self._repeat(self.answered, stream)
                if self.outstanding is None:
                    self.outstanding, self.asked = self._next(), now()
                if _opens(self.outstanding):
                    reply = self.system.send_open(self.outstanding).reply
                else:
                    if stream is None:
                        stream = self.system.stream()
                        stream.send(self.outstanding, self.system.last_reply)
                    else:
                        stream.send(self.outstanding)
                    reply = stream.reply()
                self._take(reply)
        finally:
            if stream is not None:
                stream.finish()

    def _repeat(self, link: Envelope, stream: Stream | None) -> Stream | None:
        """The last answered link once more: the very same answer, or the refusal that took its place."""
        before = self.system.last_reply
        assert before is not None
        if _opens(link):
            reply = self.system.send_open(link).reply
        else:
            stream = stream or self.system.stream()
            stream.send(link, before)
            reply = stream.reply()
        self.repeats += 1
        self.told.answered()
        if reply.payload != before.payload:
            message = self.system.read(reply)
            refused = reply.payload_type == Kind.DENIAL.payload_type
            if not refused or message.header.epoch <= _epoch(self.system, before):
                self.told.problem(f"{self.system.name}: link {self.system.sequence} repeated has another answer")
        return stream

    def _next(self) -> Envelope:
        operations: list[session_pb2.Operation] = []
        held = list(self.system.held)
        if held and self.chance.random() < 0.4:
            operations.append(release(held[self.chance.randrange(len(held))]))
        if self.chance.random() < 0.6:
            operations.append(acquire(self.chance.randrange(TARGETS)))
        return self.system.link(*operations, opens=not self.system.session)

    def _take(self, reply: Envelope) -> None:
        link = self.outstanding
        assert link is not None
        message = self.system.take(link, reply)
        self.answered, self.outstanding = link, None
        if isinstance(message, session_pb2.Permit):
            self.told.permit(message, self.asked)
        else:
            self.told.refusal(message)
        self.told.answered()


def _opens(link: Envelope) -> bool:
    return session_pb2.Link.FromString(link.payload).HasField("opening")


def _epoch(system: System, reply: Envelope) -> int:
    epoch: int = system.read(reply).header.epoch
    return epoch


@dataclass
class Asker:
    """A system that asks by unary calls, more often than there are seats."""

    process: Reachable
    system: System
    told: Told
    chance: random.Random

    def live(self) -> None:
        """Until the daemon does not answer."""
        self.system.channel = self.system.connect()
        while True:
            asked = now()
            answer = self.system.acquire(self.chance.randrange(TARGETS))
            if answer.HasField("permit"):
                permit: session_pb2.Permit = self.system.read(answer.permit)
                self.told.permit(permit, asked)
            else:
                self.told.refusal(self.system.read(answer.denial))
            self.told.answered()


@dataclass
class Load:
    """Runs callers in threads; each ends when it gets no answer. An answer that is an error is a problem, told."""

    told: Told
    callers: Sequence[Caller]
    allowed: Callable[[LicdError | OSError], bool] = lambda _: False
    """Which errors are none: of licd, or of the disk that a caller reads its own certificates from."""
    threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.threads = [threading.Thread(target=self._go, args=(each,)) for each in self.callers]
        for thread in self.threads:
            thread.start()
        return self

    def _go(self, live: Caller) -> None:
        try:
            live()
        except (grpc.RpcError, StopIteration):  # killed, or stopped: a stream that licd ends has no more frames
            return
        except (LicdError, OSError) as error:
            if not self.allowed(error):
                self.told.problem(f"an unexpected answer: {type(error).__name__}: {error}")
        except Exception as error:  # noqa: BLE001 -- a caller that fails in any other way is told of, not lost
            self.told.problem(f"a caller failed: {type(error).__name__}: {error}")

    @property
    def over(self) -> bool:
        """Whether nobody goes on."""
        return not any(thread.is_alive() for thread in self.threads)

    def until(self, answers: int, limit: float = PATIENCE) -> None:
        """Returns when so many more answers have come, or nobody goes on."""
        goal = self.told.answers + answers
        eventually(lambda: self.over or self.told.answers >= goal, limit, f"{answers} answers", every=0.001)

    def __exit__(self, *_: object) -> None:
        for thread in self.threads:
            thread.join(2 * PATIENCE)
            assert not thread.is_alive(), "a caller still waits for an answer"


@dataclass
class Crowd:
    """The callers of one daemon, with what they keep between its lives."""

    process: Reachable
    told: Told
    caps: dict[str, int]
    desk: Desk
    holders: list[Holder]
    askers: list[Asker]

    @classmethod
    def gather(cls, process: Reachable, told: Told, chance: random.Random) -> Crowd:
        """Licences, systems, sessions, on a daemon that runs."""
        office = Office(process)
        shared, stopped = wide_licence(office, cap=5), wide_licence(office, cap=5)
        caps = {shared: 5, stopped: 5}

        def seed() -> random.Random:
            return random.Random(chance.random())

        holders = [
            Holder(process, System.enrol(process, office.alice.invite(licence, fresh("system"))), told, seed())
            for licence in (shared, stopped)
        ]
        asking = System.enrol(process, office.alice.invite(shared, fresh("system")))
        asking.open()
        told.licences |= {shared, stopped}
        return cls(
            process,
            told,
            caps,
            Desk(process, told, stopped, caps),
            holders,
            [Asker(process, asking, told, seed())],
        )

    def callers(self) -> list[Caller]:
        """Everybody, each in a thread."""
        return [self.desk.live, *(each.live for each in self.holders), *(each.live for each in self.askers)]
