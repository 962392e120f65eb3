"""Writing down what must be durable before anything is sent."""

import logging
from typing import Final

from licd.client.session.effects import Persist, Record
from licd.client.state_file import StateDirectory

_LOG: Final = logging.getLogger("licd.client")


class Saving:
    """Saves in order. While something could not be saved nothing may be sent: silence is safe, a lost link is not."""

    __slots__ = ("_directory", "_unsaved")

    def __init__(self, directory: StateDirectory) -> None:
        self._directory: Final = directory
        self._unsaved: Final[dict[Record, bytes]] = {}

    async def save(self, effect: Persist) -> None:
        """Make one record durable, or keep it to be tried again."""
        self._unsaved[effect.record] = effect.data
        await self.settle()

    async def settle(self) -> bool:
        """Try again what could not be saved. Returns whether everything is durable."""
        for record, data in list(self._unsaved.items()):
            try:
                await self._directory.save(record, data)
            except OSError as error:
                _LOG.error("the %s could not be saved, nothing is sent until it is: %s", record, error)
                return False
            if self._unsaved.get(record) is data:
                del self._unsaved[record]
        return True
