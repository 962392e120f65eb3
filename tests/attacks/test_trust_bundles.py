"""Somebody who serves an honest system trust bundles of his choice: old ones, none, or ones from the future."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from licd.client.sync import System
from licd.client.transport import Method
from licd.core.time import HOUR, MINUTE, Millis
from licd.keys.envelope import seal
from licd.keys.file_signer import read_key_file
from licd.keys.kinds import KeyPurpose, Kind
from licd.keys.signer import MemorySigner
from licd.v1 import enrolment_service_pb2, key_service_pb2
from licd.v1.envelope_pb2 import Envelope
from licd.v1.trust_pb2 import TrustBundle, TrustBundleChain
from tests.attacks.wire import Honest, asked, eventually
from tests.office import Office


class Ceremony:
    """The roots of the installation, and what they would sign."""

    def __init__(self, office: Office) -> None:
        state = office.daemon.state
        self.roots = [read_key_file(state.root_key(number), None) for number in (1, 2, 3)]
        exported = office.alice.call("KeyService.ExportTrustBundle", key_service_pb2.ExportTrustBundleRequest())
        self.first: Envelope = exported.trust.bundles[0]

    def bundle(
        self, version: int, *, life: Millis = 0, signers: Sequence[MemorySigner] = (), hint: Millis = MINUTE
    ) -> Envelope:
        """The first bundle again, under another number; life is how long it is good for, if not as the first."""
        message = TrustBundle.FromString(self.first.payload)
        message.version = version
        message.issued_at_ms += version
        message.refresh_hint_ms = hint
        if life:
            message.expires_at_ms = message.issued_at_ms + life
        payload = message.SerializeToString(deterministic=True)
        return seal(Kind.TRUST_BUNDLE, payload, *(signers or self.roots[:2]))


class Served:
    """Answers GetTrustBundle with these bundles, whatever licd would say; counts how often it was asked."""

    def __init__(self, *bundles: Envelope) -> None:
        self.bundles = list(bundles)
        self.asked = 0

    def answer(self, method: Method, answer: bytes) -> bytes:
        if method is not Method.GET_TRUST_BUNDLE:
            return answer
        self.asked += 1
        trust = TrustBundleChain(bundles=self.bundles)
        return enrolment_service_pb2.GetTrustBundleResponse(trust=trust).SerializeToString()


@contextmanager
def at_version_2(office: Office, directory: Path, second: Envelope) -> Iterator[tuple[Honest, Served, System]]:
    """A system at work that has taken the second bundle."""
    honest, served = Honest.enrolled(office, directory), Served(second)
    honest.wire.changes_answer = served.answer
    with honest.opened() as system:
        system.acquire(**asked(1))
        fetch(honest, served, system)
        eventually(lambda: system.status.bundle_version == 2, system)
        yield honest, served, system


def fetch(honest: Honest, served: Served, system: System) -> None:
    """Lets the time come at which the system asks for a newer bundle, until it has asked."""
    before = served.asked
    for _ in range(40):
        honest.clock.advance(HOUR if system.status.bundle_version == 1 else MINUTE)
        for _ in range(200):
            if served.asked > before:
                return
            system.status  # noqa: B018 -- a round trip through the system's own thread
    pytest.fail("it never asked for a newer bundle")


@pytest.fixture
def ceremony(office: Office) -> Ceremony:
    return Ceremony(office)


def test_trust_bundle_rollback(office: Office, ceremony: Ceremony, tmp_path: Path):
    with at_version_2(office, tmp_path, ceremony.bundle(2)) as (honest, served, system):
        served.bundles = [ceremony.first]
        fetch(honest, served, system)
        served.bundles = [ceremony.bundle(1, hint=1)]
        fetch(honest, served, system)
        assert system.status.bundle_version == 2
    with honest.opened() as system:
        assert system.status.bundle_version == 2, "the directory keeps what was newest"


def test_trust_bundle_fast_forward(office: Office, ceremony: Ceremony, tmp_path: Path):
    """A version far ahead would be the last that any honest bundle could follow; one too few roots is none at all."""
    with at_version_2(office, tmp_path, ceremony.bundle(2)) as (honest, served, system):
        thief = MemorySigner(KeyPurpose.ROOT, b"\x66" * 32)
        for bundle in (
            ceremony.bundle(1 << 40),
            ceremony.bundle(4),
            ceremony.bundle(3, signers=ceremony.roots[:1]),
            ceremony.bundle(3, signers=[ceremony.roots[0], thief]),
        ):
            served.bundles = [bundle]
            fetch(honest, served, system)
            assert system.status.bundle_version == 2
        served.bundles = [ceremony.bundle(3)]
        fetch(honest, served, system)
        eventually(lambda: system.status.bundle_version == 3, system)


def test_trust_bundle_freeze(office: Office, ceremony: Ceremony, tmp_path: Path):
    """Kept from newer bundles, a system believes nothing new once its own has run out."""
    issued = TrustBundle.FromString(ceremony.first.payload).issued_at_ms
    life = office.daemon.clock.wall() - issued + MINUTE
    with at_version_2(office, tmp_path, ceremony.bundle(2, life=life + 2 * HOUR)) as (honest, served, system):
        served.bundles = []
        honest.clock.advance(4 * HOUR)
        with pytest.raises(TimeoutError):
            system.acquire(**asked(2, 1))
        assert system.status.dropped
        served.bundles = [ceremony.bundle(3)]
        honest.clock.advance(MINUTE)
        assert system.acquire(**asked(2)).check() > 0
