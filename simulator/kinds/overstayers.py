"""Cheats that do not stop: in silence, after the term, after an order."""

from __future__ import annotations

from simulator.kinds.raw_system import BRAZEN_FOR, RawSystem
from simulator.mission import Wish

TALKS, KEEPS_SILENT = 5, 15
"""Steps."""


class _Holding(RawSystem):
    """Holds a few targets and works on them, past the end of its permits when brazen."""

    async def hold(self) -> None:
        """Ask for the next target as long as there are seats to fill; else keep up what it has."""
        brazen = self.is_brazen()
        if len(self.leases) < self.group.seats:
            wish = self.next_wish()
            [granted] = await self.ask(wish)
            if granted:
                self.work(wish, beyond=BRAZEN_FOR if brazen else 0)
        else:
            await self.keep_up()

    def next_wish(self) -> Wish:
        """One of its few targets that it does not hold."""
        while len(self._wishes) < self.group.seats:
            self._wishes.append(self.new_wish())
        return next(wish for wish in self._wishes if wish.target not in self.leases)

    @property
    def _wishes(self) -> list[Wish]:
        if not hasattr(self, "_known"):
            self._known: list[Wish] = []
        return self._known


class Silent(_Holding):
    """Talks for a while, then says and hears nothing any more and goes on working; comes back, and begins again."""

    @property
    def reachable(self) -> bool:
        """Not while it is silent."""
        return super().reachable and not self._is_silent

    _is_silent = False

    async def step(self, step: int) -> None:
        """Talk, or do not."""
        self._is_silent = step % (TALKS + KEEPS_SILENT) >= TALKS
        if self._is_silent:
            self.client.hang_up()
        else:
            await self.hold()


class Expired(_Holding):
    """Goes on asking, and working, when the term is over."""

    async def step(self, step: int) -> None:
        """As if nothing had ended."""
        await self.hold()


class Ignoring(_Holding):
    """Hears that it is to stop, and does not: works on until its permits end, and asks for more."""

    async def step(self, step: int) -> None:
        """As if nothing had been said."""
        await self.hold()
