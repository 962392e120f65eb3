"""A daemon whose intake is open, and strangers who come to it: over HTTP, as a form's browser sends it."""

from __future__ import annotations

import http.client
import json
import re
import ssl
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from licd.keys.letter import make_letter_key
from licd.server.state_dir import StateDirectory
from tests.daemon import PATIENCE, Daemon

FORM = "application/x-www-form-urlencoded"
KEY = "compliance.key"


def with_intake(state: StateDirectory, **settings: str | int) -> StateDirectory:
    """Adds [intake] to the settings, and the key that it seals to."""
    make_letter_key(state.root / KEY, None)
    given = {"listen": "127.0.0.1:0", "compliance_key": f"{KEY}.pub", **settings}
    lines = [f"{name} = {json.dumps(value)}" for name, value in given.items()]
    path = state.root / "licd.toml"
    path.write_text("\n".join([path.read_text(), "[intake]", *lines, ""]))
    return state


@dataclass(frozen=True)
class Page:
    """What a stranger got."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return unescape(self.body.decode())

    @property
    def code(self) -> str:
        """The tracking code on it."""
        found = re.search(r"[0-9A-Z]{5}(-[0-9A-Z]{5}){4}-[0-9A-Z]", self.text)
        assert found is not None, self.text
        return found[0]


@dataclass(frozen=True)
class Stranger:
    """Somebody without a certificate."""

    port: int
    authority: Path | None = None

    @classmethod
    def of(cls, daemon: Daemon) -> Stranger:
        assert daemon.up.intake is not None
        return cls(daemon.up.intake.port)

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> Page:
        if self.authority is None:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        else:
            context = ssl.create_default_context(cafile=str(self.authority))
            connection = http.client.HTTPSConnection("localhost", self.port, timeout=PATIENCE, context=context)
        try:
            connection.request(
                method, path, body or None, {name.replace("_", "-"): text for name, text in headers.items()}
            )
            answer = connection.getresponse()
            return Page(answer.status, {name.lower(): text for name, text in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def send(self, path: str, fields: dict[str, str], **headers: str) -> Page:
        return self.ask("POST", path, urlencode(fields).encode(), **({"content_type": FORM} | headers))

    def file(self, account: str = "they listened to my editor", **fields: str) -> Page:
        return self.send("/allegations", {"account": account, **fields})

    def follow(self, code: str, message: str = "") -> Page:
        return self.send("/allegation", {"code": code, **({"message": message} if message else {})})

    def json(self, path: str, fields: dict[str, str]) -> Any:
        return json.loads(self.send(path, fields, accept="application/json").body)
