"""A real daemon in a process of its own, on free ports of loopback."""

import json
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import grpc
from cryptography import x509

from licd.server.state_dir import StateDirectory
from licd.v1.status_service_pb2 import GetStatusRequest, GetStatusResponse
from licd.v1.status_service_pb2_grpc import StatusServiceStub

FREE = {f"LICD_LISTEN__{name}": "127.0.0.1:0" for name in ("ENROLMENT", "CUSTOMER", "OPERATOR", "METRICS")}
STOP_LIMIT = 20


@dataclass(frozen=True, slots=True)
class Daemon:
    process: "subprocess.Popen[str]"
    state: StateDirectory
    ports: dict[str, int]

    def status(self, operator: str = "alice") -> GetStatusResponse:
        """What licd says to an operator."""
        folder = self.state.operator(operator)
        credentials = grpc.ssl_channel_credentials(
            (folder / "ca.pem").read_bytes(), (folder / "tls.key").read_bytes(), (folder / "tls.pem").read_bytes()
        )
        with grpc.secure_channel(f"localhost:{self.ports['operator']}", credentials) as channel:
            return StatusServiceStub(channel).GetStatus(GetStatusRequest(), timeout=10)

    def certificate(self) -> x509.Certificate:
        """What a caller sees of the enrolment listener."""
        return x509.load_pem_x509_certificate(
            ssl.get_server_certificate(("127.0.0.1", self.ports["enrolment"]), timeout=10).encode()
        )


def command(state: StateDirectory) -> list[str]:
    return [sys.executable, "-m", "licd.server", "serve", "--state", str(state.root)]


@contextmanager
def serving(state: StateDirectory) -> Iterator[Daemon]:
    """Until the block ends; it must then stop by itself, with exit code 0."""
    process = subprocess.Popen(command(state), stderr=subprocess.PIPE, encoding="utf-8", env=os.environ | FREE)
    try:
        yield Daemon(process, state, _ports(process))
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOP_LIMIT) == 0
    finally:
        process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()


def _ports(process: "subprocess.Popen[str]") -> dict[str, int]:
    """From the line that says it serves."""
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        fields = json.loads(line) if line.startswith("{") else {}
        if fields.get("event") == "licd serves":
            return {name: fields[name] for name in ("enrolment", "customer", "operator", "metrics")}
    raise AssertionError(f"the daemon does not serve: {said}")
