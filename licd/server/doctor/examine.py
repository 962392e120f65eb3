"""All checks, one after the other. One that fails by itself says so, and the others go on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from licd.core.time import Instant
from licd.ledger.timekeeper import Clock
from licd.server.doctor.certificates import check_authority, check_operator_certificates, check_server_certificate
from licd.server.doctor.clock import check_clock
from licd.server.doctor.database import check_database, check_log_entries, check_sqlite
from licd.server.doctor.directory import (
    check_daemon,
    check_directory,
    check_hold,
    check_leftovers,
    check_settings,
)
from licd.server.doctor.disk import check_disk, check_reserve
from licd.server.doctor.finding import Finding, Level, fail
from licd.server.doctor.keys import check_key_files, check_keys, check_operator_keys, check_root_keys
from licd.server.doctor.patient import Patient
from licd.server.doctor.policies import check_policies
from licd.server.doctor.trust import check_bundle, check_ratchet
from licd.server.state_dir import StateDirectory

Check = Callable[[Patient], Iterable[Finding]]

CHECKS: Final[tuple[tuple[str, Check], ...]] = (
    ("state directory", check_directory),
    ("settings", check_settings),
    ("daemon", check_daemon),
    ("hold", check_hold),
    ("clock", check_clock),
    ("disk", check_disk),
    ("reserve", check_reserve),
    ("sqlite", check_sqlite),
    ("database", check_database),
    ("log", check_log_entries),
    ("ratchet", check_ratchet),
    ("leftovers", check_leftovers),
    ("trust bundle", check_bundle),
    ("key files", check_key_files),
    ("keys", check_keys),
    ("root keys", check_root_keys),
    ("operators' keys", check_operator_keys),
    ("authority", check_authority),
    ("server certificate", check_server_certificate),
    ("operators' certificates", check_operator_certificates),
    ("policies", check_policies),
)


@dataclass(frozen=True, slots=True)
class Examined:
    """A finding, and the check that it is of."""

    check: str
    finding: Finding


def examine(root: Path, now: Instant, clock: Clock | None = None) -> list[Examined]:
    """What every check finds. Never raises for what is wrong with the directory.

    clock is the machine's, to compare with what licd kept of it; without one the wall clock's time alone is judged.
    """
    if not root.is_dir():
        missing = fail(f"{root} is no directory", f"name a state directory, or make one: licd init --state {root}")
        return [Examined("state directory", missing)]
    patient = Patient(StateDirectory(root), now, clock)
    return [Examined(name, finding) for name, check in CHECKS for finding in _found(check, patient)]


def _found(check: Check, patient: Patient) -> list[Finding]:
    found: list[Finding] = []
    try:
        for finding in check(patient):
            found.append(finding)  # noqa: PERF402 -- what it found before it failed stays
    except Exception as error:  # noqa: BLE001 -- whatever is broken is what this is here to tell
        words = " ".join(str(error).split()) or type(error).__name__
        found.append(fail(f"this cannot be checked: {words}", "mend what it names first, then look again"))
    return found


def verdict(examined: list[Examined]) -> Level:
    """The worst of all."""
    levels = {each.finding.level for each in examined}
    return next((level for level in (Level.FAIL, Level.WARN) if level in levels), Level.OK)
