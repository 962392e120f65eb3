"""The directory itself, its settings, the daemon that works on it, and the hold switch."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from licd.server.doctor.finding import Finding, fail, ok, warn
from licd.server.doctor.patient import Patient
from licd.server.state_dir import in_use


def check_directory(patient: Patient) -> Iterator[Finding]:
    """Who owns it, and who may look in."""
    root = patient.state.root
    status = root.stat()
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077:
        yield warn(f"others than its owner may enter (mode {mode:04o})", f"chmod 700 {root}")
    if status.st_uid != os.geteuid():
        todo = "run this, and everything else of licd, as the user the daemon runs as"
        yield warn(f"it belongs to user {status.st_uid}, and this runs as {os.geteuid()}", todo)
    if not mode & 0o077 and status.st_uid == os.geteuid():
        yield ok(f"{root}, mode {mode:04o}")


def check_settings(patient: Patient) -> Iterator[Finding]:
    """Whether a daemon would take them."""
    config = patient.config()
    listen = config.listen
    listening = f"listens on {listen.customer} (customers) and {listen.operator} (operators)"
    yield ok(f"trust domain {config.trust_domain}; {listening}")
    if not listen.metrics.startswith(("127.", "localhost:", "[::1]:")):
        todo = "bind it to loopback, or let a firewall say who may read it: it needs no certificate"
        yield warn(f"metrics are served on {listen.metrics}", todo)


def check_daemon(patient: Patient) -> Iterator[Finding]:
    """Whether one works here now."""
    if in_use(patient.state):
        yield ok("a licd works on this directory")
    else:
        yield ok("no licd works on this directory now", f"to start one: licd serve --state {patient.state.root}")


def check_hold(patient: Patient) -> Iterator[Finding]:
    """Whether this machine signs."""
    if patient.state.held():
        todo = f"when the reason is gone: licd hold --off --state {patient.state.root}"
        yield warn("signing is held: nothing is granted, and no directive is signed", todo)
    else:
        yield ok("signing is not held")


def check_leftovers(patient: Patient) -> Iterator[Finding]:
    """Databases that a restore has put aside."""
    kept = sorted(path.name for path in patient.state.root.glob("replaced-*"))
    if kept:
        todo = "keep it elsewhere as evidence, then take it away from here"
        yield warn(f"a restore has put aside {', '.join(kept)}", todo)
    unfinished = sorted(path.name for path in patient.state.root.glob(".restore.*"))
    if unfinished:
        yield fail(f"a restore was broken off and left {', '.join(unfinished)}", "delete it, and restore again")
