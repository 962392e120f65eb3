"""What an offline check costs, against the raw Ed25519 verifications it contains. Times, in this one process.

The yardstick is the verification that a program would do itself, with `cryptography` (OpenSSL); licd's own is of
another library (ADR 0035), and the note says what it costs alone.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from licd.client import offline
from licd.client.system import System
from licd.keys.kinds import KeyPurpose
from licd.keys.public_key import parse_public_key
from licd.keys.signer import MemorySigner
from licd.v1.envelope_pb2 import Envelope
from licd.v1.session_pb2 import Permit
from licd.v1.session_service_pb2 import OpenSessionRequest
from tests.bench import clock
from tests.bench.measures import Measured, run_on_loop
from tests.bench.raw import RawSystem
from tests.bench.stage import LICENCE, Enrolled, Stage, bundle, invite
from tests.bench.stream import terms

ROUNDS = 15
MESSAGE_BYTES = 195
MICROS = 1e6


def _time(call: Callable[[], Any], times: int) -> float:
    """Seconds of this thread's processor for one call."""
    started = clock.cpu_seconds()
    for _ in range(times):
        call()
    return (clock.cpu_seconds() - started) / times


def _alternate(ours: Callable[[], Any], yardstick: Callable[[], Any], times: tuple[int, int]) -> tuple[float, float]:
    rounds = [(_time(ours, times[0]), _time(yardstick, times[1])) for _ in range(ROUNDS)]
    return statistics.median(each for each, _ in rounds), statistics.median(each for _, each in rounds)


def _raw_verify() -> Callable[[], Any]:
    key = Ed25519PrivateKey.generate()
    message = clock.random(MESSAGE_BYTES)
    signature, public = key.sign(message), key.public_key()
    return lambda: public.verify(signature, message)


def _own_verify() -> Callable[[], Any]:
    signer = MemorySigner.generate(KeyPurpose.PERMIT_ONLINE, clock.random)
    message = clock.random(MESSAGE_BYTES)
    signature, public = signer.sign(message), parse_public_key(signer.public_key)
    return lambda: public.verify(signature, message)


def _measured(key: str, ours: float, verify: float, goal: float) -> Measured:
    sides = {"check": ours * MICROS, "verify": verify * MICROS}
    return Measured(key, ours / verify, goal, higher_is_better=False, sides=sides, unit="us")


def check_cached_vs_verify(stage: Stage, systems: Sequence[Enrolled]) -> Measured:
    """lease.check() of a held lease in the SDK against one raw verification."""
    (token,) = invite(stage, LICENCE, [f"checks-{clock.now_ms()}"]).values()

    async def measured() -> tuple[float, float]:
        with tempfile.TemporaryDirectory(prefix="licd-bench-sdk-") as folder:
            await System.enrol(token, folder)
            async with (
                System.open(Path(folder), region="AT") as system,
                system.lease(clock.random(32), **terms()) as lease,
            ):
                return _alternate(lease.check, _raw_verify(), (20_000, 500))

    ours, verify = run_on_loop(measured)
    return _measured("check_cached_vs_verify", ours, verify, 0.02)


def check_cold_vs_verify(stage: Stage, systems: Sequence[Enrolled]) -> Measured:
    """A fresh licence and a fresh permit checked offline, against the two raw verifications they contain."""

    async def permit() -> tuple[bytes, bytes]:
        system = RawSystem(systems[-1])
        request = system.link([], [], opens=True)
        answer = await system.stub.OpenSession(OpenSessionRequest(link=request))
        await system.close()
        return answer.reply.SerializeToString(), answer.licence.SerializeToString()

    permit_bytes, licence_bytes = run_on_loop(permit)
    trusted = offline.read_bundle(bundle(stage))
    now = Permit.FromString(Envelope.FromString(permit_bytes).payload).header.decided_ms

    def cold() -> None:
        offline.check_licence(licence_bytes, trusted, now)
        offline.check_permit(permit_bytes, trusted, now, system=systems[-1].system)

    raw = _raw_verify()

    def both() -> None:
        raw()
        raw()

    ours, verify = _alternate(cold, both, (300, 300))
    _, own = _alternate(cold, _own_verify(), (30, 300))
    note = f"licd's own verification alone: {own * MICROS:.1f} us; against two of those {ours / (2 * own):.2f}"
    return replace(_measured("check_cold_vs_verify", ours, verify, 1.15), note=note)
