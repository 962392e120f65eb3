"""What a benchmark runs on: a real daemon and an echo server, each in a process of its own, and enrolled systems."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc

from licd.keys.certificate_request import make_private_key, make_request
from licd.keys.envelope import seal
from licd.keys.file_signer import read_key_file
from licd.keys.kinds import KeyPurpose, Kind
from licd.keys.pem_files import private_key_to_pem
from licd.keys.signer import MemorySigner
from licd.server.state_dir import StateDirectory
from licd.v1 import (
    approval_service_pb2,
    approval_service_pb2_grpc,
    customer_service_pb2,
    customer_service_pb2_grpc,
    deployment_service_pb2,
    deployment_service_pb2_grpc,
    enrolment_service_pb2,
    enrolment_service_pb2_grpc,
    key_service_pb2,
    key_service_pb2_grpc,
    licence_service_pb2,
    licence_service_pb2_grpc,
    operator_pb2,
)
from tests.bench import clock
from tests.replicas import shared_states

ROOT = Path(__file__).parents[2]
LICENCE = "bench-licence"
LICD = "from licd.server.command import main; main()"


@dataclass(frozen=True, slots=True)
class Enrolled:
    """One system, with everything a client of it needs."""

    name: str
    system: str
    signer: MemorySigner
    credentials: grpc.ChannelCredentials
    address: str
    receipt: bytes
    join_token: str


@dataclass(frozen=True, slots=True)
class Stage:
    """A running daemon and echo server. environ of the daemon's process holds nothing secret."""

    state: Path
    base_port: int
    echo_port: int
    daemon: subprocess.Popen[bytes]
    echo: subprocess.Popen[bytes]

    def channel(self, operator: str) -> grpc.Channel:
        folder = self.state / "operators" / operator
        parts = ((folder / name).read_bytes() for name in ("ca.pem", "tls.key", "tls.pem"))
        return grpc.secure_channel(f"localhost:{self.base_port + 2}", grpc.ssl_channel_credentials(*parts))


def _free_base() -> int:
    """Four ports in a row that are free now."""
    for base in range(21_000, 60_000, 4):
        try:
            for offset in range(4):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", base + offset))
        except OSError:
            continue
        return base
    raise RuntimeError("no four free ports")


def wide_policies(target: Path) -> Path:
    """The example policies with limits so wide that none is met in a benchmark."""
    shutil.copytree(ROOT / "policies", target, ignore=shutil.ignore_patterns("*.test.toml"))
    _widen(target / "categories.toml", 1_000_000_000)
    for path in (target / "licences").glob("*.toml"):
        _widen(path, 5_000_000)
    (target / "diligence.toml").write_text("example = true\nassess = false\n")  # nobody is, in a benchmark
    (target / "misuse.toml").write_text("example = true\njudge = false\n")
    return target


def _widen(path: Path, most: int) -> None:
    """Raises every count in a policy file; a ceiling counts rolling windows, so it must be far above."""
    text = path.read_text()
    for key, value in (("concurrent_targets", most), ("deployments", 20_000), ("limit", most)):
        text = re.sub(rf"(\b{key}\s*=\s*)[\d_]+", rf"\g<1>{value}", text)
    path.write_text(text)


WIDE = {
    "REQUESTS_PER_SECOND": "1000000",
    "REQUESTS_AT_ONCE": "1000000",
    "ENROLMENTS_PER_SECOND": "1000000",
    "ENROLMENTS_AT_ONCE": "1000000",
    "ENROLMENT_STAY_SECONDS": "3600",
    "CUSTOMER_CONNECTIONS": "12000",
}


@contextmanager
def staged(database: str = "") -> Iterator[Stage]:
    """Starts both servers; stops exactly them at the end. database is another than the state directory's SQLite."""
    with TemporaryDirectory(prefix="licd-bench-") as folder:
        state, base = Path(folder) / "state", _free_base()
        policies = wide_policies(Path(folder) / "policies")
        quota = {f"LICD_LIMITS__{name}": value for name, value in WIDE.items()}
        _licd("init", "--state", str(state), "--base-port", str(base), "--policies", str(policies))
        if database:
            shared_states(StateDirectory(state), database, 1)
        log = (Path(folder) / "daemon.log").open("wb")
        daemon = subprocess.Popen(
            [sys.executable, "-c", LICD, "serve", "--state", str(state)],
            cwd=ROOT,
            stderr=log,
            env={**os.environ, **quota},
        )
        echo = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.echo", str(state)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        try:
            assert echo.stdout is not None
            stage = Stage(state, base, int(echo.stdout.readline()), daemon, echo)
            with stage.channel("alice") as channel:
                grpc.channel_ready_future(channel).result(timeout=30)
            yield stage
        finally:
            for process in (daemon, echo):
                process.terminate()
                process.wait(timeout=30)


def _licd(*arguments: str) -> None:
    subprocess.run([sys.executable, "-c", LICD, *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def issue(stage: Stage, customer: str, licence: str, template: str = "river-police") -> None:
    """A licence for a new customer, requested by one operator and approved by the other."""
    with stage.channel("alice") as alice:
        customers = customer_service_pb2_grpc.CustomerServiceStub(alice)
        customers.CreateCustomer(
            customer_service_pb2.CreateCustomerRequest(request_id=clock.request_id(), customer=customer, name=customer)
        )
        asked = licence_service_pb2_grpc.LicenceServiceStub(alice).IssueLicence(
            licence_service_pb2.IssueLicenceRequest(
                request_id=clock.request_id(), customer=customer, licence=licence, template=template
            )
        )
    agree(stage, asked.approval)


def agree(stage: Stage, approval: operator_pb2.Approval) -> None:
    """Both operators sign what one of them has asked for."""
    for operator in ("alice", "bob"):
        signer = read_key_file(stage.state / "operators" / operator / "signing.key", None)
        with stage.channel(operator) as channel:
            approval_service_pb2_grpc.ApprovalServiceStub(channel).SignApproval(
                approval_service_pb2.SignApprovalRequest(
                    request_id=clock.request_id(),
                    approval=approval.approval,
                    command=seal(Kind.OPERATOR_COMMAND, approval.command.payload, signer),
                )
            )


def invite(stage: Stage, licence: str, names: list[str]) -> dict[str, str]:
    """A join token for each name."""
    with stage.channel("alice") as alice:
        stub = deployment_service_pb2_grpc.DeploymentServiceStub(alice)
        return {
            name: stub.InviteDeployment(
                deployment_service_pb2.InviteDeploymentRequest(
                    request_id=clock.request_id(), licence=licence, deployment=name
                )
            ).invitation.join_token
            for name in names
        }


def bundle(stage: Stage) -> bytes:
    """The installation's trust bundle, as an operator exports it."""
    with stage.channel("alice") as alice:
        stub = key_service_pb2_grpc.KeyServiceStub(alice)
        trust = stub.ExportTrustBundle(key_service_pb2.ExportTrustBundleRequest()).trust
        return trust.bundles[-1].SerializeToString()


def _token(text: str) -> dict[str, Any]:
    packed = text.removeprefix("LICD-JOIN-1.")
    content: dict[str, Any] = json.loads(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)))
    return content


def enrol_all(stage: Stage, licence: str, names: list[str]) -> list[Enrolled]:
    """Invites and enrols systems, all over one connection."""
    tokens = invite(stage, licence, names)
    if not tokens:
        return []
    with _enrolment(next(iter(tokens.values()))) as channel:
        return [_enrolled(channel, name, token) for name, token in tokens.items()]


def _enrolment(join_token: str) -> grpc.Channel:
    token = _token(join_token)
    authority = b"-----BEGIN CERTIFICATE-----\n" + token["ca"].encode() + b"\n-----END CERTIFICATE-----\n"
    return grpc.secure_channel(token["enrolment"], grpc.ssl_channel_credentials(authority))


def _enrolled(channel: grpc.Channel, name: str, join_token: str) -> Enrolled:
    """Enrols one system with the raw protocol."""
    token = _token(join_token)
    signer = MemorySigner.generate(KeyPurpose.SYSTEM, clock.random)
    key = make_private_key()
    csr = make_request(key)
    proof = signer.sign(b"licd-enrol-v1" + sha256(token["secret"].encode()).digest() + sha256(csr).digest())
    answer = enrolment_service_pb2_grpc.EnrolmentServiceStub(channel).Enrol(
        enrolment_service_pb2.EnrolRequest(
            join_secret=token["secret"],
            csr=csr,
            public_key=signer.public_key,
            proof=proof,
            pseudonym_key_commitment=sha256(b"licd-pseudonym-key-v1\x00" + clock.random(32)).digest(),
        )
    )
    credentials = grpc.ssl_channel_credentials(
        answer.authorities_pem.encode(), private_key_to_pem(key), answer.certificate_chain_pem.encode()
    )
    return Enrolled(name, answer.system, signer, credentials, answer.customer_address, answer.receipt, join_token)
