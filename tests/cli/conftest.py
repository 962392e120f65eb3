import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from typer.testing import CliRunner, Result

from licd.cli.main import app
from licd.cli.surroundings import Surroundings
from licd.core.time import Instant, Millis
from licd.keys.file_signer import create_key_file
from licd.keys.kinds import KeyPurpose
from licd.keys.signer import MemorySigner
from tests.cli.fake_licd import FakeLicd

NOW: Instant = 1_772_366_400_000  # 2026-03-01T12:00:00Z


@dataclass
class FakeClock:
    """Stands still, unless somebody sleeps."""

    at: Instant = NOW
    slept: list[Millis] = field(default_factory=list)

    def now(self) -> Instant:
        return self.at

    def elapsed(self) -> Millis:
        return self.at - NOW

    def sleep(self, span: Millis) -> None:
        self.slept.append(span)
        self.at += span


class Chance:
    """Different bytes at every call, the same in every run."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, size: int) -> bytes:
        self.calls += 1
        return self.calls.to_bytes(4, "big").rjust(size, b"\x5a")[-size:]


@dataclass
class Licctl:
    """licctl on an operator's machine, beside a licd that a test scripts."""

    licd: FakeLicd
    folder: Path
    clock: FakeClock
    keys: dict[str, MemorySigner]
    environment: dict[str, str]
    secrets: list[str]

    def __call__(self, *arguments: str, name: str = "anna", answer: str = "") -> Result:
        """Runs one command as an operator."""
        return self.bare("--state", str(self.folder), "--as", name, *arguments, answer=answer)

    def bare(self, *arguments: str, answer: str = "") -> Result:
        """Runs one command with these arguments and no others."""
        surroundings = Surroundings(
            clock=self.clock,
            randomness=Chance(),
            environment=self.environment,
            open_channel=lambda settings: grpc.insecure_channel(settings.address),
            ask_secret=lambda prompt: self.secrets.pop(0),
        )
        return CliRunner().invoke(app, arguments, obj=surroundings, input=answer, catch_exceptions=False)

    def json(self, *arguments: str, name: str = "anna", exit_code: int = 0) -> Any:
        """Runs one command for a program, and reads what it printed."""
        result = self(*arguments, "--output", "json", name=name)
        assert result.exit_code == exit_code, result.output
        return json.loads(result.stdout)


def write_operator(folder: Path, name: str, address: str) -> MemorySigner:
    """One operator's folder, as `licd init` makes it, with an unprotected signing key."""
    own = folder / "operators" / name
    own.mkdir(parents=True)
    lines = {"address": address, "ca": "ca.pem", "certificate": "c.pem", "key": "k.pem", "signing_key": "signing.key"}
    text = "".join(f"{key} = {json.dumps(value)}\n" for key, value in (lines | {"operator": name}).items())
    (own / "licctl.toml").write_text(text)
    seed = name.encode().ljust(32, b"\0")
    return create_key_file(own / "signing.key", KeyPurpose.OPERATOR, passphrase=None, randomness=lambda size: seed)


@pytest.fixture
def licd() -> Iterator[FakeLicd]:
    fake = FakeLicd()
    yield fake
    fake.stop()


@pytest.fixture
def licctl(licd: FakeLicd, tmp_path: Path) -> Licctl:
    folder = tmp_path / "state"
    keys = {name: write_operator(folder, name, licd.address) for name in ("anna", "bert")}
    (folder / "operators" / "default").write_text("anna\n")
    return Licctl(licd, folder, FakeClock(), keys, {"HOME": str(tmp_path)}, [])
