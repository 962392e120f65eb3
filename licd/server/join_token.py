"""What an operator hands to a customer for one system: where to enrol, whom to believe, and a secret to use once."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from hashlib import sha256
from typing import Final

PREFIX: Final = "LICD-JOIN-1."


class JoinTokens:
    """Writes join tokens. The authority and the first trust bundle are pinned inside."""

    def __init__(
        self, trust_domain: str, enrolment_address: Callable[[], str], authority_der: bytes, first_bundle: bytes
    ) -> None:
        self._trust_domain: Final = trust_domain
        self._enrolment_address: Final = enrolment_address
        self._authority: Final = base64.b64encode(authority_der).decode()
        self._bundle: Final = sha256(first_bundle).hexdigest()

    def text(self, deployment: str, secret: str) -> str:
        """The token: a prefix with the version, then base64url of JSON."""
        content = {
            "v": 1,
            "trust_domain": self._trust_domain,
            "enrolment": self._enrolment_address(),
            "ca": self._authority,
            "bundle_sha256": self._bundle,
            "secret": secret,
            "deployment": deployment,
        }
        packed = json.dumps(content, separators=(",", ":"), sort_keys=True).encode()
        return PREFIX + base64.urlsafe_b64encode(packed).rstrip(b"=").decode()
