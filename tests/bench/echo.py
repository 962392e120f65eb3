"""The floors, on the same stack as the daemon (grpc.aio, uvloop, mTLS, same options): an empty unary call, and a frame
sent down every open stream and answered by each.

Run as `python -m tests.bench.echo STATE`: serves with the state directory's certificate, prints its port.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.aio
import uvloop

from licd.server.caller import Listener
from licd.server.config import Limits
from licd.server.connections import descriptors
from licd.server.grpc_server import options_of
from licd.server.serve import ServerCertificate
from licd.server.state_dir import StateDirectory

PATH: Final = "/licd.bench.Echo/Echo"
FAN: Final = "/licd.bench.Echo/Fan"
TELL: Final = "/licd.bench.Echo/Tell"
CONNECTIONS: Final = 12_000


async def _echo(request: bytes, _: object) -> bytes:
    return request


class Fan:
    """Streams that wait for a frame and answer it."""

    def __init__(self) -> None:
        self._streams: dict[Any, None] = {}
        self._missing = 0
        self._answered = asyncio.Event()

    async def stream(self, _: object, context: Any) -> None:
        """One stream: whatever comes up it is the answer to what was told."""
        self._streams[context] = None
        try:
            while await context.read() is not grpc.aio.EOF:
                self._missing -= 1
                if not self._missing:
                    self._answered.set()
        finally:
            del self._streams[context]

    async def tell(self, frame: bytes, _: object) -> bytes:
        """Sends the frame down every stream and waits for the answers of all."""
        self._missing = len(self._streams)
        self._answered.clear()
        gc.freeze()
        writing = [asyncio.ensure_future(context.write(frame)) for context in tuple(self._streams)]
        await asyncio.gather(*writing)
        await self._answered.wait()
        return b"%d" % len(writing)


async def main(state: StateDirectory) -> None:
    descriptors(CONNECTIONS + 1_000)
    server = grpc.aio.server(options=options_of(Listener.CUSTOMER, CONNECTIONS, Limits()))
    fan = Fan()
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        "Echo": grpc.unary_unary_rpc_method_handler(_echo),
        "Fan": grpc.stream_stream_rpc_method_handler(fan.stream),
        "Tell": grpc.unary_unary_rpc_method_handler(fan.tell),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("licd.bench.Echo", handlers),))
    certificate = ServerCertificate(state, state.authority[0].read_text)
    port = server.add_secure_port("127.0.0.1:0", certificate.credentials(clients=True, begun=lambda: None))
    await server.start()
    gc.collect()
    gc.freeze()
    print(port, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await server.stop(0)


if __name__ == "__main__":
    uvloop.run(main(StateDirectory(Path(sys.argv[1]))))
