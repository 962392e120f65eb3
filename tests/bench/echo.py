"""The floor: an empty unary call on the same stack as the daemon (grpc.aio, uvloop, mTLS, same options).

Run as `python -m tests.bench.echo STATE`: serves with the state directory's certificate, prints its port.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import grpc
import grpc.aio
import uvloop

from licd.server.caller import Listener
from licd.server.config import Limits
from licd.server.grpc_server import options_of
from licd.server.serve import ServerCertificate
from licd.server.state_dir import StateDirectory
from licd.v1.enrolment_service_pb2 import GetTrustBundleRequest

PATH = "/licd.bench.Echo/Echo"


async def _echo(request: GetTrustBundleRequest, _: object) -> GetTrustBundleRequest:
    return request


async def main(state: StateDirectory) -> None:
    server = grpc.aio.server(options=options_of(Listener.CUSTOMER, 10_000, Limits()))
    handler = grpc.unary_unary_rpc_method_handler(
        _echo,
        request_deserializer=GetTrustBundleRequest.FromString,
        response_serializer=GetTrustBundleRequest.SerializeToString,
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("licd.bench.Echo", {"Echo": handler}),))
    certificate = ServerCertificate(state, state.authority[0].read_text)
    port = server.add_secure_port("127.0.0.1:0", certificate.credentials(clients=True, begun=lambda: None))
    await server.start()
    print(port, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await server.stop(0)


if __name__ == "__main__":
    uvloop.run(main(StateDirectory(Path(sys.argv[1]))))
