"""Ceremonies over a daemon under test: the file, the holders of its root keys, and what comes out."""

from __future__ import annotations

from collections.abc import Sequence
from os import urandom  # noqa: TID251 - keys
from pathlib import Path
from typing import Any

from licd.core.time import DAY, Instant, Millis
from licd.keys.bundle import Bundle
from licd.keys.ceremony import combine, moment, next_bundle, sign
from licd.keys.ceremony_file import parse_ceremony
from licd.keys.file_signer import create_key_file, read_key_file
from licd.keys.kinds import KeyPurpose
from licd.keys.pem_files import certificates_to_pem, write_private_key
from licd.keys.pki import make_authority
from licd.keys.private_file import EVERYBODY, write_new
from licd.keys.signer import MemorySigner, Signer
from licd.server.state_dir import StateDirectory
from licd.server.trust import Trust
from licd.v1 import key_service_pb2
from licd.v1.envelope_pb2 import Envelope
from tests.daemon import TRUST_DOMAIN, Daemon
from tests.office import Operator

SECOND = 1_000


def added(signer: Signer, begins: Instant, ends: Instant) -> str:
    return (
        f'[[add]]\npurpose = "{signer.purpose.word}"\npublic_key = "{signer.public_key.hex()}"\n'
        f"not_before = {moment(begins)}\nnot_after = {moment(ends)}\n"
    )


def retired(key_id: str, ends: Instant) -> str:
    return f'[[retire]]\nkey = "{key_id}"\nnot_after = {moment(ends)}\n'


def withdrawn(*key_ids: str) -> str:
    return "".join(f'[[withdraw]]\nkey = "{each}"\nwhy = "stolen"\n' for each in key_ids)


def dropped(*key_ids: str) -> str:
    return "".join(f'[[drop]]\nkey = "{each}"\n' for each in key_ids)


def ceremony_text(
    current: Bundle, now: Instant, *changes: str, hint: Millis = SECOND, life: Millis = 365 * DAY, head: str = ""
) -> str:
    """A ceremony file that goes on from a bundle."""
    issued = max(now - now % SECOND, current.issued_at_ms)
    issued += -issued % SECOND
    return (
        f'trust_domain = "{current.trust_domain}"\nfollows = {current.version}\nreason = "a test"\n'
        f"issued_at = {moment(issued)}\nexpires_at = {moment(issued + life)}\n"
        f"refresh_hint_seconds = {hint // SECOND}\n{head}" + "".join(changes)
    )


def held(current: Bundle, text: str, roots: Sequence[MemorySigner]) -> Envelope:
    """What the ceremony yields when these root keys sign."""
    following = next_bundle(parse_ceremony(text), current)
    whole = combine(current, following, [sign(following, root) for root in roots])
    return Envelope.FromString(whole.raw)


def root_keys(state: StateDirectory) -> list[MemorySigner]:
    return [read_key_file(state.root_key(number), None) for number in (1, 2, 3)]


class Ceremonies:
    """Holds them for one daemon, and publishes what comes of them."""

    def __init__(self, daemon: Daemon, operator: Operator) -> None:
        self.daemon = daemon
        self.operator = operator
        self.roots = root_keys(daemon.state)[:2]

    @property
    def trust(self) -> Trust:
        return self.daemon.up.daemon.trust

    @property
    def now(self) -> Instant:
        return self.daemon.clock.wall()

    def key_of(self, purpose: KeyPurpose) -> str:
        """The key of a purpose that the newest bundle names; the youngest of several."""
        keys = [key for key in self.trust.bundle.keyring if key.purpose is purpose]
        return max(keys, key=lambda key: key.not_before_ms).key_id

    def fresh_key(self, purpose: KeyPurpose, name: str) -> MemorySigner:
        """A key that lies where licd finds it."""
        path = self.daemon.state.root / "keys" / f"{purpose.word}-{name}.key"
        return create_key_file(path, purpose, passphrase=None, randomness=urandom)

    def fresh_authority(self, name: str) -> str:
        """An authority that lies where licd finds it; PEM."""
        made = make_authority(TRUST_DOMAIN, name, now_ms=self.now, life_ms=365 * DAY, randomness=urandom)
        path = self.daemon.state.root / "tls" / f"authority-{name}.pem"
        write_private_key(path.with_suffix(".key"), made.private_key)
        pem = certificates_to_pem([made.certificate])
        write_new(path, pem, EVERYBODY)
        return pem.decode()

    def add(self, signer: Signer, begins: Instant | None = None, life: Millis = 90 * DAY) -> str:
        start = self.now - self.now % SECOND if begins is None else begins
        return added(signer, start, start + life)

    def text(self, *changes: str, **more: Any) -> str:
        return ceremony_text(self.trust.bundle, self.now, *changes, **more)

    def hold(self, *changes: str, **more: Any) -> Envelope:
        return held(self.trust.bundle, self.text(*changes, **more), self.roots)

    def publish(self, *changes: str, **more: Any) -> key_service_pb2.TrustPublication:
        """Holds one and puts it in force."""
        return self.publish_envelope(self.hold(*changes, **more)).publication

    def publish_envelope(self, envelope: Envelope) -> key_service_pb2.PublishTrustBundleResponse:
        request = key_service_pb2.PublishTrustBundleRequest(bundle=envelope)
        answer: key_service_pb2.PublishTrustBundleResponse = self.operator.call(
            "KeyService.PublishTrustBundle", request
        )
        return answer


def save(path: Path, text: str) -> Path:
    path.write_text(text)
    return path
