"""Makes rows without a daemon: customers, licences, suspensions, enrolled systems, as a daemon would."""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

from licd.core.model import Licence
from licd.core.terms import (
    Basis,
    ConcurrentTargets,
    Deployments,
    OfflineGrace,
    PermitLength,
    Purposes,
    TargetRegions,
    Terms,
)
from licd.core.time import DAY, HOUR, MINUTE, SECOND
from licd.ledger.ledger import Ledger
from licd.ledger.rows import LICENCES
from licd.ledger.transaction import Command
from licd.ledger.verbs.customers import CreateCustomer
from licd.ledger.verbs.deployments import Enrol, InviteDeployment
from licd.ledger.verbs.licences import IssueLicence, SuspendLicence, SuspensionScope, TerminateLicence
from licd.ledger.verbs.reinstatement import ReinstateLicence
from licd.server.clock import SystemClock
from licd.server.config import read_config
from licd.server.offline import offline_ledger
from licd.server.ratchet import Ratchet
from licd.server.snapshot import Snapshot
from licd.server.state_dir import DirectoryLock, StateDirectory

LENGTH = 20 * SECOND
GRACE = 5 * MINUTE
ACTOR = "alice"


@contextmanager
def at_work(state: StateDirectory) -> Iterator["Desk"]:
    """As a daemon works: under the lock, with the ratchet told of every batch."""
    config = read_config(state.root)
    with DirectoryLock(state), offline_ledger(state, config, None) as ledger:
        ratchet = Ratchet(state.root / config.ratchet)
        ledger.observe(ratchet)
        yield Desk(ledger)
        ratchet.close()


class Desk:
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def run(self, command: Command[Any]) -> Any:
        outcome = self._ledger.execute([command])[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def issue(self, *licences: str) -> None:
        """A customer of its own for each."""
        for licence in licences:
            self.run(CreateCustomer(f"customer-{licence}", "Somebody", ACTOR))
            self.run(IssueLicence(terms(licence), ACTOR))

    def suspend(self, licence: str, code: str = "manual") -> None:
        self.run(SuspendLicence(SuspensionScope(licence), code, "a test", ACTOR))

    def reinstate(self, licence: str, epoch: int) -> None:
        self.run(ReinstateLicence(licence, epoch, "unfounded", "a test", ACTOR))

    def terminate(self, licence: str) -> None:
        self.run(TerminateLicence(licence, "misuse", "a test", ACTOR))

    def enrol(self, licence: str, deployment: str) -> None:
        secret = sha256(deployment.encode()).digest()
        self.run(InviteDeployment(licence, deployment, secret, HOUR, ACTOR))
        self.run(Enrol(secret, b"k" * 32, b"c" * 32, b"p" * 32, lambda *_: b"receipt"))


def terms(licence: str) -> Terms:
    now = SystemClock().wall()
    return Terms(
        licence=licence,
        customer=f"customer-{licence}",
        issuer="",
        revision=0,
        issued_at=0,
        not_before=now - DAY,
        not_after=now + 90 * DAY,
        product="product",
        category="a",
        policy_version="",
        lineage=licence,
        constraints=(
            ConcurrentTargets(5),
            TargetRegions(frozenset({"DE"}), frozenset({Basis.DECLARED})),
            Purposes(frozenset({"scheme:purpose"})),
            PermitLength(LENGTH),
            OfflineGrace(GRACE),
            Deployments(3),
        ),
    )


def licence_of(state: StateDirectory, licence: str) -> Licence:
    """As it stands in the rows."""
    with Snapshot(state.database) as rows:
        found = LICENCES.get(rows, licence)
    assert found is not None
    return found
