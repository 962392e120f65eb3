"""What goes wrong in a run, when and to whom: a sequence of misfortunes that overlap, drawn from the seed.

Two things are left out. The clock of licd's machine is not set back while that machine is switched off: nothing is left
then to compare it with, and a clock that is behind by less is believed. And nobody puts an old backup of licd's rows
back: what an operator does then is a procedure of its own, tried on real processes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from licd.client import ClientError
from licd.server.inprocess import LicdError, ServerRows
from licd.v1 import licence_pb2 as pb
from licd.v1 import licence_service_pb2 as licence_pb
from licd.v1 import session_service_pb2 as session_pb
from simulator.chance import Random
from simulator.clock import SECOND
from simulator.deterministic.customer import Customer
from simulator.deterministic.desk import Unanswered
from simulator.deterministic.link import FINE, Way, Weather, nothing
from simulator.deterministic.machine import EPOCH, true_ms
from simulator.deterministic.world import TARGETS, World, constraints

LIFTED_AGAIN: Final = 0.8
ON_ITS_WORD: Final = 0.5

Misfortune = Callable[[World, Random], Awaitable[None]]


async def play(world: World, *, only: tuple[str, ...] = ()) -> None:
    """One misfortune after the other until the time is over; then all of them end. only: draw from these."""
    chance = world.chance
    weights = {name: weight for name, weight in _weights(world).items() if not only or name in only}
    under_way: list[asyncio.Task[None]] = []
    while true_ms() < world.shape.lasts:
        await asyncio.sleep(chance.uniform(0.2, 2.5))
        name = chance.choices(list(weights), list(weights.values()))[0]
        world.misfortunes.append(name)
        world.judge.note(f"-- {name}")
        under_way.append(asyncio.get_running_loop().create_task(_befall(MISFORTUNES[name], world, chance)))
    for task in under_way:
        task.cancel()
    await asyncio.gather(*under_way, return_exceptions=True)
    for task in under_way:
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error


def _weights(world: World) -> dict[str, float]:
    if not world.shape.replicas:
        return WEIGHTS
    return {name: weight for name, weight in WEIGHTS.items() if name not in OF_A_FILE} | OF_REPLICAS


async def _befall(misfortune: Misfortune, world: World, chance: Random) -> None:
    try:
        await misfortune(world, chance)
    except (LicdError, ClientError, Unanswered) as error:
        world.judge.note(f"refused: {type(error).__name__}")


def _anyone(world: World, chance: Random) -> Customer:
    return chance.choice([*world.customers, *world.doubles])


# ------------------------------------------------------------------------------------------------- licd
async def licd_crashes(world: World, chance: Random) -> None:
    """Its process ends between two awaits."""
    world.site.any(chance).die()


async def licd_crashes_at_a_statement(world: World, chance: Random) -> None:
    """Its process ends inside a statement, or between the last one and the commit."""
    world.site.any(chance).crash_in = chance.randrange(40)


async def licd_loses_power(world: World, chance: Random) -> None:
    """Its machine goes: no connection is reset."""
    if not world.clock_is_wrong:
        world.site.any(chance).lose_power()


async def licd_is_held(world: World, chance: Random) -> None:
    """Somebody sets the local switch that stops all signing."""
    licd = world.site.any(chance)
    licd.held = True
    await asyncio.sleep(chance.uniform(0.5, 6))
    licd.held = False


async def licds_clock_jumps(world: World, chance: Random) -> None:
    """Set wrong by seconds or by days; later set right again, and accepted."""
    if world.clock_is_wrong or world.clock_is_looked_at:
        return
    world.clock_is_wrong = True
    way = chance.choice((-1, 1)) if world.clock_is_compared else 1
    world.site.machine.set_wall(way * chance.choice((3, 20, 3_600, 30 * 86_400)) * SECOND)
    await asyncio.sleep(chance.uniform(0.5, 10))
    world.site.machine.set_right()
    world.clock_is_wrong = False
    world.clock_is_looked_at = True
    try:
        await asyncio.sleep(chance.uniform(0.1, 1))
        await world.desk.accept_clock()
    finally:
        world.clock_is_looked_at = False


async def licds_clock_is_nudged(world: World, chance: Random) -> None:
    """As a time service does that slews in steps."""
    nudge = chance.randrange(-200, 200)
    world.site.machine.set_wall(nudge)
    await asyncio.sleep(chance.uniform(1, 5))
    world.site.machine.set_wall(-nudge)


async def a_replica_loses_its_database(world: World, chance: Random) -> None:
    """It runs, and can neither read nor write for a while."""
    database = world.site.any(chance).database
    if isinstance(database, ServerRows):
        database.cut = True
        await asyncio.sleep(chance.uniform(0.1, 8))
        database.cut = False


# ------------------------------------------------------------------------------------------------- systems
async def a_system_crashes(world: World, chance: Random) -> None:
    """Its process ends, and starts again from its directory."""
    customer = _anyone(world, chance)
    customer.die()
    await asyncio.sleep(chance.uniform(0.05, 5))
    if not customer.up:
        customer.start()


async def a_system_reboots(world: World, chance: Random) -> None:
    """Its machine loses power."""
    customer = _anyone(world, chance)
    customer.reboot()
    await asyncio.sleep(chance.uniform(0.05, 5))
    if not customer.up:
        customer.start()


async def a_system_restarts(world: World, chance: Random) -> None:
    """Its program is ended as it should be, and started again."""
    customer = _anyone(world, chance)
    await customer.close()
    await asyncio.sleep(chance.uniform(0.05, 2))
    if not customer.up:
        customer.start()


async def a_machine_stands_still(world: World, chance: Random) -> None:
    """SIGSTOP, or suspended to memory: for longer than any permit, at times."""
    customer = _anyone(world, chance)
    customer.machine.pause()
    await asyncio.sleep(chance.uniform(0.2, 25))
    customer.machine.resume()


async def a_wall_clock_is_set(world: World, chance: Random) -> None:
    """By a customer who hopes for something."""
    days = chance.randrange(-400, 400)
    _anyone(world, chance).machine.set_wall(days * 86_400 * SECOND)


async def a_system_is_copied(world: World, chance: Random) -> None:
    """A second machine goes on from the same directory."""
    if not world.doubles:
        world.double(chance.choice(world.customers), "double-1").start()


async def a_directory_is_put_back(world: World, chance: Random) -> None:
    """A system goes on from what its directory held some time ago."""
    customer = chance.choice(world.customers)
    world.suspects.add(customer.name)
    world.judge.tampered.add(customer.name)
    files = dict(customer.directory.files)
    await asyncio.sleep(chance.uniform(0.5, 6))
    customer.die()
    await asyncio.sleep(0.5)
    customer.directory.files.clear()
    customer.directory.files.update(files)
    if not customer.up:
        customer.start()


# ------------------------------------------------------------------------------------------------- ways
async def a_way_is_cut(world: World, chance: Random) -> None:
    """Both directions, or one: half open."""
    shut = chance.choice((frozenset(Way), frozenset({Way.UP}), frozenset({Way.DOWN})))
    await _weather(_anyone(world, chance), Weather(shut=shut), chance.uniform(0.3, 20))


async def a_way_is_lossy(world: World, chance: Random) -> None:
    """Calls go astray, come late, come twice."""
    weather = Weather(most=0.3, loss=chance.uniform(0.05, 0.6), repeats=chance.uniform(0, 0.4))
    await _weather(_anyone(world, chance), weather, chance.uniform(1, 15))


async def a_way_is_slow(world: World, chance: Random) -> None:
    """Answers come about when they are given up."""
    await _weather(_anyone(world, chance), Weather(least=0.2, most=1.4), chance.uniform(1, 15))


async def _weather(customer: Customer, weather: Weather, seconds: float) -> None:
    customer.link.becomes(weather)
    await asyncio.sleep(seconds)
    customer.link.becomes(FINE)


async def all_are_partitioned(world: World, chance: Random) -> None:
    """Nobody reaches licd for a while."""
    everybody = [*world.customers, *world.doubles]
    for customer in everybody:
        customer.link.becomes(Weather(shut=frozenset(Way)))
    await asyncio.sleep(chance.uniform(0.5, 12))
    for customer in everybody:
        customer.link.becomes(FINE)


async def ways_are_clogged_in_turn(world: World, chance: Random) -> None:
    """Swizzle-clogging: some are shut one after the other, and opened in another order."""
    some = chance.sample(world.customers, chance.randrange(1, len(world.customers) + 1))
    for customer in some:
        customer.link.becomes(Weather(shut=frozenset(Way)))
        await asyncio.sleep(chance.uniform(0.05, 1))
    chance.shuffle(some)
    for customer in some:
        customer.link.becomes(FINE)
        await asyncio.sleep(chance.uniform(0.05, 1))


async def somebody_drops_pushes(world: World, chance: Random) -> None:
    """A proxy of the customer's own takes every directive out of the stream."""
    await _drop(world, chance, lambda way, frame: way is Way.DOWN and _is(frame, "directive"))


async def somebody_drops_half_the_replies(world: World, chance: Random) -> None:
    """A proxy takes every other reply out of the stream."""
    await _drop(world, chance, lambda way, frame: way is Way.DOWN and _is(frame, "reply") and chance.random() < 0.5)


async def somebody_drops_acknowledgements(world: World, chance: Random) -> None:
    """A proxy takes out what would tell licd that a system has stopped."""
    await _drop(world, chance, lambda way, frame: way is Way.UP and _acknowledges(frame))


async def _drop(world: World, chance: Random, drops: Callable[[Way, bytes], bool]) -> None:
    customer = _anyone(world, chance)
    world.judge.tampered.add(customer.name)
    customer.link.drops = drops
    await asyncio.sleep(chance.uniform(1, 15))
    customer.link.drops = nothing


def _is(frame: bytes, kind: str) -> bool:
    return session_pb.SessionResponse.FromString(frame).WhichOneof("frame") == kind


def _acknowledges(frame: bytes) -> bool:
    return session_pb.SessionRequest.FromString(frame).WhichOneof("frame") == "acknowledgement"


# ------------------------------------------------------------------------------------------------- operators
async def a_licence_is_suspended(world: World, chance: Random) -> None:
    """One licence, a customer's, or all; lifted again some time later."""
    licence = chance.choice(world.licences)
    scope = chance.choice(
        (
            licence_pb.SuspensionScope(licence=licence),
            licence_pb.SuspensionScope(licence=licence),
            licence_pb.SuspensionScope(customer="acme"),
            licence_pb.SuspensionScope(all=True),
        )
    )
    answer = await world.desk.suspend(scope)
    for each in answer.licences:
        world.judge.epoch_answered(each.licence, each.epoch)
    await asyncio.sleep(chance.uniform(0.3, 12))
    for name in world.licences:
        await world.desk.reinstate(name)


async def a_licence_is_amended(world: World, chance: Random) -> None:
    """Wider, narrower, longer, shorter."""
    length, grace = chance.choice((3, 4, 6)) * SECOND, chance.choice((0, 2, 8)) * SECOND
    changed = constraints(chance.randrange(1, TARGETS), length, grace, world.shape.systems)
    await world.desk.amend(chance.choice(world.licences), changed)


async def a_lease_is_taken_back(world: World, chance: Random) -> None:
    """Force-release."""
    await world.desk.force_release(chance.choice(world.licences))


async def a_licence_is_terminated(world: World, chance: Random) -> None:
    """For good."""
    await world.desk.terminate(chance.choice(world.licences))


async def an_authority_narrows(world: World, chance: Random) -> None:
    """By more or by less than before, for long or for some seconds; at times it goes back on that."""
    authority, now = world.authority, EPOCH + true_ms()
    limits = [
        pb.Constraint(concurrent_targets=pb.ConcurrentTargets(limit=chance.randrange(1, TARGETS))),
        pb.Constraint(permit_length=pb.PermitLength(length_ms=chance.choice((2, 3, 6)) * SECOND)),
        pb.Constraint(offline_grace=pb.OfflineGrace(grace_ms=chance.choice((0, 1, 8)) * SECOND)),
    ]
    lasts = chance.choice((chance.randrange(2, 20), 86_400)) * SECOND
    await world.desk.lodge(authority.permits(now, lasts, *chance.sample(limits, chance.randrange(1, 4))))
    await asyncio.sleep(chance.uniform(0.3, 15))
    if chance.random() < LIFTED_AGAIN:
        await world.desk.lodge(authority.lifts(EPOCH + true_ms()))


async def an_authority_withdraws(world: World, chance: Random) -> None:
    """What it permitted, by its own signature or on its word; at times it has no say any more after that."""
    authority = world.authority
    await world.desk.lodge(authority.permits(EPOCH + true_ms(), 86_400 * SECOND))
    await asyncio.sleep(chance.uniform(0.3, 3))
    if chance.random() < ON_ITS_WORD:
        await world.desk.withdraw(f"{authority.name}/{authority.reference}")
    else:
        await world.desk.lodge(authority.withdraws(EPOCH + true_ms()))
    await asyncio.sleep(chance.uniform(0.3, 12))
    if chance.random() < LIFTED_AGAIN:
        await world.desk.lodge(authority.lifts(EPOCH + true_ms()))


async def operators_are_badly_connected(world: World, chance: Random) -> None:
    """Their requests and their answers go astray; they ask again under the same id."""
    world.desk.loss = 0.4
    await asyncio.sleep(chance.uniform(1, 10))
    world.desk.loss = 0.0


WEIGHTS: Final[dict[str, float]] = {
    "licd_crashes": 2,
    "licd_crashes_at_a_statement": 4,
    "licd_loses_power": 1,
    "licd_is_held": 1,
    "licds_clock_jumps": 1.5,
    "licds_clock_is_nudged": 1,
    "a_system_crashes": 3,
    "a_system_reboots": 3,
    "a_system_restarts": 1.5,
    "a_machine_stands_still": 3,
    "a_wall_clock_is_set": 1,
    "a_system_is_copied": 0.4,
    "a_directory_is_put_back": 0.4,
    "a_way_is_cut": 4,
    "a_way_is_lossy": 4,
    "a_way_is_slow": 3,
    "all_are_partitioned": 1,
    "ways_are_clogged_in_turn": 1,
    "somebody_drops_pushes": 1.5,
    "somebody_drops_half_the_replies": 1.5,
    "somebody_drops_acknowledgements": 0.5,
    "a_licence_is_suspended": 5,
    "a_licence_is_amended": 2.5,
    "a_lease_is_taken_back": 1.5,
    "a_licence_is_terminated": 0.15,
    "an_authority_narrows": 2.5,
    "an_authority_withdraws": 1.5,
    "operators_are_badly_connected": 1.5,
}
OF_A_FILE: Final = frozenset({"licds_clock_jumps"})
"""The clock of a database server is another machine's: whether it jumped is for each replica to find, and to accept."""
OF_REPLICAS: Final[dict[str, float]] = {"a_replica_loses_its_database": 4}
MISFORTUNES: Final[dict[str, Misfortune]] = {name: globals()[name] for name in WEIGHTS | OF_REPLICAS}
