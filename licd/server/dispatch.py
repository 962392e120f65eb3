"""From a caller's request to the function that serves it, whatever carried it here: gRPC, or the simulation's network.

Authorised, counted against the quota, timed, and with every failure turned into one LicdError.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Protocol, cast

import structlog
from google.protobuf.message import Message

from licd.core.errors import (
    DatabaseFailed,
    Forbidden,
    Held,
    Invalid,
    LicdError,
    OverQuota,
    SealRefused,
    Unauthenticated,
)
from licd.core.time import Millis
from licd.keys.certificate_request import CertificateRequestError
from licd.keys.errors import KeysError
from licd.keys.hold import SigningHeld
from licd.keys.identity import OperatorIdentity
from licd.keys.seal_reasons import SealInvalid
from licd.ledger.database import FAILURES
from licd.policy.roles import RolePolicy
from licd.server.caller import Caller, Listener
from licd.server.directory import Directory
from licd.server.methods import METHODS, Method
from licd.server.metrics import Metrics
from licd.server.quota import Quota

logger = structlog.get_logger("licd.server")

NANOS: Final = 1_000_000_000
UNIMPLEMENTED: Final = "UNIMPLEMENTED"

# Whoever asked for something may sign it himself; whether a signature counts as the second person's is checked there.
EVERY_OPERATOR: Final = frozenset({"ApprovalService.SignApproval"})


class FrameStream(Protocol):
    """A stream of frames in both directions."""

    async def read(self) -> Message | None:
        """The next frame; None when the other side has finished."""
        ...

    async def write(self, frame: Message, /) -> None:
        """Sends a frame; waits while the other side does not read."""
        ...


class Gate:
    """Who may call what. Default deny: a method that no table names is refused."""

    def __init__(self, roles: RolePolicy, directory: Directory) -> None:
        self._roles: Final = roles
        self._directory: Final = directory

    def admit(self, method: Method, caller: Caller) -> None:
        """Raises Forbidden or Unauthenticated."""
        if method.listener is not caller.listener:
            raise Forbidden(f"{method.verb} is not served on the {caller.listener} listener")
        match method.listener:
            case Listener.ENROLMENT:
                return
            case Listener.CUSTOMER:
                self._directory.system(caller)
            case Listener.OPERATOR:
                self._admit_operator(method, caller)

    def _admit_operator(self, method: Method, caller: Caller) -> None:
        if not isinstance(caller.identity, OperatorIdentity):
            raise Forbidden("only an operator may call this")
        operator = self._directory.operator(caller)
        if method.verb in EVERY_OPERATOR or self._roles.may_call(operator.role_set, method.verb):
            return
        raise Forbidden(f"operator {operator.id} has no role that may call {method.verb}")


class CountedFrames:
    """A stream whose every frame is one request of its caller's quota."""

    def __init__(self, frames: FrameStream, take: Callable[[], None]) -> None:
        self._frames: Final = frames
        self._take: Final = take

    async def read(self) -> Message | None:
        """Raises OverQuota; the frame is then not judged."""
        frame = await self._frames.read()
        if frame is not None:
            self._take()
        return frame

    async def write(self, frame: Message, /) -> None:
        """As the stream inside."""
        await self._frames.write(frame)


class Dispatch:
    """Serves every method of the protocol through the services given, by name."""

    def __init__(
        self,
        services: Mapping[str, Sequence[object]],
        gate: Gate,
        quota: Mapping[Listener, Quota],
        metrics: Metrics,
        boot: Callable[[], Millis],
        stopwatch: Callable[[], int],
        catch_up: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Raises TypeError when a method of the protocol has nobody to serve it.

        catch_up returns when this replica knows whom the others have let in; None where there are no others.
        """
        self._gate: Final = gate
        self._quota: Final = quota
        self._metrics: Final = metrics
        self._boot: Final = boot
        self._stopwatch: Final = stopwatch
        self._catch_up: Final = catch_up
        self._serving: Final = {path: _served_by(method, services) for path, method in METHODS.items()}

    async def call(self, path: str, request: Message, caller: Caller) -> Message:
        """Serves a unary call. Raises LicdError."""
        method = METHODS[path]
        started = self._stopwatch()
        code = "OK"
        try:
            await self._let_in(method, caller)
            return cast("Message", await self._serving[path](request, caller))
        except Exception as error:
            refused = self._explained(error, method)
            code = refused.code.value
            raise refused from error
        finally:
            self._metrics.answered(method.verb, code, (self._stopwatch() - started) / NANOS)

    async def stream(self, path: str, frames: FrameStream, caller: Caller) -> None:
        """Serves a stream in both directions until one side ends it. Raises LicdError."""
        method = METHODS[path]
        try:
            await self._let_in(method, caller)
            await self._serving[path](CountedFrames(frames, lambda: self._take(caller)), caller)
        except Exception as error:
            refused = self._explained(error, method)
            self._metrics.answered(method.verb, refused.code.value, 0)
            raise refused from error

    async def feed(self, path: str, request: Message, caller: Caller) -> AsyncIterator[Message]:
        """Serves a call that is answered with a stream. Raises LicdError."""
        method = METHODS[path]
        try:
            await self._let_in(method, caller)
            async for message in self._serving[path](request, caller):
                yield message
        except Exception as error:
            refused = self._explained(error, method)
            self._metrics.answered(method.verb, refused.code.value, 0)
            raise refused from error
        self._metrics.answered(method.verb, "OK", 0)

    def refuse(self, listener: Listener, error: LicdError) -> None:
        """Counts a caller whom nobody could name, or who knocks at the wrong door."""
        self._metrics.refused(listener.value, error.code.value)

    def knock(self, caller: Caller) -> None:
        """Counts a call that is not of the protocol, as one request. Raises OverQuota."""
        try:
            self._take(caller)
        except OverQuota as error:
            self.refuse(caller.listener, error)
            raise

    def unheard(self, listener: Listener) -> None:
        """Counts a call of a method that nobody serves."""
        self._metrics.refused(listener.value, UNIMPLEMENTED)

    def unreadable(self, path: str, error: Invalid, caller: Caller) -> LicdError:
        """What a caller is told whose request cannot be read; it is counted as if it could."""
        method = METHODS[path]
        refused: LicdError = error
        try:
            self._admit(method, caller)
        except LicdError as first:
            refused = self._explained(first, method)
        self._metrics.answered(method.verb, refused.code.value, 0)
        return refused

    async def _let_in(self, method: Method, caller: Caller) -> None:
        """Somebody unknown here may have been enrolled at another replica a moment ago: that is looked up once."""
        try:
            self._admit(method, caller)
        except Unauthenticated:
            if self._catch_up is None:
                raise
            self._take(caller)
            await self._catch_up()
            self._admit(method, caller)

    def _admit(self, method: Method, caller: Caller) -> None:
        self._gate.admit(method, caller)
        self._take(caller)

    def _take(self, caller: Caller) -> None:
        self._quota[caller.listener].take(caller.name, self._boot())

    def _explained(self, error: Exception, method: Method) -> LicdError:
        match error:
            case Forbidden() | Unauthenticated() | OverQuota():
                self._metrics.refused(method.listener.value, error.code.value)
                return error
            case LicdError():
                return error
            case _ if isinstance(error, FAILURES):
                logger.warning("the database failed a call that only reads", method=method.verb, error=str(error))
                return DatabaseFailed(
                    "the database does not answer; what was asked was only read, and can be asked again"
                )
            case SigningHeld():
                return Held("signing is held on this machine")
            case SealInvalid():
                return SealRefused(str(error))
            case CertificateRequestError():
                return Invalid(str(error), field="csr")
            case KeysError():
                return Invalid(str(error))
            case _:
                logger.error("call failed", method=method.verb, exc_info=error)
                return LicdError("licd failed on this call; whether it was done is unknown")


def _served_by(method: Method, services: Mapping[str, Sequence[object]]) -> Callable[..., Any]:
    found = [getattr(part, method.attribute, None) for part in services.get(method.service, ())]
    serving = [each for each in found if each is not None]
    if len(serving) != 1:
        raise TypeError(f"{method.verb} must be served by exactly one part, not {len(serving)}")
    return cast("Callable[..., Any]", serving[0])
