"""Do these rows hold? Their file, their log against its signed checkpoint, their chain of trust bundles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NoReturn

from licd.core.errors import Invalid
from licd.core.time import Instant
from licd.evidence.checkpoint import LogVerifier
from licd.evidence.note import VerifierKey
from licd.ledger.log import LogKeeper, check_log
from licd.ledger.records import LogHead
from licd.server.log_keeping import verify_ed25519
from licd.server.snapshot import Snapshot
from licd.server.trust import Trust

EMPTY: Final = LogHead(1, 0, b"", b"", 0, 0)


@dataclass(frozen=True, slots=True)
class SoundRows:
    """What was found in rows that hold."""

    head: LogHead
    trust: Trust
    revision: str

    @property
    def decided_until(self) -> Instant:
        """The latest instant they ever decided at."""
        return self.head.clock_mark


def check_rows(rows: Snapshot, trust_domain: str, known: Sequence[bytes] = ()) -> SoundRows:
    """Raises Invalid, LogRefused, BundleError, sqlite3.Error. known are evidence keys beside those of the bundle."""
    damage = rows.damage()
    if damage:
        raise Invalid(f"the database is damaged: {damage}")
    trust = trust_of(rows)
    head = check_log(rows, log_checker(trust_domain, evidence_keys(trust, known)))
    return SoundRows(head or EMPTY, trust, rows.revision())


def trust_of(rows: Snapshot) -> Trust:
    """The chain of bundles, checked link by link. Raises Invalid, BundleError."""
    try:
        return Trust.of(rows)
    except ValueError as error:
        raise Invalid(str(error)) from error


def evidence_keys(trust: Trust, known: Sequence[bytes] = ()) -> list[bytes]:
    """The keys whose checkpoints count."""
    return list(dict.fromkeys([*trust.evidence_keys(), *known]))


def log_checker(trust_domain: str, public_keys: Sequence[bytes]) -> LogKeeper:
    """A keeper that checks a log and cannot sign one. Raises Invalid without a key."""
    if not public_keys:
        raise Invalid("the trust bundle has no evidence key, so that no checkpoint can be checked")
    origin = f"{trust_domain}/licd/log"
    keys = tuple(VerifierKey(origin, key) for key in public_keys)
    return LogKeeper(origin, _sign_nothing, LogVerifier(origin, keys, verify_ed25519))


def _sign_nothing() -> NoReturn:
    raise NotImplementedError("whoever checks a log signs none")
