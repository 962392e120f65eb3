"""What licd does by the clock: ends what has run out, accounts for denials, forgets, reviews, asks rules, measures.

The truth is in the rows: a missed run is made up by the next, and each can run any number of times.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import structlog
from apscheduler.executors.asyncio import AsyncIOExecutor
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from licd.core.errors import LicdError
from licd.core.time import MINUTE, Instant
from licd.ledger.database import StoreFailed
from licd.ledger.queries import licences_to_reap, tallies
from licd.ledger.verbs.clock import ForgetAnswers
from licd.ledger.verbs.leases import ReapLeases
from licd.server.dues import Dues
from licd.server.observation import Observation
from licd.server.reader import Reader
from licd.server.reserve import FileReserve, NoReserve
from licd.server.reviews import Reviews
from licd.server.rules import Rules
from licd.server.writer import Writer

logger = structlog.get_logger("licd.jobs")

REAP_SECONDS: Final = 5
OBSERVE_SECONDS: Final = 5
FOLLOW_SECONDS: Final = 0.5
"""How late a replica may hear of what another one decided where nothing tells it: a part of a suspension's bound."""
HEAR_AGAIN_SECONDS: Final = 1
REVIEW_SECONDS: Final = 60
RULES_SECONDS: Final = 30
FORGET_SECONDS: Final = 600


class Jobs:
    """The recurring work, each piece callable by itself."""

    def __init__(
        self,
        writer: Writer,
        reader: Reader,
        observation: Observation,
        reviews: Reviews,
        dues: Dues,
        rules: Rules,
        reserve: FileReserve | NoReserve,
        wall: Callable[[], Instant],
        catch_up: Callable[[], Awaitable[None]],
    ) -> None:
        self._writer: Final = writer
        self._reader: Final = reader
        self._observation: Final = observation
        self._reviews: Final = reviews
        self._dues: Final = dues
        self._rules: Final = rules
        self._reserve: Final = reserve
        self._wall: Final = wall
        self._catch_up: Final = catch_up
        self._heard: Final = asyncio.Event()

    async def reap(self) -> None:
        """Ends leases whose last permit has run out, and logs what was only counted."""
        now = self._wall()
        lapsed = await self._reader.run(lambda connection: licences_to_reap(connection, now))
        counted = await self._reader.run(lambda connection: tallies(connection, now // MINUTE))
        if lapsed or counted:
            await self._writer.execute(ReapLeases(tuple(lapsed), tuple(counted)))

    async def forget(self) -> None:
        """Deletes stored answers whose time is over; sets the reserve aside again where it was used."""
        while await self._writer.execute(ForgetAnswers()):
            pass
        self._reserve.restore()

    async def follow(self) -> None:
        """Looks what other replicas have decided: when one says that there is something, and now and then. For ever."""
        while True:
            self._heard.clear()
            try:
                await self._catch_up()
            except LicdError as error:
                logger.warning("the other replicas were not heard; it is tried again", error=str(error))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._heard.wait(), FOLLOW_SECONDS)

    async def hear(self, announcements: Callable[[], AsyncIterator[None]]) -> None:
        """Lets `follow` look at once when another replica says so. For ever."""
        while True:
            try:
                async for _ in announcements():
                    self._heard.set()
            except StoreFailed as error:
                logger.warning("other replicas are heard late until the database is there again", error=str(error))
            await asyncio.sleep(HEAR_AGAIN_SECONDS)

    async def observe(self) -> None:
        """Takes the measures that the metrics page shows."""
        await self._observation.take()

    async def review(self) -> None:
        """Opens the reviews that are due, and narrows where a country has become worse and policy says so."""
        await self._reviews.round()

    async def follow_up(self) -> None:
        """Reminds of what is due, tightens and suspends for what is overdue."""
        await self._dues.round()

    async def ask_rules(self) -> None:
        """Asks the misuse rules at every tick that is over, and does what follows."""
        await self._rules.round()


class Schedule:
    """Jobs on real time. Kept in memory: what is due follows from the rows."""

    def __init__(self, jobs: Jobs) -> None:
        self._scheduler: Final = AsyncIOScheduler(
            executors={"default": AsyncIOExecutor()},
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
            timezone="UTC",
        )
        rounds = [
            (jobs.reap, REAP_SECONDS),
            (jobs.observe, OBSERVE_SECONDS),
            (jobs.review, REVIEW_SECONDS),
            (jobs.follow_up, REVIEW_SECONDS),
            (jobs.ask_rules, RULES_SECONDS),
            (jobs.forget, FORGET_SECONDS),
        ]
        self._under_way: Final[set[asyncio.Task[None]]] = set()
        for job, seconds in rounds:
            self._scheduler.add_job(self._tracked(job), "interval", seconds=seconds, id=job.__name__)

    def start(self) -> None:
        """Begins the rounds."""
        self._scheduler.start()

    async def close(self) -> None:
        """Ends the rounds, and returns when the jobs under way are done: the scheduler would cut them off."""
        self._scheduler.remove_all_jobs()
        if self._under_way:
            await asyncio.wait(self._under_way)
        self._scheduler.shutdown(wait=False)

    def _tracked(self, job: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            task = asyncio.ensure_future(_logged(job))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
            await task

        return run


async def _logged(job: Callable[[], Awaitable[None]]) -> None:
    try:
        await job()
    except LicdError as error:
        logger.warning("job not done; the next run makes it up", job=job.__name__, error=str(error))
