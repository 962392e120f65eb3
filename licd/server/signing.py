"""What the daemon signs online: permits, refusals, directives. In the loop, after the commit that decided them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from licd.keys.envelope import seal
from licd.keys.kinds import Kind
from licd.keys.signer import Signer
from licd.server.metrics import Metrics
from licd.v1.envelope_pb2 import Envelope

NANOS: Final = 1_000_000_000


class OnlineSigning:
    """Signs with this replica's permit-online key of the moment. Raises SigningHeld while the machine is held."""

    def __init__(self, signer: Callable[[], Signer], metrics: Metrics, stopwatch: Callable[[], int]) -> None:
        self._signer: Final = signer
        self._metrics: Final = metrics
        self._stopwatch: Final = stopwatch

    def seal(self, kind: Kind, payload: bytes) -> Envelope:
        """The envelope over these bytes."""
        started = self._stopwatch()
        sealed = seal(kind, payload, self._signer())
        self._metrics.signed(kind.value, (self._stopwatch() - started) / NANOS)
        return sealed
