"""What an operator needs to act: address, certificate, signing key; and the figures of the policy that is in force."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

import licd
from licd.keys.file_signer import read_key_file
from licd.keys.signer import Signer
from simulator.addresses import target_of
from simulator.clock import SECOND, Millis


@dataclass(frozen=True, slots=True)
class OperatorPapers:
    """One operator, from the directory that `licd init` made for him."""

    name: str
    address: str
    authority: bytes
    certificate: bytes
    key: bytes
    signer: Signer

    @classmethod
    def read(cls, state: Path, name: str) -> OperatorPapers:
        """Raises OSError, KeyFileError."""
        folder = state / "operators" / name
        settings = tomllib.loads((folder / "licctl.toml").read_text(encoding="utf-8"))
        return cls(
            name=name,
            address=settings["address"],
            authority=(folder / settings["ca"]).read_bytes(),
            certificate=(folder / settings["certificate"]).read_bytes(),
            key=(folder / settings["key"]).read_bytes(),
            signer=read_key_file(folder / settings["signing_key"], None),
        )

    def channel(self) -> grpc.aio.Channel:
        """A channel to the operators' listener, mTLS; of several replicas to one that answers."""
        credentials = grpc.ssl_channel_credentials(self.authority, self.key, self.certificate)
        target, options = target_of(self.address)
        return grpc.aio.secure_channel(target, credentials, [("grpc.enable_http_proxy", 0), *options])


@dataclass(frozen=True, slots=True)
class PolicyFigures:
    """What the simulator itself reads in a folder of policies."""

    act: Millis
    skew: Millis
    rate_error: int
    terms: dict[str, Millis]
    """How long a licence from each template lasts."""
    products: dict[str, str]
    """What a licence from each template is for."""

    @classmethod
    def read(cls, policies: Path) -> PolicyFigures:
        """Raises OSError, KeyError, tomllib.TOMLDecodeError."""
        defaults = _toml(policies / "defaults.toml")
        templates = [path for path in (policies / "licences").glob("*.toml") if not path.name.endswith(".test.toml")]
        read = {path.stem: _toml(path) for path in templates}
        return cls(
            act=defaults["act_milliseconds"],
            skew=defaults["skew_milliseconds"],
            rate_error=defaults["clock_rate_error_ppm"],
            terms={name: found["limits"]["term_days"] * 86_400 * SECOND for name, found in read.items()},
            products={name: found["product"] for name, found in read.items()},
        )


def example_policies() -> Path:
    """The policies that come along: beside the package in a checkout, inside it when it is installed."""
    package = Path(licd.__file__).parent
    inside = package / "policies"
    return inside if inside.is_dir() else package.parent / "policies"


def _toml(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))
