"""A lease in etcd: LeaseGrant, then a transaction that makes the target's key under it, if nobody has it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.aio

from tests.bench import clock
from tests.bench.load import Call
from tests.bench.peers.service import Difference, Papers, free_port, program, running

TTL_SECONDS: Final = 20
CONNECTIONS: Final = 4
PROTO: Final = "tests/bench/peers/etcd.proto"
DIFFERENCE: Final = Difference(
    ours="a cap over all targets of a licence, decided with region, purpose, authorisation and suspension; a signed "
    "permit and a provable entry in the same transaction; one call or a part of a link",
    theirs="replicated by consensus out of the box (here one member); watches on any key; no cap: a key for each "
    "target says only who has it, and a semaphore takes more round trips still",
)


@contextmanager
def serving(files: Papers, folder: Path) -> Iterator[int]:
    """The server's port. Raises Absent."""
    port, peer = free_port(), free_port()
    command = [
        program("etcd", "etcd-server"),
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls=https://127.0.0.1:{port}",
        f"--advertise-client-urls=https://127.0.0.1:{port}",
        f"--listen-peer-urls=http://127.0.0.1:{peer}",
        f"--cert-file={files.server}",
        f"--key-file={files.server_key}",
        f"--trusted-ca-file={files.authority}",
        "--client-cert-auth",
        "--log-level=error",
    ]
    with running(command, port, folder / "etcd.log"):
        yield port


@asynccontextmanager
async def calling(files: Papers, port: int, callers: int) -> AsyncIterator[Call]:
    """Acquires a lease on a new target, and gives it back."""
    pb, services = grpc.protos_and_services(PROTO)
    credentials = grpc.ssl_channel_credentials(
        files.authority.read_bytes(), files.client_key.read_bytes(), files.client.read_bytes()
    )
    options = (("grpc.use_local_subchannel_pool", 1),)
    channels = [grpc.aio.secure_channel(f"localhost:{port}", credentials, options) for _ in range(CONNECTIONS)]
    stubs = [(services.LeaseStub(channel), services.KVStub(channel)) for channel in channels]
    turn = 0

    async def call() -> None:
        nonlocal turn
        turn += 1
        leases, keys = stubs[turn % CONNECTIONS]
        granted: Any = await leases.LeaseGrant(pb.LeaseGrantRequest(TTL=TTL_SECONDS))
        target = clock.random(32)
        absent = pb.Compare(target=pb.Compare.CREATE, key=target, create_revision=0)
        put = pb.RequestOp(request_put=pb.PutRequest(key=target, value=b"system", lease=granted.ID))
        made: Any = await keys.Txn(pb.TxnRequest(compare=[absent], success=[put]))
        assert made.succeeded
        await leases.LeaseRevoke(pb.LeaseRevokeRequest(ID=granted.ID))

    try:
        yield call
    finally:
        for channel in channels:
            await channel.close()
