"""The way between one customer's machine and licd: slow, lossy, cut in one direction or both, and what it is now."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from simulator.chance import Random

KEEPALIVE: Final = 6.0
"""Seconds of silence after which either end gives a connection up."""
PATIENCE: Final = 0.05


class Way(Enum):
    """A direction."""

    UP = "to licd"
    DOWN = "from licd"


@dataclass(slots=True)
class Weather:
    """What the way is like: delays in seconds, losses and repetitions as chances, directions that are shut."""

    least: float = 0.001
    most: float = 0.02
    loss: float = 0.0
    repeats: float = 0.0
    shut: frozenset[Way] = frozenset()


FINE: Final = Weather()


def nothing(_way: Way, _frame: bytes) -> bool:
    """Which frames are taken out when nobody takes any."""
    return False


class Link:
    """One system's way to licd and back. Chance is drawn by message, so that one way's weather changes no other's."""

    def __init__(self, chance: Random) -> None:
        self._chance: Final = chance
        self.weather = FINE
        self._changed = asyncio.Event()
        self.drops: Callable[[Way, bytes], bool] = nothing
        """Which frames somebody in between takes out of a stream."""

    def becomes(self, weather: Weather) -> None:
        """Other weather from here on."""
        self.weather = weather
        self._changed.set()
        self._changed = asyncio.Event()

    def delay(self) -> float:
        """How long the next message takes, seconds."""
        return self._chance.uniform(self.weather.least, self.weather.most)

    def loses(self, way: Way) -> bool:
        """Whether the next message goes astray."""
        return way in self.weather.shut or self._chance.random() < self.weather.loss

    def repeats(self) -> bool:
        """Whether the next request comes a second time, some while later."""
        return self._chance.random() < self.weather.repeats

    async def passable(self, way: Way) -> bool:
        """Returns once the direction is open; False when it stays shut for so long that the connection is given up."""
        deadline = asyncio.get_running_loop().time() + KEEPALIVE
        while way in self.weather.shut:
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                return False
            try:
                await asyncio.wait_for(self._changed.wait(), left)
            except TimeoutError:
                return False
        return True
