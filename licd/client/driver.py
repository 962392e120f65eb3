"""The shell around a session machine: carries out what it wants, and tells it what happened.

The machine is told of an event at once and its leases stop at once; what it wants written and sent is done after that,
in its order, by a task that exists only while there is something to do. A disk or a network that hangs delays links,
never a stop.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Final, assert_never

from licd.client.answers import Released, StopCause
from licd.client.clock import Clock
from licd.client.errands import Errands
from licd.client.errors import NoAnswer, SystemClosed
from licd.client.forks import dies_in_children
from licd.client.notices import Notice
from licd.client.saving import Saving
from licd.client.session.effects import (
    CloseStream,
    Effect,
    FetchLicence,
    FetchTrust,
    Finished,
    GiveBack,
    Notify,
    OpenStream,
    Persist,
    RenewCertificate,
    Resolve,
    SendFrame,
    SendOpen,
    WakeAt,
)
from licd.client.session.events import (
    AcquireAsked,
    Event,
    FrameReceived,
    Rebooted,
    ReleaseAsked,
    Stop,
    StreamBroken,
    StreamOpened,
    Tick,
    UnaryAnswered,
)
from licd.client.session.machine import Machine
from licd.client.timer import Timer
from licd.client.transport import Stream
from licd.client.waiting import Answer, Waiting
from licd.core.errors import LicdError
from licd.core.time import Millis
from licd.v1 import session_pb2

_LOG: Final = logging.getLogger("licd.client")


class Driver:
    """Runs one machine on the running event loop. Idle, it is two tasks: one reads the stream, one waits for the time.

    `failure` is what ended the background work, if anything did; then every lease has stopped.
    """

    def __init__(
        self, machine: Machine, saving: Saving, errands: Errands, clock: Clock, tell: Callable[[Notice], None]
    ) -> None:
        self._machine: Final = machine
        self._saving: Final = saving
        self._errands: Final = errands
        self._clock: Final = clock
        self._tell: Final = tell
        self._timer: Final = Timer(clock, self._tick, self._spawn)
        self._events: Final[deque[Event]] = deque()
        self._feeding = False
        self._outgoing: Final[deque[Persist | SendOpen | SendFrame]] = deque()
        self._sender: asyncio.Task[None] | None = None
        self._tasks: Final[set[asyncio.Task[None]]] = set()
        self._streams: Final[dict[int, Stream]] = {}
        self._listening: Final[dict[int, asyncio.Task[None]]] = {}
        self._waiting: Final = Waiting()
        self._boot_id = clock.boot_id()
        self._finished: Final = asyncio.Event()
        self._rpc_timeout: Final[Millis] = machine.view.pace.rpc_timeout
        self.failure: BaseException | None = None
        dies_in_children(self)

    # --------------------------------------------------------------------------------------- the machine
    def feed(self, event: Event) -> None:
        """Tell the machine what happened, and carry out what it wants. Events told meanwhile are taken in turn."""
        self._events.append(event)
        if self._feeding:
            return
        self._feeding = True
        try:
            while self._events:
                for effect in self._machine.handle(self._events.popleft(), self._clock.boot_ms()):
                    self._perform(effect)
        except Exception as error:  # noqa: BLE001 -- a mistake of ours must stop the leases, not the program
            self._fail(error)
        finally:
            self._feeding = False

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Persist() | SendOpen() | SendFrame():
                self._outgoing.append(effect)
                if self._sender is None:
                    self._sender = self._spawn(self._send_all())
            case OpenStream(number):
                self._listening[number] = self._spawn(self._listen(number))
            case CloseStream(number):
                self._hang_up(number)
            case FetchTrust(held_version):
                self._spawn(self._run(partial(self._errands.fetch_trust, held_version)))
            case FetchLicence():
                self._spawn(self._run(self._errands.fetch_licence))
            case RenewCertificate():
                self._spawn(self._renew_certificate())
            case GiveBack(lease):
                self._spawn(self._errands.give_back(lease))
            case Resolve(op, outcome):
                self._waiting.answer(op, (outcome, self._machine.hold(op)))
            case Notify(notice):
                self._tell(notice)
            case WakeAt(at):
                self._timer.set(at)
            case Finished():
                self._finished.set()
            case _:
                assert_never(effect)

    def _tick(self) -> None:
        boot_id = self._clock.boot_id()
        if boot_id != self._boot_id:
            self._boot_id = boot_id
            self.feed(Rebooted())
        self.feed(Tick(self._clock.wall_ms()))

    # ------------------------------------------------------------------------------------- out and in
    async def _send_all(self) -> None:
        """Write down and send what there is, in order. Nothing is sent while something could not be written down."""
        try:
            while self._outgoing:
                effect = self._outgoing.popleft()
                match effect:
                    case Persist():
                        await self._saving.save(effect)
                    case SendOpen(number, request):
                        if await self._saving.settle():
                            opening = partial(self._errands.open_session, number, request, self._rpc_timeout)
                            self._spawn(self._run(opening))
                    case SendFrame(number, frame):
                        stream = self._streams.get(number)
                        if stream is not None and await self._saving.settle():
                            self._spawn(self._send(stream, frame))
        finally:
            self._sender = None

    async def _send(self, stream: Stream, frame: bytes) -> None:
        try:
            await stream.send(frame)
        except (NoAnswer, LicdError) as error:
            _LOG.debug("a frame was not sent; the stream's end is heard where it is read: %s", error)

    async def _run(self, errand: Callable[[], Coroutine[Any, Any, Event]]) -> None:
        """Not begun, and so nothing left behind, when the task is cancelled before its first step."""
        self.feed(await errand())

    def accept(self, authorities: Sequence[str]) -> None:
        """Accept licd's certificates from these authorities too, from here on."""
        moved = self._errands.accept(authorities)
        if moved is not None:
            self.feed(moved)
            self._spawn(self._errands.retire())

    async def renew_certificate(self) -> bool:
        """Renew the certificate now. Returns whether a new one is in use."""
        changed = await self._errands.renew_certificate()
        self.feed(changed)
        self._spawn(self._errands.retire())
        return changed.validity is not None

    async def _renew_certificate(self) -> None:
        await self.renew_certificate()

    async def _listen(self, number: int) -> None:
        detail, retry_after = "licd ended the stream", 0
        stream: Stream | None = None
        try:
            stream = await self._errands.stream()
            self._streams[number] = stream
            self.feed(StreamOpened(number))
            while (frame := await stream.receive()) is not None:
                self.feed(FrameReceived(frame))
        except NoAnswer as error:
            detail = str(error)
        except LicdError as error:
            detail, retry_after = f"{error.code}: {error}", error.retry_after
        finally:
            self._streams.pop(number, None)
            self._listening.pop(number, None)
            if stream is not None:
                await stream.close()
        self.feed(StreamBroken(number, detail, retry_after))

    def _hang_up(self, number: int) -> None:
        self._streams.pop(number, None)
        listening = self._listening.pop(number, None)
        if listening is not None:
            listening.cancel()  # also when it is the one that brought the frame: it ends where it reads on

    # ---------------------------------------------------------------------------------------- wishes
    async def acquire(self, acquisition: session_pb2.Acquisition) -> Answer:
        """Ask for a lease in the next link. Cancelled, the wish is given up, whatever became of it."""
        op = self._waiting.number()
        return await self._ask(op, AcquireAsked(op, acquisition))

    async def take_unary(
        self, acquisition: session_pb2.Acquisition, request_id: str, sent_at: Millis, response: bytes
    ) -> Answer:
        """Have the machine judge the answer to a unary AcquireLease."""
        op = self._waiting.number()
        return await self._ask(op, UnaryAnswered(op, acquisition, request_id, sent_at, response))

    async def _ask(self, op: int, event: Event) -> Answer:
        future = self._waiting.future(op)
        self.feed(event)
        try:
            return await future
        except asyncio.CancelledError:
            self.release_soon(op)
            raise

    async def release(self, op: int) -> Released:
        """Stop a hold, and wait until its lease was given back."""
        future = self._waiting.future(op)
        self.feed(ReleaseAsked(op))
        outcome, _ = await future
        return outcome if isinstance(outcome, Released) else Released(0)

    def release_soon(self, op: int) -> None:
        """Stop a hold; its lease is given back with the next link."""
        self._waiting.forget(op)
        self.feed(ReleaseAsked(op))

    # ------------------------------------------------------------------------------------------ ends
    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)
        return task

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """Stop every lease: the background work cannot go on."""
        if self.failure is None:
            self.failure = error
            _LOG.error("the background work of a system failed; every lease has stopped", exc_info=error)
        self._end()

    def _end(self) -> None:
        self._machine.kill(self._clock.boot_ms())
        self._waiting.end()
        self._finished.set()

    def forked(self) -> None:
        """In a child process: every lease has stopped, and nothing more is handled, written or said."""
        self._machine.kill(self._clock.boot_ms(), StopCause.FORKED)
        self.failure = SystemClosed("this process was forked from the one that opened the system")
        self._outgoing.clear()
        self._events.clear()
        self._feeding = True  # whatever a loop that was forked along brings is not taken
        self._waiting.end()
        self._finished.set()

    @property
    def is_finished(self) -> bool:
        """Whether the system was closed, or its background work failed."""
        return self._finished.is_set()

    async def wait_closed(self) -> None:
        """Wait until the system is closed. Raises SystemClosed when its background work failed."""
        await self._finished.wait()
        if self.failure is not None:
            raise SystemClosed("the background work failed") from self.failure

    async def close(self) -> None:
        """Stop every lease, tell licd if it can be reached, and end."""
        self.feed(Stop())
        await self._finished.wait()
        if self._sender is not None:
            await self._unless_it_hangs(self._sender)
        await self.abandon()

    async def _unless_it_hangs(self, task: asyncio.Task[None]) -> None:
        """Wait for the last write, but not for ever: what is not written is sent again by the next process."""
        alarm = asyncio.ensure_future(self._clock.sleep_until(self._clock.boot_ms() + self._rpc_timeout))
        await asyncio.wait({task, alarm}, return_when=asyncio.FIRST_COMPLETED)
        alarm.cancel()

    async def abandon(self) -> None:
        """End at once, as a crash would: nothing more is written or said."""
        self._end()
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._errands.close()
