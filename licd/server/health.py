"""Health checks and reflection, which are not of the protocol: counted against the caller's quota all the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import contextmanager
from typing import Any, Final

import grpc.aio
from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio as health_aio
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.reflection import aio as reflection_aio

from licd.core.errors import LicdError, OverQuota
from licd.core.time import SECOND
from licd.server.caller import Caller

Context = grpc.aio.ServicerContext[Any, Any]
Enter = Callable[[Context], Awaitable[Caller]]
Refuse = Callable[[Context, LicdError], Awaitable[None]]

WATCHES: Final = 8
"""Streams of health that one caller may have open at once."""


class CountedHealth(health_aio.HealthServicer):
    """Health of a listener. A check is one request of its caller; of watches he may have a few open."""

    def __init__(self, enter: Enter, refuse: Refuse) -> None:
        """Enter names and counts a caller, or ends the call; refuse ends it."""
        super().__init__()
        self._enter: Final = enter
        self._refuse: Final = refuse
        self._watching: Counter[str] = Counter()

    async def Check(self, request: health_pb2.HealthCheckRequest, context: Context) -> Any:
        """As grpc.health.v1 says."""
        await self._enter(context)
        return await super().Check(request, context)

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: Context) -> None:
        """As grpc.health.v1 says."""
        caller = await self._enter(context)
        if self._watching[caller.name] >= WATCHES:
            await self._refuse(context, OverQuota("too many health watches are open", retry_after=SECOND))
        with self._counted(caller.name):
            await super().Watch(request, context)

    @contextmanager
    def _counted(self, name: str) -> Any:
        self._watching[name] += 1
        try:
            yield
        finally:
            self._watching[name] -= 1
            if not self._watching[name]:
                del self._watching[name]


class CountedReflection:
    """Reflection for operators. Each question is one request."""

    def __init__(self, services: list[str], enter: Enter) -> None:
        self._answers: Final[Any] = reflection_aio.ReflectionServicer(services)
        self._enter: Final = enter

    async def ServerReflectionInfo(
        self, request_iterator: AsyncIterable[reflection_pb2.ServerReflectionRequest], context: Context
    ) -> AsyncIterator[reflection_pb2.ServerReflectionResponse]:
        """As grpc.reflection.v1alpha says."""

        async def counted() -> AsyncIterator[reflection_pb2.ServerReflectionRequest]:
            async for request in request_iterator:
                await self._enter(context)
                yield request

        async for answer in self._answers.ServerReflectionInfo(counted(), context):
            yield answer
