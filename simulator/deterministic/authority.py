"""An export authority: what it permits of all that a customer has, in revisions signed with a key of its own.

Its clock is right, whatever licd's says: instants are given in true time.
"""

from __future__ import annotations

from typing import Final

from licd.keys.envelope import seal
from licd.keys.kinds import KeyPurpose, Kind
from licd.keys.signer import MemorySigner
from licd.v1 import licence_pb2, overlay_pb2
from licd.v1.envelope_pb2 import Envelope
from simulator.chance import Random
from simulator.clock import SECOND, Instant, Millis

DAY: Final[Millis] = 86_400 * SECOND


class Authority:
    """Its key and its file on one customer."""

    name: Final = "export-qn"
    reference: Final = "EX-1"

    def __init__(self, trust_domain: str, customer: str, chance: Random) -> None:
        self.signer: Final = MemorySigner(KeyPurpose.OVERSEER, chance.randbytes(32))
        self._trust_domain: Final = trust_domain
        self._customer: Final = customer
        self._revision = 0

    def permits(self, now: Instant, lasts: Millis, *constraints: licence_pb2.Constraint) -> Envelope:
        """This much from now on, for so long."""
        return self._says(overlay_pb2.OVERLAY_EFFECT_PERMIT, now, lasts, constraints)

    def lifts(self, now: Instant) -> Envelope:
        """It has no say any more."""
        return self._says(overlay_pb2.OVERLAY_EFFECT_LIFT, now, DAY, ())

    def withdraws(self, now: Instant) -> Envelope:
        """Nothing, from now on."""
        return self._says(overlay_pb2.OVERLAY_EFFECT_WITHDRAW, now, DAY, ())

    def _says(
        self,
        effect: overlay_pb2.OverlayEffect.ValueType,
        now: Instant,
        lasts: Millis,
        constraints: tuple[licence_pb2.Constraint, ...],
    ) -> Envelope:
        self._revision += 1
        said = overlay_pb2.OverlayTerms(
            authority=self.name,
            overlay=self.reference,
            audience=self._trust_domain,
            revision=self._revision,
            issued_at_ms=now,
            not_before_ms=now - SECOND,
            not_after_ms=now + lasts,
            effect=effect,
            customer=self._customer,
            constraints=constraints,
            statement="simulated",
        )
        return seal(Kind.OVERLAY, said.SerializeToString(deterministic=True), self.signer)
