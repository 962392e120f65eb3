"""A PKCS#11 token in software: Debian's SoftHSM2, with a directory of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pkcs11
import pytest
from pkcs11 import Attribute, KeyType, Mechanism
from pkcs11.util.ec import encode_named_curve_parameters

PLACES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/*/softhsm/libsofthsm2.so", "/usr/local/lib/softhsm/*.so")
ED25519 = "1.3.101.112"
PIN = "4711-0815"
LABEL = "licd test"


def softhsm() -> Path:
    """The module; skips where it is missing, saying how to get it."""
    found = [path for pattern in PLACES for path in sorted(Path("/").glob(pattern.removeprefix("/")))]
    if not found or shutil.which("softhsm2-util") is None:
        pytest.skip("softhsm2-util is missing: apt-get install softhsm2")
    return found[0]


@dataclass(frozen=True, slots=True)
class Token:
    """An initialised token."""

    module: Path
    pin_file: Path

    def uri(self, label: str, *, query: str = "") -> str:
        return f"pkcs11:token={LABEL.replace(' ', '%20')};object={label}{query}"

    def session(self) -> Any:
        [token] = list(pkcs11.lib(str(self.module)).get_tokens(token_label=LABEL))
        try:
            return token.open(rw=True, user_pin=PIN)
        except pkcs11.UserAlreadyLoggedIn:
            return token.open(rw=True)

    def make_key(self, label: str, number: int) -> None:
        """An Ed25519 key that never leaves the token."""
        with self.session() as session:
            curve = {Attribute.EC_PARAMS: encode_named_curve_parameters(ED25519)}
            domain = session.create_domain_parameters(KeyType.EC_EDWARDS, curve, local=True)
            mechanism = Mechanism.EC_EDWARDS_KEY_PAIR_GEN
            domain.generate_keypair(mechanism=mechanism, store=True, label=label, id=bytes([number]))


def make_token(folder: Path) -> Token:
    """SoftHSM reads its settings when it is loaded: once a process, so one token serves all tests of it."""
    module = softhsm()
    (folder / "tokens").mkdir()
    settings = folder / "softhsm2.conf"
    settings.write_text(f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n")
    os.environ["SOFTHSM2_CONF"] = str(settings)
    subprocess.run(
        ["softhsm2-util", "--init-token", "--free", "--label", LABEL, "--pin", PIN, "--so-pin", "so-" + PIN],
        check=True,
        capture_output=True,
    )
    pin_file = folder / "pin"
    pin_file.write_text(PIN + "\n")
    pin_file.chmod(0o600)
    return Token(module, pin_file)
