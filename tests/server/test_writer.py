"""The ledger's thread: what is urgent goes first, whoever waits is answered, nothing is lost on the way down."""

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from licd.core.errors import LicdError, NotFound, OverQuota, ShuttingDown
from licd.ledger.transaction import Command
from licd.server import writer as writing
from licd.server.writer import ThreadWriter
from tests.daemon import lets_licd_fail
from tests.ledger.rig import Rig, Try


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path / "licd.db")


@pytest.fixture(params=["the loop rests", "the loop never rests"])
async def writer(rig: Rig, request: pytest.FixtureRequest) -> AsyncIterator[ThreadWriter]:
    made = ThreadWriter(rig.ledger, rig.file if request.param == "the loop rests" else None)
    yield made
    await made.close()


class Gate:
    """Holds the ledger's thread inside a command until it is opened."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()

    def command(self) -> Try:
        def wait(_: Any) -> str:
            self.entered.set()
            assert self.opened.wait(30)
            return "through"

        return Try(wait)


async def held(writer: ThreadWriter) -> tuple[Gate, "asyncio.Future[str]"]:
    """The writer with its thread inside a command."""
    gate = Gate()
    first = asyncio.ensure_future(writer.execute(gate.command()))
    await asyncio.to_thread(gate.entered.wait, 30)
    return gate, first


def noting(order: list[str], name: str, *, urgent: bool = False) -> Command[Any]:
    return Try(lambda tx: order.append(name), urgent=urgent)


async def test_what_is_urgent_goes_before_everything_that_waits(writer: ThreadWriter):
    gate, first = await held(writer)
    order: list[str] = []
    tasks = [asyncio.ensure_future(writer.execute(noting(order, f"usual {n}"))) for n in range(3)]
    tasks += [asyncio.ensure_future(writer.execute(noting(order, f"urgent {n}", urgent=True))) for n in range(2)]
    await asyncio.sleep(0)
    assert writer.waiting == 5
    gate.opened.set()
    await asyncio.gather(first, *tasks)
    assert order == ["urgent 0", "urgent 1", "usual 0", "usual 1", "usual 2"]


async def test_a_refusal_that_nobody_waits_for_any_more_is_no_error_in_licds_log(writer: ThreadWriter):
    """Whoever asks and hangs up writes nothing into the log: asyncio tells of each exception that nobody took."""
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    gate, first = await held(writer)

    def refuse(_: Any) -> None:
        raise NotFound("no such licence")

    hung_up = asyncio.ensure_future(writer.execute(Try(refuse)))
    await asyncio.sleep(0)
    hung_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hung_up
    del hung_up
    gate.opened.set()
    await first
    await writer.execute(noting([], "after it"))
    gc.collect()
    assert told == []


async def test_an_urgent_command_overtakes_more_than_a_batch(writer: ThreadWriter):
    gate, first = await held(writer)
    order: list[str] = []
    tasks = [asyncio.ensure_future(writer.execute(noting(order, "usual"))) for _ in range(writing.BATCH_LIMIT + 10)]
    tasks.append(asyncio.ensure_future(writer.execute(noting(order, "urgent", urgent=True))))
    await asyncio.sleep(0)
    gate.opened.set()
    await asyncio.gather(first, *tasks)
    assert order[0] == "urgent"


async def test_what_gathers_meanwhile_is_one_batch(rig: Rig, writer: ThreadWriter):
    gate, first = await held(writer)
    tasks = [asyncio.ensure_future(writer.execute(Try(lambda tx, n=n: tx.log(f"n{n}")))) for n in range(40)]  # type: ignore[misc]
    await asyncio.sleep(0)
    gate.opened.set()
    await asyncio.gather(first, *tasks)
    assert [figures.commands for _, figures in rig.told.batches] == [40]


async def test_who_calls_in_the_same_turn_of_the_loop_or_the_next_is_in_the_same_batch(rig: Rig, writer: ThreadWriter):
    first = [asyncio.ensure_future(writer.execute(Try(lambda tx: tx.log("first")))) for _ in range(2)]
    await asyncio.sleep(0)
    then = [asyncio.ensure_future(writer.execute(Try(lambda tx: tx.log("then")))) for _ in range(2)]
    await asyncio.gather(*first, *then)
    assert [figures.commands for _, figures in rig.told.batches] == [4]


async def test_what_is_urgent_does_not_wait_for_others_to_call(rig: Rig, writer: ThreadWriter):
    urgent = asyncio.ensure_future(writer.execute(Try(lambda tx: tx.log("urgent"), urgent=True)))
    await asyncio.sleep(0)
    usual = asyncio.ensure_future(writer.execute(Try(lambda tx: tx.log("usual"))))
    await asyncio.gather(urgent, usual)
    assert [figures.commands for _, figures in rig.told.batches] == [1, 1]


async def test_the_loop_rests_while_a_batch_is_decided_and_goes_on_while_it_is_written(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(writing, "TURN_SECONDS", 30)
    loop, went_on, order = asyncio.get_running_loop(), threading.Event(), list[str]()

    class SlowDisk:
        """A commit that takes until the loop has gone on."""

        def before_commit(self, tell: Callable[[], None]) -> None:
            def commit() -> None:
                tell()
                order.append("written" if went_on.wait(20) else "stuck")

            rig.file.before_commit(commit)

    def decide(tx: Any) -> None:
        loop.call_soon_threadsafe(went_on.set)
        order.append("looped" if went_on.wait(0.2) else "decided")
        tx.log("done")

    writer = ThreadWriter(rig.ledger, SlowDisk())
    await writer.execute(Try(decide))
    await writer.close()
    assert order == ["decided", "written"]


async def test_the_loop_goes_on_when_a_batch_takes_long(writer: ThreadWriter):
    gate, first = await held(writer)
    gate.opened.set()
    assert await first == "through"


@lets_licd_fail
async def test_each_gets_his_own_outcome(writer: ThreadWriter):
    def fail(_: Any) -> None:
        raise NotFound("nothing there")

    commands = [Try(lambda tx: 42), Try(fail), Try(lambda tx: 1 // 0)]
    waiting = [writer.execute(each) for each in commands]
    good, bad, worse = await asyncio.gather(*waiting, return_exceptions=True)
    assert good == 42
    assert isinstance(bad, NotFound)
    assert type(worse) is LicdError


async def test_a_caller_who_goes_away_leaves_his_change_behind(rig: Rig, writer: ThreadWriter):
    gate, first = await held(writer)
    task = asyncio.ensure_future(writer.execute(Try(lambda tx: tx.log("done"))))
    await asyncio.sleep(0)
    task.cancel()
    gate.opened.set()
    await first
    await writer.execute(Try(lambda tx: None))
    assert rig.kinds() == ["done"]


async def test_closing_decides_what_waits_and_refuses_what_comes(rig: Rig, writer: ThreadWriter):
    gate, first = await held(writer)
    waiting = asyncio.ensure_future(writer.execute(Try(lambda tx: tx.log("waited"))))
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(writer.close())
    await asyncio.sleep(0)
    with pytest.raises(ShuttingDown) as refused:
        await writer.execute(Try(lambda tx: None))
    assert refused.value.retry_after
    gate.opened.set()
    await asyncio.gather(first, waiting, closing)
    assert rig.kinds() == ["waited"]


async def test_too_many_waiting_are_refused_but_never_what_stops(writer: ThreadWriter, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(writing, "WAITING_LIMIT", 2)
    gate, first = await held(writer)
    tasks = [asyncio.ensure_future(writer.execute(Try(lambda tx: None))) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(OverQuota):
        await writer.execute(Try(lambda tx: None))
    tasks.append(asyncio.ensure_future(writer.execute(Try(lambda tx: None, urgent=True))))
    await asyncio.sleep(0)
    gate.opened.set()
    await asyncio.gather(first, *tasks)


@lets_licd_fail
async def test_a_ledger_that_breaks_answers_everybody_and_goes_on(
    rig: Rig, writer: ThreadWriter, monkeypatch: pytest.MonkeyPatch
):
    real: Callable[..., Any] = rig.ledger.execute
    broken: list[Exception] = [MemoryError("no room")]

    def execute(commands: Any) -> Any:
        if broken:
            raise broken.pop()
        return real(commands)

    monkeypatch.setattr(rig.ledger, "execute", execute)
    with pytest.raises(LicdError):
        await writer.execute(Try(lambda tx: 1))
    assert await writer.execute(Try(lambda tx: 1)) == 1
