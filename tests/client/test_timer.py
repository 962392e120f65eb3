"""One alarm, set over and over."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from licd.client.timer import Timer
from tests.client.rig import BOOT
from tests.client.virtual import VirtualClock, settle


class Alarm:
    """A timer, and when it went off."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.fired: list[int] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.next: list[int] = []
        self.timer = Timer(clock, self.fire, self.spawn)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        self.tasks.append(asyncio.get_running_loop().create_task(work))
        return self.tasks[-1]

    def fire(self) -> None:
        self.fired.append(self.clock.now - BOOT)
        if self.next:
            self.timer.set(BOOT + self.next.pop(0))


@pytest.fixture
async def alarm(clock: VirtualClock) -> Any:
    made = Alarm(clock)
    yield made
    for task in made.tasks:
        task.cancel()


async def test_goes_off_when_it_was_set_to(alarm: Alarm) -> None:
    alarm.next = [900, 2_000]
    alarm.timer.set(BOOT + 300)
    await alarm.clock.advance(1_000)
    assert alarm.fired == [300, 900]
    await alarm.clock.advance(1_000)
    assert alarm.fired == [300, 900, 2_000]
    assert len(alarm.tasks) == 1


async def test_setting_it_earlier_wakes_it_earlier(alarm: Alarm) -> None:
    alarm.next = [9_000]
    alarm.timer.set(BOOT + 5_000)
    await settle()
    alarm.timer.set(BOOT + 300)
    await alarm.clock.advance(1_000)
    assert alarm.fired == [300]
    await alarm.clock.advance(7_999)
    assert alarm.fired == [300]
    await alarm.clock.advance(1)
    assert alarm.fired == [300, 9_000]


async def test_setting_it_later_costs_no_new_task_and_nothing_goes_off_before(alarm: Alarm) -> None:
    for step in range(1, 100):
        alarm.timer.set(BOOT + 100 * step)
        await settle()
    await alarm.clock.advance(9_899)
    assert alarm.fired == []
    await alarm.clock.advance(1)
    assert alarm.fired == [9_900]
    assert len(alarm.tasks) == 1


async def test_an_instant_that_is_past_goes_off_at_once_and_then_does_not_spin(alarm: Alarm) -> None:
    alarm.timer.set(BOOT - 5)
    await settle()
    assert alarm.fired == [0]
    await alarm.clock.advance(99)
    assert alarm.fired == [0, 20, 40, 60, 80]
