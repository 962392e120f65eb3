"""A real daemon in this process, on loopback with TLS on both sides and free ports, and the operators who call it."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from os import urandom  # noqa: TID251 - request ids of callers
from pathlib import Path
from typing import Any, TypeVar, cast

import grpc
import pytest
import uvloop
from google.protobuf.message import Message

from licd.core.errors import LicdError
from licd.core.time import Instant, Millis
from licd.keys.certificate_request import make_private_key, make_request
from licd.keys.envelope import seal
from licd.keys.file_signer import read_key_file
from licd.keys.kinds import KeyPurpose, Kind
from licd.keys.pem_files import private_key_to_pem
from licd.keys.signer import MemorySigner
from licd.server import serve
from licd.server.caller import Listener
from licd.server.clock import SystemClock
from licd.server.initialise import Wishes, initialise
from licd.server.methods import METHODS, Method
from licd.server.serve import Running, running
from licd.server.state_dir import StateDirectory
from licd.v1 import (
    approval_service_pb2,
    customer_service_pb2,
    deployment_service_pb2,
    key_service_pb2,
    licence_pb2,
    licence_service_pb2,
    operator_pb2,
    status_service_pb2,
)
from licd.wire.errors import from_rpc_error

M = TypeVar("M", bound=Message)
R = TypeVar("R")

ROOT = Path(__file__).parents[1]
TRUST_DOMAIN = "licd.example"
PATIENCE = 20.0
VERBS: dict[str, Method] = {method.verb: method for method in METHODS.values()}
OPTIONS = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]


class ShiftedClock(SystemClock):
    """The machine's clocks, with what a test has added. passing() lets time pass, setting() sets the wall clock."""

    def __init__(self) -> None:
        self.passed: Millis = 0
        self.set_off: Millis = 0

    def wall(self) -> Instant:
        return super().wall() + self.passed + self.set_off

    def boot(self) -> Millis:
        return super().boot() + self.passed


def make_state(root: Path, operators: tuple[str, ...] = ("alice", "bob", "carol"), **limits: int) -> StateDirectory:
    """A state directory whose daemon takes free ports."""
    initialise(root, Wishes(TRUST_DOMAIN, operators, ("localhost", "127.0.0.1"), 7441, ROOT / "policies", None))
    set_limits(root, **limits)
    return StateDirectory(root)


def set_limits(root: Path, **limits: int) -> None:
    """Writes the daemon's settings."""
    lines = [f'trust_domain = "{TRUST_DOMAIN}"', "[listen]"]
    lines += [f'{name} = "127.0.0.1:0"' for name in ("enrolment", "customer", "operator", "metrics")]
    lines += ["[limits]", *(f"{name} = {value}" for name, value in ({"reserve_mebibytes": 1} | limits).items())]
    (root / "licd.toml").write_text("\n".join(lines) + "\n")


def copy_state(template: Path, root: Path, **limits: int) -> StateDirectory:
    """The same state directory again, which is quicker than making one."""
    shutil.copytree(template, root)
    set_limits(root, **limits)
    return StateDirectory(root)


class Daemon:
    """Runs in a thread with an event loop of its own, as in its own process; `up` is what it is made of."""

    def __init__(self, state: StateDirectory, clock: ShiftedClock | None = None) -> None:
        self.state = state
        self.clock = clock or ShiftedClock()
        self.up: Running
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self._started = threading.Event()
        self._failed: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, name="licd-under-test")
        self._channels: list[grpc.Channel] = []

    def start(self) -> Daemon:
        """Returns when it serves. Raises what kept it from doing so."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(serve, "SystemClock", lambda: self.clock)
            self._thread.start()
            assert self._started.wait(PATIENCE)
        if self._failed:
            self._thread.join()
            raise self._failed[0]
        return self

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._main())
        except BaseException as error:  # noqa: BLE001 - told to the test
            self._failed.append(error)
        finally:
            self._started.set()

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with running(self.state) as self.up:
            self._started.set()
            await self._stop.wait()

    def stop(self) -> None:
        """Drains and stops it. Raises what went wrong."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(PATIENCE)
            assert not self._thread.is_alive()
        for channel in self._channels:
            channel.close()
        if self._failed:
            raise self._failed[0]

    def begin_stop(self) -> None:
        """Asks it to stop, and does not wait."""
        self._loop.call_soon_threadsafe(self._stop.set)

    def on_loop(self, work: Callable[[], Coroutine[Any, Any, R]]) -> R:
        """Runs something of the daemon's own on its loop."""
        return asyncio.run_coroutine_threadsafe(work(), self._loop).result(PATIENCE)

    def address(self, listener: Listener) -> str:
        return f"localhost:{self.up.port(listener)}"

    def channel(self, listener: Listener, papers: Papers | None = None) -> grpc.Channel:
        """A connection of its own to a listener, with a certificate or without."""
        made = open_channel(self.address(listener), self.authority, papers)
        self._channels.append(made)
        return made

    @property
    def authority(self) -> bytes:
        return self.state.authority[0].read_bytes()

    def operator(self, name: str) -> Operator:
        return Operator.of(self, name)

    def metric(self, name: str, **labels: str) -> float:
        """The value of a sample as a scrape would show it; 0 when there is none."""
        found = self.up.daemon.metrics.registry.get_sample_value(name, labels)
        return found or 0.0


@contextmanager
def serving(state: StateDirectory, clock: ShiftedClock | None = None) -> Iterator[Daemon]:
    """A daemon for as long as the block lasts."""
    daemon = Daemon(state, clock).start()
    try:
        yield daemon
    finally:
        daemon.stop()


@dataclass(frozen=True, slots=True)
class Papers:
    """A certificate chain and its key, PEM."""

    key: bytes
    chain: bytes


def open_channel(address: str, authority: bytes, papers: Papers | None = None) -> grpc.Channel:
    key, chain = (papers.key, papers.chain) if papers else (None, None)
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(authority, key, chain), OPTIONS)


def new_id(at: Instant | None = None) -> str:
    """A fresh UUIDv7."""
    stamp = (SystemClock().wall() if at is None else at).to_bytes(6, "big").hex()
    rest = urandom(10).hex()
    return f"{stamp[:8]}-{stamp[8:]}-7{rest[1:4]}-8{rest[5:8]}-{rest[8:20]}"


def call(channel: grpc.Channel, verb: str, request: Message, timeout: float = PATIENCE) -> Any:
    """Calls Service.Method. Raises the LicdError behind a failed call, else grpc.RpcError."""
    method = VERBS[verb]
    return raw_call(channel, verb, request.SerializeToString(), timeout, method.response.FromString)


def raw_call(
    channel: grpc.Channel, verb: str, request: bytes, timeout: float = PATIENCE, read: Callable[[bytes], R] | None = None
) -> R:
    """The same with any bytes."""
    method = VERBS[verb]
    try:
        if method.takes_stream:
            found = channel.stream_stream(method.path, None, read)(iter([request]), timeout=timeout)
            return cast("R", list(found))
        if method.gives_stream:
            return cast("R", list(channel.unary_stream(method.path, None, read)(request, timeout=timeout)))
        return cast("R", channel.unary_unary(method.path, None, read)(request, timeout=timeout))
    except grpc.RpcError as error:
        known = from_rpc_error(error)
        if isinstance(known, LicdError):
            known.__cause__ = error
            raise known from error
        raise


def code_of(error: BaseException) -> grpc.StatusCode:
    """The gRPC code that a caller saw."""
    cause = error if isinstance(error, grpc.RpcError) else error.__cause__
    assert isinstance(cause, grpc.RpcError)
    return cast("grpc.StatusCode", cause.code())  # type: ignore[attr-defined]


NUMBERS = count(1)


def fresh(word: str) -> str:
    """A name nobody has used."""
    return f"{word}-{next(NUMBERS)}"


@dataclass
class Operator:
    """A person with a certificate and a signing key."""

    name: str
    daemon: Daemon
    papers: Papers
    signer: MemorySigner
    channel: grpc.Channel = field(init=False)

    def __post_init__(self) -> None:
        self.channel = self.daemon.channel(Listener.OPERATOR, self.papers)

    @classmethod
    def of(cls, daemon: Daemon, name: str) -> Operator:
        """One whom `licd init` made."""
        folder = daemon.state.operator(name)
        papers = Papers((folder / "tls.key").read_bytes(), (folder / "tls.pem").read_bytes())
        return cls(name, daemon, papers, read_key_file(folder / "signing.key", None))

    def call(self, verb: str, request: Message) -> Any:
        """Calls with a fresh request id where the request has one and it is not set."""
        if "request_id" in request.DESCRIPTOR.fields_by_name and not request.request_id:  # type: ignore[attr-defined]
            request.request_id = new_id(self.daemon.clock.wall())  # type: ignore[attr-defined]
        return call(self.channel, verb, request)

    def sign(self, approval: operator_pb2.Approval, payload: bytes | None = None) -> operator_pb2.Approval:
        """Signs what waits: the very bytes, or others."""
        command = seal(Kind.OPERATOR_COMMAND, approval.command.payload if payload is None else payload, self.signer)
        request = approval_service_pb2.SignApprovalRequest(approval=approval.approval, command=command)
        return cast("operator_pb2.Approval", self.call("ApprovalService.SignApproval", request).approval)

    # what tests begin with

    def customer(self, name: str = "") -> str:
        name = name or fresh("customer")
        self.call("CustomerService.CreateCustomer", customer_service_pb2.CreateCustomerRequest(customer=name, name=name))
        return name

    def suspend(self, licence: str, **more: Any) -> licence_service_pb2.SuspendLicenceResponse:
        scope = licence_service_pb2.SuspensionScope(licence=licence)
        asked = {"scope": scope, "reason_code": "manual", "detail": "to be looked at"} | more
        return cast(
            "licence_service_pb2.SuspendLicenceResponse",
            self.call("LicenceService.SuspendLicence", licence_service_pb2.SuspendLicenceRequest(**asked)),
        )

    def licence_of(self, licence: str) -> operator_pb2.Licence:
        request = licence_service_pb2.GetLicenceRequest(licence=licence)
        return cast("operator_pb2.Licence", self.call("LicenceService.GetLicence", request).licence)

    def invite(self, licence: str, name: str = "") -> str:
        """A join token."""
        request = deployment_service_pb2.InviteDeploymentRequest(licence=licence, deployment=name or fresh("system"))
        answer = self.call("DeploymentService.InviteDeployment", request)
        return cast("str", answer.invitation.join_token)

    def status(self) -> status_service_pb2.GetStatusResponse:
        request = status_service_pb2.GetStatusRequest()
        return cast("status_service_pb2.GetStatusResponse", self.call("StatusService.GetStatus", request))


class Office:
    """Two persons who agree."""

    def __init__(self, daemon: Daemon, asker: str = "alice", second: str = "bob") -> None:
        self.daemon = daemon
        self.alice = daemon.operator(asker)
        self.bob = daemon.operator(second)

    def agree(self, verb: str, request: Message) -> Any:
        """Asks, and both sign. Returns the response of what was executed."""
        asked = self.alice.call(verb, request)
        if not asked.HasField("approval"):
            return asked
        self.alice.sign(asked.approval)
        done = self.bob.sign(asked.approval)
        assert done.status == operator_pb2.APPROVAL_STATUS_EXECUTED
        return VERBS[verb].response.FromString(done.result)

    def licence(self, customer: str = "", **limits: Any) -> str:
        """A licence under terms of its own; see draft()."""
        request = licence_service_pb2.IssueLicenceRequest(
            customer=customer or self.alice.customer(),
            licence=fresh("licence"),
            terms=draft(self.daemon.clock.wall(), **limits),
        )
        return cast("str", self.agree("LicenceService.IssueLicence", request).licence.licence)

    def reinstate(self, licence: str) -> operator_pb2.Licence:
        request = licence_service_pb2.ReinstateLicenceRequest(
            licence=licence,
            epoch=self.alice.licence_of(licence).epoch,
            reason_code="unfounded",
            detail="it was nothing",
        )
        return cast("operator_pb2.Licence", self.agree("LicenceService.ReinstateLicence", request).licence)

    def admit(self, name: str, *roles: str) -> Operator:
        """A new operator with these roles."""
        key = make_private_key()
        signer = MemorySigner.generate(KeyPurpose.OPERATOR, urandom)
        request = key_service_pb2.AddOperatorRequest(
            operator=name, roles=roles, public_key=signer.public_key, csr=make_request(key)
        )
        admission = self.agree("KeyService.AddOperator", request).admission
        papers = Papers(private_key_to_pem(key), admission.certificate_chain_pem.encode())
        return Operator(name, self.daemon, papers, signer)


def draft(
    now: Instant,
    *,
    cap: int = 4,
    permit_ms: Millis = 20_000,
    grace_ms: Millis = 60_000,
    systems: int = 4,
    days: int = 30,
    regions: tuple[str, ...] = ("NO", "SE"),
    extra: tuple[licence_pb2.Constraint, ...] = (),
) -> licence_service_pb2.TermsDraft:
    """Terms that the example policy takes in its lowest category."""
    pb = licence_pb2
    hours, period = 3_600_000, 90 * 24 * 3_600_000
    constraints = [
        pb.Constraint(concurrent_targets=pb.ConcurrentTargets(limit=cap)),
        pb.Constraint(distinct_targets=pb.DistinctTargets(limit=100, period_ms=period)),
        pb.Constraint(target_churn=pb.TargetChurn(limit=40, period_ms=24 * hours)),
        pb.Constraint(target_regions=pb.TargetRegions(regions=regions, bases=[pb.REGION_BASIS_NUMBER_PLAN])),
        pb.Constraint(purposes=pb.Purposes(purposes=["sar:search-and-rescue"])),
        pb.Constraint(permit_length=pb.PermitLength(length_ms=permit_ms)),
        pb.Constraint(offline_grace=pb.OfflineGrace(grace_ms=grace_ms)),
        pb.Constraint(deployments=pb.Deployments(limit=systems)),
        *extra,
    ]
    return licence_service_pb2.TermsDraft(
        not_before_ms=now,
        not_after_ms=now + days * 24 * hours,
        product="locator",
        category="low",
        constraints=constraints,
    )
