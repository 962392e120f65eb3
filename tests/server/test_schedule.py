"""The rounds of what licd does by the clock, and how they end."""

import asyncio
import logging
from datetime import timedelta

import pytest

from licd.core.errors import DatabaseFailed
from licd.server.jobs import REAP_SECONDS, Schedule


class Work:
    """Five jobs, of which one is held up until told otherwise."""

    def __init__(self) -> None:
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()
        self.done: list[str] = []

    async def reap(self) -> None:
        self.begun.set()
        await self.go_on.wait()
        self.done.append("reap")
        raise DatabaseFailed("as when the disk is full")

    async def observe(self) -> None:
        self.done.append("observe")

    async def review(self) -> None:
        self.done.append("review")

    async def follow_up(self) -> None:
        self.done.append("follow_up")

    async def ask_rules(self) -> None:
        self.done.append("ask_rules")

    async def forget(self) -> None:
        self.done.append("forget")


async def test_what_is_under_way_when_licd_stops_is_finished_and_nothing_else_begins(
    caplog: pytest.LogCaptureFixture,
) -> None:
    work = Work()
    schedule = Schedule(work)  # type: ignore[arg-type]  # only what Schedule asks of it
    schedule.start()
    [reap] = [job for job in schedule._scheduler.get_jobs() if job.id == "reap"]
    reap.modify(next_run_time=reap.next_run_time - timedelta(seconds=REAP_SECONDS))
    await work.begun.wait()
    closing = asyncio.ensure_future(schedule.close())
    await asyncio.wait([closing], timeout=0)
    assert not closing.done()
    work.go_on.set()
    await closing
    assert work.done == ["reap"]
    assert [each for each in caplog.records if each.levelno >= logging.ERROR] == []
