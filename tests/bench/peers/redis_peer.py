"""A counting semaphore in Redis: one Lua script for each acquisition, every write synced to the disk."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import redis.asyncio

from tests.bench import clock
from tests.bench.load import Call
from tests.bench.peers.service import Difference, Papers, free_port, program, running

TTL_MS: Final = 20_000
CAP: Final = 1_000_000
ACQUIRE: Final = """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
redis.call('ZADD', KEYS[1], ARGV[1] + ARGV[3], ARGV[4])
return 1
"""
DIFFERENCE: Final = Difference(
    ours="decides region, purpose, authorisation and suspension; a signed permit, a logged and provable entry, a seat "
    "that cools until every permit given for it has run out; clocks that jump, copies of a system, replays",
    theirs="a counter with a time limit by the client's clock; any language's client without an SDK; pub/sub, clusters",
)


@contextmanager
def serving(files: Papers, folder: Path) -> Iterator[int]:
    """The server's port. Raises Absent."""
    port = free_port()
    options = {
        "port": "0",
        "tls-port": str(port),
        "bind": "127.0.0.1",
        "tls-cert-file": str(files.server),
        "tls-key-file": str(files.server_key),
        "tls-ca-cert-file": str(files.authority),
        "tls-auth-clients": "yes",
        "appendonly": "yes",
        "appendfsync": "always",
        "save": "",
        "dir": str(folder),
    }
    command = [program("redis-server", "redis-server")]
    for name, value in options.items():
        command += [f"--{name}", value]
    with running(command, port, folder / "redis.log"):
        yield port


@asynccontextmanager
async def calling(files: Papers, port: int, callers: int) -> AsyncIterator[Call]:
    """Acquires a seat for a new target, and gives it back. One connection for each caller."""
    pool: Any = redis.asyncio.BlockingConnectionPool(
        host="localhost",
        port=port,
        max_connections=callers,
        connection_class=redis.asyncio.SSLConnection,
        ssl_ca_certs=str(files.authority),
        ssl_certfile=str(files.client),
        ssl_keyfile=str(files.client_key),
        ssl_cert_reqs="required",
        ssl_check_hostname=True,
    )
    client: Any = redis.asyncio.Redis(connection_pool=pool)
    acquire = client.register_script(ACQUIRE)

    async def call() -> None:
        target = clock.random(32)
        assert await acquire(keys=["licence"], args=[clock.now_ms(), CAP, TTL_MS, target]) == 1
        assert await client.zrem("licence", target) == 1

    # Opened ahead, all of them: each reads the machine's certificates anew, which is no part of an acquisition.
    opened = [await pool.get_connection() for _ in range(callers)]
    for connection in opened:
        await pool.release(connection)
    try:
        yield call
    finally:
        await client.aclose()
        await pool.aclose()
