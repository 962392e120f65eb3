"""All targets by name. Each is imported when it is used: the guided engine has to be there before licd is."""

from __future__ import annotations

import importlib
from contextlib import AbstractContextManager
from typing import Final, cast

from tests.fuzz.target import Target

TARGETS: Final = {
    "seals": "envelopes, armour, trust bundles: only what was signed verifies",
    "terms": "terms, operations and errors as messages: what is not understood is refused",
    "cli_files": "what licctl reads: tokens, bundles, exported logs, terms, settings, requests",
    "state_files": "settings, backups, ratchets, keys, certificates, join tokens, the SDK's own directory",
    "indicators": "publishers' spreadsheets and opportunities: values on their scale, or one line that says why not",
    "intake": "what strangers send: forms and requests are taken as meant, or refused with a status",
    "policies": "policy files: all of them right, or each fault told at its line",
    "sdk": "what the SDK takes from the network: only licd's own words prolong a lease",
    "daemon": "links, acknowledgements and every RPC behind dispatch: no grant on a changed link",
}


def opened(name: str) -> AbstractContextManager[Target]:
    """A target, for as long as the block lasts."""
    module = importlib.import_module(f"tests.fuzz.targets.{name}")
    return cast("AbstractContextManager[Target]", module.opened())
