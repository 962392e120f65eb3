"""From a state directory to a daemon behind TLS, and down again without losing a call."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, cast

import grpc
import structlog

from licd.core.errors import DatabaseFailed, Invalid, ShuttingDown
from licd.core.time import SECOND, Millis
from licd.keys.errors import KeysError
from licd.keys.pem_files import MAX_PEM_BYTES, certificates_from_pem, read_private_key
from licd.keys.private_file import read_private, read_public
from licd.ledger.database import SqliteConnection
from licd.ledger.verbs.clock import Beat
from licd.policy import Policies, load
from licd.server.caller import Listener
from licd.server.clock import SystemClock, entropy, stopwatch
from licd.server.config import Listen, ServerConfig, read_config
from licd.server.connections import budget
from licd.server.exposition import Exposition, serve_metrics
from licd.server.grpc_server import GrpcListener, options_of
from licd.server.intake.http import HttpListener
from licd.server.intake.opening import open_intake
from licd.server.jobs import Schedule
from licd.server.main import Daemon, Seams, build
from licd.server.notify import Supervisor
from licd.server.ratchet import Ratchet
from licd.server.reader import ThreadReader
from licd.server.reserve import MEBIBYTE, FileReserve
from licd.server.secrets import read_secrets
from licd.server.state_dir import DirectoryLock, StateDirectory
from licd.server.store import Store
from licd.server.writer import ThreadWriter

logger = structlog.get_logger("licd.serve")

NO_PASSPHRASE: Final = None
UNWATCHED: Final[Millis] = 10 * SECOND
BEHIND: Final = "behind: "
BEHIND_PERIOD: Final = 1.0
GC_THRESHOLD: Final = (50_000, 20, 20)


@dataclass(frozen=True, slots=True)
class Running:
    """A daemon that serves."""

    daemon: Daemon
    listeners: tuple[GrpcListener, ...]
    metrics: Exposition
    intake: HttpListener | None = None

    def port(self, listener: Listener) -> int:
        """The port a listener really has."""
        return next(each.port for each in self.listeners if each.listener is listener)


class ServerCertificate:
    """A listener's certificate, read again when its files change: renewed without a restart.

    One for each listener: who has told one of them of a change has told no other.
    """

    def __init__(self, state: StateDirectory, authorities: Callable[[], str]) -> None:
        """Authorities are those that callers' certificates are believed from, PEM."""
        self._chain, self._key = state.server
        self._authorities: Final = authorities
        self._seen: tuple[object, ...] = ()

    def configuration(self) -> grpc.ServerCertificateConfiguration:
        """The certificate as it is on the disk now. Raises KeysError, OSError."""
        seen = self._changed_at()
        chain, key = read_public(self._chain, MAX_PEM_BYTES), read_private(self._key, MAX_PEM_BYTES)
        if certificates_from_pem(chain)[0].public_key() != read_private_key(self._key).public_key():
            raise KeysError(f"{self._key} is not the key of {self._chain}")
        self._seen = seen
        roots = self._authorities().encode()
        return grpc.ssl_server_certificate_configuration([(key, chain)], root_certificates=roots)

    def _changed_at(self) -> tuple[object, ...]:
        return *(each.stat().st_mtime_ns for each in (self._chain, self._key)), self._authorities()

    def changed(self) -> grpc.ServerCertificateConfiguration | None:
        """Called at each handshake: the new configuration, or None to go on with the old."""
        try:
            return self.configuration() if self._changed_at() != self._seen else None
        except (KeysError, OSError) as error:  # one file is there and the other not yet: the next handshake looks again
            logger.warning("the listeners' certificate is not taken; the old one goes on", error=str(error))
            return None

    def credentials(self, *, clients: bool, begun: Callable[[], None]) -> grpc.ServerCredentials:
        """Credentials of a listener; clients says whether it asks callers for a certificate.

        begun is called at each handshake. How it ends gRPC tells nobody but its own log.
        """

        def fetch() -> grpc.ServerCertificateConfiguration | None:
            begun()
            return self.changed()

        return grpc.dynamic_ssl_server_credentials(
            self.configuration(), cast("Callable[[], grpc.ServerCertificateConfiguration]", fetch), clients
        )


@asynccontextmanager
async def running(
    state: StateDirectory, passphrase: bytes | None = NO_PASSPHRASE, database: str = ""
) -> AsyncIterator[Running]:
    """A daemon on a state directory, serving until the block ends; then drained and closed.

    database is the address of its rows where licd.toml does not say the one that is meant. Raises Invalid, KeysError,
    LogRefused, SchemaRefused, StoreFailed when it cannot start on this directory.
    """
    config = read_config(state.root)
    store = Store.of(state, config).at(database)
    lock = DirectoryLock(state)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(lock.release)
        ratchet = Ratchet(state.root / config.ratchet)
        stack.callback(ratchet.close)
        policies = load(state.root / config.policies)
        daemon = _daemon(store, config, policies, passphrase, ratchet, stack)
        stack.push_async_callback(daemon.writer.close)
        remembering = asyncio.get_running_loop().create_task(_remember_behind(daemon, ratchet))
        stack.callback(remembering.cancel)
        listeners = await _listeners(state, config, daemon, stack)
        metrics = _metrics(config, daemon)
        stack.callback(metrics.close)
        intake = None
        if config.intake.listen:
            strangers = _reader(store, stack)
            intake = await open_intake(state, config.intake, policies.allegations, daemon, strangers, stack)
        schedule = Schedule(daemon.jobs)
        await daemon.jobs.observe()
        schedule.start()
        if store.shared:
            for work in (daemon.jobs.follow(), daemon.jobs.hear(store.announcements)):
                stack.callback(asyncio.get_running_loop().create_task(work).cancel)
        daemon.resealing.begin()
        stack.push_async_callback(schedule.close)
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLD)
        yield Running(daemon, listeners, metrics, intake)
        await _drain(daemon, listeners, config.limits.drain_seconds)


async def _remember_behind(daemon: Daemon, ratchet: Ratchet) -> None:
    """Writes down that the rows are behind, so that the next start knows it too, and since when nothing is granted."""
    while not (why := _behind_of(daemon)):  # noqa: ASYNC110 -- a system's link may show it at any time
        await asyncio.sleep(BEHIND_PERIOD)
    if ratchet.high.silent_since:
        return
    logger.error("licd is behind what it has answered and grants nothing; see `licd reconcile`", why=why)
    try:
        ratchet.note_behind(SystemClock().wall(), why)
    except OSError as error:
        logger.error("the ratchet was not written", error=str(error))  # noqa: TRY400 -- the line says it all


def _behind_of(daemon: Daemon) -> str:
    marked = (each for each in daemon.ledger.impediments() if each.startswith(BEHIND))
    return next(marked, "").removeprefix(BEHIND)


def _daemon(
    store: Store,
    config: ServerConfig,
    policies: Policies,
    passphrase: bytes | None,
    ratchet: Ratchet,
    stack: contextlib.AsyncExitStack,
) -> Daemon:
    state = store.state
    secrets = read_secrets(state, config.trust_domain, passphrase)
    store.make_ready()
    connection = store.connect()
    stack.callback(connection.close)
    reader, urgent_reader = _reader(store, stack), _reader(store, stack)
    reserve = FileReserve(state.reserve, config.limits.reserve_mebibytes * MEBIBYTE)
    if not reserve.restore():
        logger.warning("no room for the disk reserve; a suspension could fail on a full disk", path=str(state.reserve))
    loop = asyncio.get_running_loop()
    seams = Seams(
        clock=SystemClock(),
        random=entropy,
        stopwatch=stopwatch,
        make_writer=lambda ledger: ThreadWriter(
            ledger, connection if isinstance(connection, SqliteConnection) else None
        ),
        reader=reader,
        urgent_reader=urgent_reader,
        reserve=reserve,
        held=state.held,
        call_soon=loop.call_soon_threadsafe,
        listener_certificate=lambda: certificates_from_pem(state.server[0].read_bytes())[0],
    )
    daemon = build(config, policies, secrets, connection, seams, answered=ratchet.high)
    daemon.ledger.observe(ratchet)
    return daemon


def _reader(store: Store, stack: contextlib.AsyncExitStack) -> ThreadReader:
    reader = ThreadReader(store.connect(readonly=True))
    stack.callback(reader.close)
    return reader


async def _listeners(
    state: StateDirectory, config: ServerConfig, daemon: Daemon, stack: contextlib.AsyncExitStack
) -> tuple[GrpcListener, ...]:
    listen = config.listen
    wall = SystemClock().wall
    connections = budget(config.limits)
    listeners = tuple(
        GrpcListener(
            listener,
            address,
            ServerCertificate(state, daemon.authorities.believed_pem).credentials(
                clients=clients, begun=partial(daemon.metrics.handshake, listener.value)
            ),
            daemon.dispatch,
            config.trust_domain,
            wall,
            options_of(listener, connections[listener], config.limits),
        )
        for listener, address, clients in (
            (Listener.ENROLMENT, listen.enrolment, False),
            (Listener.CUSTOMER, listen.customer, True),
            (Listener.OPERATOR, listen.operator, True),
        )
    )
    for each in listeners:
        await _open(each, listen)
        stack.push_async_callback(each.stop, 0)
    host = config.listen.customer.rpartition(":")[0]
    daemon.addresses.enrolment = config.advertise.enrolment or f"{host}:{listeners[0].port}"
    daemon.addresses.customer = config.advertise.customer or f"{host}:{listeners[1].port}"
    return listeners


async def _open(listener: GrpcListener, listen: Listen) -> None:
    name = listener.listener.value
    try:
        await listener.start()
    except ShuttingDown as error:
        problem = f"cannot listen on {getattr(listen, name)}; is the port taken, or the address another machine's?"
        raise Invalid(problem, field=f"listen.{name}") from error


def _metrics(config: ServerConfig, daemon: Daemon) -> Exposition:
    host, _, port = config.listen.metrics.rpartition(":")
    try:
        return serve_metrics(daemon.metrics.registry, host, int(port))
    except OSError as error:
        raise Invalid(f"cannot listen on {config.listen.metrics}: {error}", field="listen.metrics") from error


async def _drain(daemon: Daemon, listeners: tuple[GrpcListener, ...], seconds: float) -> None:
    """Health says no, running calls finish, streams end; then the ports close."""
    stopping = asyncio.gather(*(each.stop(seconds) for each in listeners))
    await asyncio.sleep(0)
    daemon.push.close_all()
    await stopping


async def serve(root: Path, passphrase: bytes | None = NO_PASSPHRASE, database: str = "") -> None:
    """Serves until SIGTERM or SIGINT. database as of `running`."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    supervisor = Supervisor(os.environ)
    async with running(StateDirectory(root), passphrase, database) as up:
        supervisor.ready()
        logger.info(
            "licd serves",
            **{each.listener.value: each.port for each in up.listeners},
            metrics=up.metrics.port,
            **({"intake": up.intake.port} if up.intake else {}),
            log_entries=up.daemon.ledger.log_size,
            impediments=list(up.daemon.impediments()),
        )
        watching = loop.create_task(_watch(up.daemon, supervisor))
        watching.add_done_callback(lambda _: stop.set())
        await stop.wait()
        if not watching.cancel():
            watching.result()
        supervisor.stopping()
        logger.info("licd drains and stops")


async def _watch(daemon: Daemon, supervisor: Supervisor) -> None:
    """Tells systemd that licd lives, while the ledger answers. Ends only by failing, and licd with it.

    A server that cannot be reached is an answer: a failover takes longer than systemd starts a service anew.
    """
    period = supervisor.watchdog_period or UNWATCHED
    while True:
        try:
            await daemon.writer.execute(Beat())
        except DatabaseFailed as error:
            if not daemon.ledger.shared:
                raise
            logger.warning("the database does not answer; licd waits for it", error=str(error))
        supervisor.alive()
        await asyncio.sleep(period / SECOND)
