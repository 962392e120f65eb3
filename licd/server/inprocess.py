"""The daemon inside another program that brings clock, disk and network of its own: the deterministic simulation.

Bytes and certificates go in and bytes or a LicdError come out, as over gRPC. What is left out is TLS and gRPC itself.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

from google.protobuf.message import Message

from licd.core.errors import LicdError
from licd.keys.file_signer import read_key_file
from licd.keys.pem_files import load_authority
from licd.keys.signer import Signer
from licd.ledger.database import Connection, StoreFailed
from licd.ledger.ledger import BatchFigures
from licd.ledger.log import LogRefused
from licd.ledger.timekeeper import Clock
from licd.ledger.transaction import Committed
from licd.policy import Policies, load
from licd.server.config import Advertise, ServerConfig, read_config
from licd.server.incoming import CertificateReader, parsed
from licd.server.initialise import Origin, Wishes, initialise
from licd.server.main import Daemon, Seams, build
from licd.server.memory_database import MemoryDatabase
from licd.server.memory_server import MemoryServer, ServerRows
from licd.server.methods import METHODS
from licd.server.ratchet import High
from licd.server.reader import InlineReader
from licd.server.reserve import NoReserve
from licd.server.secrets import Secrets, Spare, read_secrets
from licd.server.state_dir import StateDirectory
from licd.server.writer import LoopWriter
from licd.wire.errors import from_status, to_status

__all__ = [
    "Host",
    "InProcess",
    "LicdError",
    "LogRefused",
    "MemoryDatabase",
    "MemoryRatchet",
    "MemoryServer",
    "Origin",
    "Premises",
    "ServerRows",
    "StoreFailed",
    "furnish",
]


@dataclass(frozen=True, slots=True)
class OperatorPapers:
    """What one operator has: the certificate he calls with and the key he signs with."""

    name: str
    certificate: bytes
    signer: Signer


@dataclass(frozen=True, slots=True)
class Premises:
    """A new installation, read into memory: the same for any number of daemons."""

    config: ServerConfig
    policies: Policies
    secrets: Secrets
    server_certificate: Path
    database: bytes
    operators: tuple[OperatorPapers, ...]


def furnish(root: Path, policies: Path, operators: Sequence[str], origin: Origin) -> Premises:
    """Makes a state directory as `licd init` does and reads all of it. Raises what `initialise` raises."""
    initialise(root, Wishes("licd.example", operators, ["127.0.0.1"], 7441, policies, None), origin)
    state = StateDirectory(root)
    config = read_config(root)
    advertised = Advertise(enrolment="enrolment.licd.example:7441", customer="customer.licd.example:7442")
    return Premises(
        config=config.model_copy(update={"advertise": advertised}),
        policies=load(root / config.policies),
        secrets=_read_once(state, config.trust_domain),
        server_certificate=state.server[0],
        database=_image(state.database),
        operators=tuple(_papers(state, name) for name in operators),
    )


def _read_once(state: StateDirectory, trust_domain: str) -> Secrets:
    secrets = read_secrets(state, trust_domain, None)
    return replace(secrets, authority=load_authority(trust_domain, *state.authority), spare=Spare)


def _papers(state: StateDirectory, name: str) -> OperatorPapers:
    folder = state.operator(name)
    return OperatorPapers(name, (folder / "tls.pem").read_bytes(), read_key_file(folder / "signing.key", None))


def _image(database: Path) -> bytes:
    raw = sqlite3.connect(str(database))
    try:
        raw.execute("PRAGMA journal_mode=DELETE")  # a database in memory has no write-ahead log
        return raw.serialize()
    finally:
        raw.close()


class MemoryRatchet:
    """What was answered, on a disk of its own that outlives the rows: as the ratchet's file, in memory."""

    def __init__(self) -> None:
        self.high: Final = High()

    def committed(self, done: Committed, figures: BatchFigures) -> None:
        """Before the answers of a batch go out."""
        for each in done.directives:
            self.high.log_size = max(self.high.log_size, done.log_size)
            self.high.epochs[each.licence] = max(self.high.epochs.get(each.licence, 0), each.epoch)

    def failed(self, why: str) -> None:
        """Nothing was changed."""


class Frames(Protocol):
    """A stream as its carrier sees it: bytes both ways."""

    async def read(self) -> bytes | None:
        """The next frame; None when the other side has finished."""
        ...

    async def write(self, frame: bytes, /) -> None:
        """Sends a frame."""
        ...


@dataclass(frozen=True, slots=True)
class Host:
    """What one daemon runs on: its clocks, chance, and how long its writer pauses around each batch."""

    clock: Clock
    random: Callable[[int], bytes]
    pause: Callable[[], Awaitable[None]]
    call_soon: Callable[..., object]
    held: Callable[[], bool]


class InProcess:
    """One daemon, from its start to its end."""

    def __init__(self, premises: Premises, database: Connection, host: Host, ratchet: MemoryRatchet) -> None:
        """Starts it on these rows. Raises LogRefused."""
        secrets = premises.secrets
        seams = Seams(
            clock=host.clock,
            random=host.random,
            stopwatch=lambda: 0,
            make_writer=lambda ledger: LoopWriter(ledger, host.pause),
            reader=InlineReader(database),
            urgent_reader=InlineReader(database),
            reserve=NoReserve(),
            held=host.held,
            call_soon=host.call_soon,
            listener_certificate=lambda: secrets.authority.certificate,
        )
        self.daemon: Final[Daemon] = build(
            premises.config, premises.policies, secrets, database, seams, answered=ratchet.high
        )
        self.daemon.ledger.observe(ratchet)
        self._certificates: Final = CertificateReader(premises.config.trust_domain, host.clock.wall)

    async def call(self, path: str, request: bytes, certificate: bytes | None, address: str) -> bytes:
        """A unary call. Raises LicdError as its caller would read it."""
        method = METHODS[path]
        try:
            caller = self._certificates.caller(method.listener, certificate, address)
            answer = await self.daemon.dispatch.call(path, parsed(method.request, request), caller)
        except LicdError as error:
            raise _as_read(error) from error
        return answer.SerializeToString()

    async def stream(self, path: str, frames: Frames, certificate: bytes | None, address: str) -> None:
        """A stream, until one side ends it. Raises LicdError as its caller would read it."""
        method = METHODS[path]
        try:
            caller = self._certificates.caller(method.listener, certificate, address)
            await self.daemon.dispatch.stream(path, _Messages(frames, path), caller)
        except LicdError as error:
            raise _as_read(error) from error


class _Messages:
    """Frames of bytes as frames of messages."""

    def __init__(self, frames: Frames, path: str) -> None:
        self._frames: Final = frames
        self._kind: Final = METHODS[path].request

    async def read(self) -> Message | None:
        raw = await self._frames.read()
        return None if raw is None else parsed(self._kind, raw)

    async def write(self, frame: Message, /) -> None:
        await self._frames.write(frame.SerializeToString())


def _as_read(error: LicdError) -> LicdError:
    return from_status(to_status(error))
