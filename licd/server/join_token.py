"""What an operator hands to a customer for one system: where to enrol, whom to believe, and a secret to use once."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

PREFIX: Final = "LICD-JOIN-1."


class JoinTokens:
    """Writes join tokens. The first trust bundle is pinned inside, and the authorities; more than one in a change."""

    def __init__(
        self,
        trust_domain: str,
        enrolment_address: Callable[[], str],
        authorities_der: Callable[[], Sequence[bytes]],
        first_bundle: bytes,
    ) -> None:
        self._trust_domain: Final = trust_domain
        self._enrolment_address: Final = enrolment_address
        self._authorities: Final = authorities_der
        self._bundle: Final = sha256(first_bundle).hexdigest()

    def text(self, deployment: str, secret: str) -> str:
        """The token: a prefix with the version, then base64url of JSON."""
        authority, *more = (base64.b64encode(each).decode() for each in self._authorities())
        content: dict[str, object] = {
            "v": 1,
            "trust_domain": self._trust_domain,
            "enrolment": self._enrolment_address(),
            "ca": authority,
            "bundle_sha256": self._bundle,
            "secret": secret,
            "deployment": deployment,
        }
        if more:
            content["more_ca"] = more
        packed = json.dumps(content, separators=(",", ":"), sort_keys=True).encode()
        return PREFIX + base64.urlsafe_b64encode(packed).rstrip(b"=").decode()
