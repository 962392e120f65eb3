"""Who is enrolled and who operates, in memory: loaded at start, kept up with every durable batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from licd.core.errors import Unauthenticated
from licd.core.model import Deployment, DeploymentStatus
from licd.keys.keyring import Keyring
from licd.keys.kinds import KeyPurpose
from licd.keys.verification_key import VerificationKey
from licd.ledger.database import Connection
from licd.ledger.ledger import BatchFigures
from licd.ledger.records import Operator
from licd.ledger.rows import DEPLOYMENTS, OPERATORS
from licd.ledger.transaction import Committed
from licd.server.caller import Caller

FOREVER: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class KnownSystem:
    """An enrolled system and the one key it signs with."""

    deployment: Deployment
    keyring: Keyring


class Directory:
    """Systems and operators by name. An entry changes before the answer that changed it goes out."""

    def __init__(self, connection: Connection) -> None:
        self._systems: dict[str, KnownSystem] = {}
        self._operators: dict[str, Operator] = {}
        for deployment in DEPLOYMENTS.find(connection, "all", DEPLOYMENTS.select):
            self._take_deployment(deployment)
        for operator in OPERATORS.find(connection, "all", OPERATORS.select):
            self._operators[operator.id] = operator

    def committed(self, done: Committed, figures: BatchFigures) -> None:
        """Takes what a batch changed."""
        for row in done.rows:
            if isinstance(row, Deployment):
                self._take_deployment(row)
            elif isinstance(row, Operator):
                self._operators[row.id] = row

    def failed(self, why: str) -> None:
        """Nothing was changed."""

    def _take_deployment(self, deployment: Deployment) -> None:
        if deployment.status not in (DeploymentStatus.ENROLLED, DeploymentStatus.FENCED, DeploymentStatus.REVOKED):
            self._systems.pop(deployment.id, None)
            return
        if not deployment.system_key:
            return
        known = self._systems.get(deployment.id)
        if known is not None and known.deployment.system_key == deployment.system_key:
            self._systems[deployment.id] = KnownSystem(deployment, known.keyring)
            return
        owner = f"customer/{deployment.customer}/system/{deployment.id}"
        key = VerificationKey.of(
            KeyPurpose.SYSTEM, deployment.system_key, not_before_ms=0, not_after_ms=FOREVER, owner=owner
        )
        self._systems[deployment.id] = KnownSystem(deployment, Keyring([key]))

    def system(self, caller: Caller) -> KnownSystem:
        """The calling system, if its certificate is the one it enrolled with. Raises Unauthenticated."""
        identity = caller.system()
        known = self._systems.get(identity.system)
        if known is None or known.deployment.customer != identity.customer:
            raise Unauthenticated("no such enrolled system")
        if known.deployment.channel_key_hash != caller.channel_key:
            raise Unauthenticated("this certificate was withdrawn: the system was enrolled anew")
        return known

    def operator(self, caller: Caller) -> Operator:
        """The calling operator, if enabled and holding his own key. Raises Unauthenticated."""
        identity = caller.operator()
        found = self._operators.get(identity.operator)
        if found is None or not found.enabled:
            raise Unauthenticated("no such operator, or one who was disabled")
        if found.channel_key_hash != caller.channel_key:
            raise Unauthenticated("this certificate was withdrawn")
        return found

    def operator_named(self, name: str) -> Operator | None:
        """An operator by name, enabled or not."""
        return self._operators.get(name)

    @property
    def systems(self) -> int:
        """How many systems are enrolled."""
        return len(self._systems)

    def deployments(self) -> list[Deployment]:
        """Every enrolled deployment."""
        return [known.deployment for known in list(self._systems.values())]
