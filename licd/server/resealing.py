"""After a licence-issuer key was withdrawn: every licence that it had signed is sealed anew."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from licd.core.errors import LicdError
from licd.ledger.verbs.reseal import SealAnew, licences_sealed_by
from licd.server.reader import Reader
from licd.server.trust import Trust
from licd.server.writer import Writer

logger = structlog.get_logger("licd.resealing")

ACTOR: Final = "licd"


class Resealing:
    """Works through the licences one by one, between other commands. Any number of runs come to the same."""

    def __init__(self, writer: Writer, reader: Reader, trust: Trust) -> None:
        self._writer: Final = writer
        self._reader: Final = reader
        self._trust: Final = trust
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Starts a run on the event loop, one at a time."""
        self._task = asyncio.get_running_loop().create_task(self._after(self._task))

    async def _after(self, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait({before})
        await self.run()

    async def run(self) -> int:
        """Seals anew what a withdrawn key had signed. Returns how many there were; what fails is left to the next."""
        withdrawn = self._trust.bundle.withdrawn_key_ids
        if not withdrawn:
            return 0
        found = await self._reader.run(lambda connection: licences_sealed_by(connection, withdrawn))
        for licence in found:
            try:
                await self._writer.execute(SealAnew(licence, withdrawn, ACTOR))
            except LicdError as error:
                logger.warning("a licence is still under a withdrawn key", licence=licence, error=str(error))
        if found:
            logger.info("licences of withdrawn keys were sealed anew", licences=len(found))
        return len(found)
