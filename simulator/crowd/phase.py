"""One phase, as operators see it: enrolled, steady for a while, licd started anew, everything suspended at once."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from licd.v1 import licence_service_pb2 as licence_pb
from simulator.chance import stream
from simulator.clock import SECOND, Clock, Millis, sleep
from simulator.crowd import gauge
from simulator.crowd.figures import Figures, Spread, Stop, Storm
from simulator.crowd.hand import Hand
from simulator.crowd.member import PURPOSE, REGION
from simulator.crowd.policies import CATEGORY, volume, write_policies
from simulator.crowd.scenario import CrowdScenario, Phase
from simulator.crowd.watch import GIVEN_UP
from simulator.daemon import Daemon, temporary_folder
from simulator.office import Desk, Office
from simulator.papers import OperatorPapers, example_policies
from simulator.wanted_terms import DAY, Volume, WantedTerms

INVITING_AT_ONCE: Final = 16
ENROLLING_AT_ONCE: Final = 8
OPENING_AT_ONCE: Final = 4
ADDRESS: Final = re.compile(r"ipv[46]:[^ ]+")
LAST_WORDS: Final = 60
LOOK_EVERY: Final[Millis] = SECOND
STRAGGLERS: Final[Millis] = 30 * SECOND
"""How much longer than any reachable system may take they are waited for: how late they are is a figure."""
SUSPEND_WITHIN: Final = 120.0
"""Seconds that the operator's call may take: how long it took is a figure."""
LIMITS: Final = {
    "LICD_LIMITS__ENROLMENTS_PER_SECOND": "5000",
    "LICD_LIMITS__ENROLMENTS_AT_ONCE": "20000",
}
"""All systems enrol from one address here, which to licd is one caller."""

Say = Callable[[str], None]


class CrowdFailed(RuntimeError):
    """A phase could not be carried out; the message says what did not come about."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What a phase stands on."""

    phase: Phase
    daemon: Daemon
    office: Office
    desk: Desk
    hands: Sequence[Hand]
    clock: Clock
    say: Say

    async def look(self, since: Millis = 0) -> list[dict[str, Any]]:
        """What each process of systems says."""
        return list(await asyncio.gather(*(hand.ask("look", since=since) for hand in self.hands)))

    async def until(self, enough: Callable[[list[dict[str, Any]]], bool], since: Millis, limit: Millis) -> bool:
        """Look until it is so. Returns whether it came to that in time."""
        ends = self.clock.boot_ms() + limit
        while not enough(await self.look(since)):
            if self.clock.boot_ms() > ends:
                return False
            await sleep(self.clock, LOOK_EVERY)
        return True


def total(looks: list[dict[str, Any]], key: str) -> int:
    """The sum of a figure over all processes."""
    return sum(each[key] for each in looks)


def together(looks: list[dict[str, Any]], key: str) -> list[Any]:
    """The notes of all processes."""
    return [note for each in looks for note in each[key]]


@asynccontextmanager
async def ground(
    scenario: CrowdScenario, phase: Phase, hands: Sequence[Hand], clock: Clock, say: Say
) -> AsyncIterator[Ground]:
    """A daemon of this phase's own, two operators, and the processes of systems."""
    async with AsyncExitStack() as stack:
        folder = await stack.enter_async_context(temporary_folder("licd-crowd-", clock))
        daemon = Daemon(folder / "state", clock, LIMITS)
        stack.push_async_callback(daemon.stop)
        write_policies(example_policies(), folder / "policies", phase)
        await daemon.make(folder / "policies")
        await daemon.start()
        desks = [Desk(OperatorPapers.read(daemon.state, name)) for name in ("alice", "bob")]
        office = Office(desks, clock, stream(scenario.seed, f"office/{phase.name}"))
        stack.push_async_callback(office.close)
        yield Ground(phase, daemon, office, desks[1], hands, clock, say)


async def run_phase(on: Ground) -> Figures:
    """Raises CrowdFailed, WorkerFailed, DaemonFailed, AioRpcError."""
    phase, say, clock = on.phase, on.say, on.clock
    begun = clock.boot_ms()
    await _enrol(on)
    enrolled = clock.boot_ms()
    say(f"{phase.systems} systems enrolled in {(enrolled - begun) / SECOND:.1f} s; sessions open, leases are taken")
    await asyncio.gather(*(hand.ask("open", leases=phase.each, at_once=OPENING_AT_ONCE) for hand in on.hands))
    opened = clock.boot_ms()
    looks = await on.look()
    say(
        f"{total(looks, 'usable')} leases in {(opened - enrolled) / SECOND:.1f} s; "
        f"{phase.steady / SECOND:.0f} s of rest"
    )
    samples = await gauge.watch_process(on.daemon.pid, phase.steady, clock)
    steady = await on.look()
    heartbeats = (total(steady, "frames") - total(looks, "frames")) * SECOND / (clock.boot_ms() - opened)
    storm = await _restart(on) if phase.restart else None
    stop = await _suspend(on)
    lost = sum((Counter(each["lost"]) for each in await on.look()), Counter[str]())
    for hand in on.hands:
        await hand.ask("leave")
    return Figures(
        phase=phase,
        enrolling=enrolled - begun,
        opening=opened - enrolled,
        held=total(looks, "usable"),
        held_after=total(steady, "usable"),
        heartbeats=heartbeats,
        memory=gauge.memory(samples),
        cpu=gauge.cpu(samples),
        lost=dict(lost),
        bad_in_rest=tuple(words for _, _, words in together(steady, "bad")),
        storm=storm,
        stop=stop,
    )


# ------------------------------------------------------------------------------------------------- set up
async def _enrol(on: Ground) -> None:
    """Issue the licences with four eyes, invite every system, and let the processes enrol theirs."""
    tokens = [token for number in range(on.phase.licences) for token in (await _licensed(on, number)).items()]
    parts = [dict(tokens[index :: len(on.hands)]) for index in range(len(on.hands))]
    asked = zip(on.hands, parts, strict=True)
    await asyncio.gather(*(hand.ask("enrol", tokens=part, at_once=ENROLLING_AT_ONCE) for hand, part in asked))


async def _licensed(on: Ground, number: int) -> dict[str, str]:
    """A customer, its licence, and a join token for each of its systems."""
    phase, customer = on.phase, f"customer-{number}"
    licence = f"{phase.name}-{number}"
    await on.office.create_customer(customer, f"Customer {number} (fictional)")
    terms, now = _terms(phase), on.clock.wall_ms()
    draft = licence_pb.TermsDraft(
        not_before_ms=now,
        not_after_ms=now + terms.term,
        product=terms.product,
        category=terms.category,
        constraints=terms.constraints(),
    )
    await on.office.issue(licence_pb.IssueLicenceRequest(customer=customer, licence=licence, terms=draft))
    turn = asyncio.Semaphore(INVITING_AT_ONCE)

    async def invite(name: str) -> tuple[str, str]:
        async with turn:
            return name, await on.office.invite(licence, name)

    names = [f"{licence}-s{index}" for index in range(phase.systems // phase.licences)]
    return dict(await asyncio.gather(*map(invite, names)))


def _terms(phase: Phase) -> WantedTerms:
    volumes = Volume(volume(phase), 30 * DAY)
    return WantedTerms(
        product="locator",
        category=CATEGORY,
        term=DAY,
        cap=phase.leases // phase.licences,
        distinct=volumes,
        churn=Volume(volume(phase), DAY),
        regions=(REGION,),
        bases=("declared",),
        purposes=(PURPOSE,),
        offences=(),
        deployment_regions=(),
        permit=phase.permit,
        grace=phase.grace,
        deployments=phase.systems // phase.licences,
        authorisation=False,
        attestation=False,
    )


# ------------------------------------------------------------------------------------------------- events
async def _restart(on: Ground) -> Storm:
    """Stop licd, or kill it, and start it again; wait until every system has been heard."""
    clock, systems = on.clock, on.phase.systems
    down = clock.boot_ms()
    await on.daemon.stop(hard=on.phase.restart == "kill")
    gone = clock.boot_ms()
    await on.daemon.start()
    serving = clock.boot_ms()
    on.say(f"licd was away for {(serving - down) / SECOND:.1f} s; {systems} systems come back")
    limit = on.phase.permit + on.phase.grace
    all_back = await on.until(lambda looks: total(looks, "heard") == systems, gone, limit)
    looks = await on.look(down)
    dials = [at - serving for at in together(looks, "dialled") if at > serving]
    answers = [at - serving for at in together(looks, "answered") if at > gone]
    ends = Counter(_kind(words, begun, serving) for begun, ended, words in together(looks, "bad") if ended > serving)
    return Storm(
        stopping=gone - down,
        starting=serving - gone,
        all_back=all_back,
        back=total(await on.look(gone), "heard"),
        dials=Spread.of(dials),
        answers=Spread.of(answers),
        ends=dict(ends),
        usable=total(looks, "usable"),
    )


def _kind(words: str, begun: Millis, serving: Millis) -> str:
    """The status and its last words, and whether licd was there when the stream was asked for."""
    status, _, said = words.partition(": ")
    last = "" if status == GIVEN_UP else f" ({ADDRESS.sub('', said)[-LAST_WORDS:].strip()})"
    return f"{status}{last} {'of a dial while licd served' if begun > serving else 'of an earlier dial'}"


async def _suspend(on: Ground) -> Stop:
    """Everything at once, by one operator; wait until every reachable system has stopped and said so."""
    clock, phase = on.clock, on.phase
    usable = total(await on.look(), "usable")
    asked = clock.boot_ms()
    offset = clock.wall_ms() - asked
    request = licence_pb.SuspendLicenceRequest(
        request_id=on.office.request_id(),
        scope=licence_pb.SuspensionScope(all=True),
        reason_code="rule_volume",
        detail="an exercise",
    )
    answer = await on.desk.licences.SuspendLicence(request, timeout=SUSPEND_WITHIN)
    answered = clock.boot_ms()
    on.say(f"everything suspended; licd answered in {answered - asked} ms")
    bounds = answer.bounds
    patience = bounds.push_ms + bounds.pull_ms + STRAGGLERS
    await on.until(lambda looks: len(together(looks, "stopped")) == phase.systems, asked, patience)
    looks = await on.look(asked)
    decided = answer.decided_ms - offset
    settled = await _settled(on, answer.suspension)
    return Stop(
        answered=answered - asked,
        decided=decided - asked,
        stops=Spread.of([stopped - decided for stopped, _ in together(looks, "stopped")]),
        arrivals=Spread.of([heard - decided for _, heard in together(looks, "stopped")]),
        bound=bounds.push_ms,
        leases_before=usable,
        leases_after=total(looks, "usable"),
        acknowledged=settled,
    )


async def _settled(on: Ground, suspension: str) -> int:
    """How many systems have acknowledged, once all have or two heartbeats have passed."""
    ends = on.clock.boot_ms() + 2 * on.phase.heartbeat + 10 * SECOND
    while True:
        found = await on.desk.licences.GetSuspension(
            licence_pb.GetSuspensionRequest(suspension=suspension), timeout=SUSPEND_WITHIN
        )
        acknowledged = sum(each.state == licence_pb.STOP_STATE_ACKNOWLEDGED for each in found.systems)
        if acknowledged == on.phase.systems or on.clock.boot_ms() > ends:
            return acknowledged
        await sleep(on.clock, LOOK_EVERY)
