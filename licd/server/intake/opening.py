"""Opens the intake, where it is configured: its keys, its certificate, its port."""

from __future__ import annotations

import ssl
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import structlog

from licd.core.errors import Behind, Conflict, Invalid
from licd.keys.blinding import BlindingKey, make_blinding_key, read_blinding_key
from licd.keys.errors import KeysError
from licd.keys.letter import read_office_key
from licd.ledger.rows import NUMBER_KEYS
from licd.ledger.verbs.allegations import THE_KEY
from licd.policy.allegations import AllegationPolicy
from licd.server.allegation_metrics import IntakeCounter
from licd.server.clock import SystemClock, entropy
from licd.server.config import Intake as IntakeConfig
from licd.server.intake.http import HttpListener
from licd.server.intake.intake import Intake
from licd.server.intake.pages import refusal
from licd.server.main import Daemon
from licd.server.quota import Quota, Rate
from licd.server.reader import Reader
from licd.server.state_dir import StateDirectory

logger = structlog.get_logger("licd.intake")

NUMBER_KEY: Final = Path("keys/number-blinding.key")


async def open_intake(
    state: StateDirectory,
    config: IntakeConfig,
    policy: AllegationPolicy,
    daemon: Daemon,
    reader: Reader,
    stack: AsyncExitStack,
) -> HttpListener:
    """Listens until the stack is closed. Raises Invalid, KeysError, OSError, naming what is missing or wrong."""
    clock = SystemClock()
    intake = Intake(
        writer=daemon.writer,
        reader=reader,
        policy=policy,
        office_key=read_office_key(state.root / config.compliance_key),
        blinding=await _blinding_key(state, reader),
        quota=Quota(Rate(config.requests_per_second, config.requests_at_once)),
        random=entropy,
        wall=daemon.ledger.timekeeper.now,
        boot=clock.boot,
        count=IntakeCounter(daemon.metrics.registry).count,
    )
    try:
        await intake.commit()
    except Behind as error:
        logger.warning("the intake takes nothing until licd is reconciled", error=str(error))
    except Conflict as error:
        raise Invalid(f"{state.root / NUMBER_KEY}: {error.detail}", field="intake") from error
    listener = HttpListener(intake.answer, refusal, config.connections, float(config.exchange_seconds))
    host, _, port = config.listen.rpartition(":")
    try:
        await listener.start(host, int(port), _tls(state, config))
    except OSError as error:
        raise Invalid(f"cannot listen on {config.listen}: {error}", field="intake.listen") from error
    stack.push_async_callback(listener.stop)
    return listener


async def _blinding_key(state: StateDirectory, reader: Reader) -> BlindingKey:
    """The key that is here; a new one only where the log has not committed to any."""
    path = state.root / NUMBER_KEY
    if path.exists():
        return read_blinding_key(path)
    committed = await reader.run(lambda connection: NUMBER_KEYS.get(connection, THE_KEY))
    if committed is not None:
        problem = (
            f"numbers were blinded before with a key that is not here; bring {path} from the other replica or backup"
        )
        raise Invalid(problem, field="intake")
    return make_blinding_key(path, entropy)


def _tls(state: StateDirectory, config: IntakeConfig) -> ssl.SSLContext | None:
    if config.certificate is None or config.key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    chain, key = state.root / config.certificate, state.root / config.key
    try:
        context.load_cert_chain(chain, key)
    except (OSError, ssl.SSLError) as error:
        raise KeysError(f"{chain} and {key} are no certificate with its key: {error}") from error
    return context
