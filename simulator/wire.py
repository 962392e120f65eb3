"""What stands between one system and licd: it can be slow, and it can be cut."""

from __future__ import annotations

from typing import Final

from simulator.clock import Clock, Millis, sleep


class Wire:
    """One system's connection. What is sent or comes while it is cut is lost without a word, as in a black hole."""

    def __init__(self, clock: Clock, delay: Millis = 0) -> None:
        self._clock: Final = clock
        self.delay = delay
        self.cut = False

    async def carry(self) -> bool:
        """Let something pass, as slowly as the wire is. Returns whether it arrives."""
        if self.delay:
            await sleep(self._clock, self.delay)
        return not self.cut
