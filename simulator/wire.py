"""What stands between one system and licd: it can be slow, lossy, or cut."""

from __future__ import annotations

from typing import Final

from simulator.chance import Random
from simulator.clock import Clock, Millis, sleep


class Wire:
    """One system's connection. What is sent or comes while it is cut is lost without a word, as in a black hole.

    loss is the share of everything that is lost as well.
    """

    def __init__(self, clock: Clock, chance: Random, *, delay: Millis = 0, loss: float = 0.0) -> None:
        self._clock: Final = clock
        self._chance: Final = chance
        self.delay = delay
        self.loss = loss
        self.cut = False

    async def carry(self) -> bool:
        """Let something pass, as slowly as the wire is. Returns whether it arrives."""
        if self.delay:
            await sleep(self._clock, self.delay)
        lost = self.loss > 0 and self._chance.random() < self.loss
        return not (self.cut or lost)
