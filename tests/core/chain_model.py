"""An exhaustive model of a chain: a system (or two copies of it), a network that loses, delays and doubles, and licd.

Every step that could come next is taken from every state, until nothing new is found. licd's verdicts are those of
licd.core.chain; the rest is written anew here. Stream ages are told apart only as the judgement does: opened before
the last acceptance, or after it. A stream has no age until licd sees it: a connection can be held up as a whole.
"""

import gc
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache
from hashlib import sha256
from typing import NamedTuple

from licd.core.chain import BETWEEN, BackedReply, LinkClaim, Verdict, judge, recall, remember
from licd.core.model import Session
from tests.builders import make_session

CALL = -1
OLDER, ACCEPTED_AT, YOUNGER = 1, 2, 3
NO_REPLY = (0, b"")
WAYS = 3


class Link(NamedTuple):
    sequence: int
    previous: bytes
    maker: str
    opens: bool


class Frame(NamedTuple):
    """A link under way on a stream (or as a call), with the last reply sent along by whoever speaks first on it."""

    owner: int
    stream: int
    link: Link
    backed: tuple[int, bytes]


class Reply(NamedTuple):
    """What licd said, on the stream (or to the call) that asked."""

    owner: int
    stream: int
    link: Link
    payload: bytes


class Disk(NamedTuple):
    previous: bytes
    sequence: int
    outstanding: Link | None
    last: tuple[int, bytes]


class System(NamedTuple):
    """One copy. It has one stream at a time, and says its outstanding link on it once.

    spoke: it has said something on this stream; said: the outstanding link. advanced: licd has answered a link of its
    own making.
    """

    name: str
    memory: Disk
    disk: Disk
    opened: bool
    stream: int
    spoke: bool
    said: bool
    lives: int
    advanced: bool


class Licd(NamedTuple):
    sequence: int
    link: bytes
    reply: bytes
    is_permit: bool
    replaced: bytes
    recent: bytes
    suspended: bool
    life: int
    is_behind: bool = False
    is_reconciled: bool = False


class State(NamedTuple):
    licd: Licd
    backup: Licd | None
    systems: tuple[System, ...]
    streams: tuple[str, ...]
    frames: tuple[Frame, ...]
    replies: tuple[Reply, ...]
    orders_left: int


@dataclass(frozen=True, slots=True)
class Scope:
    """How far to look, and what to break: faults are named where they are planted."""

    is_copied: bool = False
    links: int = 4
    streams: int = 2
    sends: int = 2
    lives: int = 1
    orders: int = 0
    restores: bool = False
    reconciles: bool = False
    faults: frozenset[str] = frozenset()
    most: int = 400_000


@dataclass(slots=True)
class Found:
    """How many states there are, what was judged, and the ways to the first few bad states."""

    states: int = 0
    verdicts: Counter[Verdict] = field(default_factory=Counter)
    forks: list[list[str]] = field(default_factory=list)
    both_advanced: list[list[str]] = field(default_factory=list)
    stuck: list[list[str]] = field(default_factory=list)
    is_complete: bool = True


@cache
def digest(*parts: object) -> bytes:
    return sha256(repr(parts).encode()).digest()


def start(scope: Scope) -> State:
    receipt = digest("receipt")
    blank = Disk(receipt, 0, None, NO_REPLY)
    licd = Licd(0, b"", receipt, False, b"", b"", False, 0)
    system = System("a", blank, blank, False, CALL, False, False, 1, False)
    return State(licd, None, (system,), (), (), (), scope.orders)


def explore(scope: Scope) -> Found:
    """Takes every step from every state, breadth first, so that the way to a bad state is a shortest one."""
    gc.disable()  # all that is made is kept: looking through it for rubbish doubles the time
    try:
        return _explore(scope)
    finally:
        gc.enable()


def _explore(scope: Scope) -> Found:
    found = Found()
    first = start(scope)
    came_from: dict[State, tuple[State, str] | None] = {first: None}
    wave = [first]
    while wave:
        following: list[State] = []
        for state in wave:
            if is_stuck(state, scope):
                found.stuck.append(way_to(state, came_from))
            for step, then, verdict in steps(state, scope):
                if verdict is not None:
                    found.verdicts[verdict] += 1
                if verdict is Verdict.FORK and len(found.forks) < WAYS:
                    found.forks.append([*way_to(state, came_from), step])
                if then is None or then in came_from:
                    continue
                came_from[then] = (state, step)
                if len(then.systems) > 1 and all(each.advanced for each in then.systems):
                    found.both_advanced.append(way_to(then, came_from))
                    continue
                following.append(then)
        wave = following
        if len(came_from) > scope.most:
            found.is_complete = False
            break
    found.states = len(came_from)
    return found


def way_to(state: State, came_from: dict[State, tuple[State, str] | None]) -> list[str]:
    way: list[str] = []
    at = came_from[state]
    while at is not None:
        state, step = at
        way.append(step)
        at = came_from[state]
    return way[::-1]


def is_stuck(state: State, scope: Scope) -> bool:
    """Whether a lone system could dial for ever and never be answered; a restored licd is reconciled first."""
    licd, link = state.licd, state.systems[0].memory.outstanding
    if link is None or len(state.systems) > 1 or licd.is_behind:
        return False
    verdict, _ = judged(licd, Frame(0, CALL, link, state.systems[0].memory.last), scope, opened_at=YOUNGER)
    return verdict is Verdict.LATE or (verdict is Verdict.BEHIND and licd.is_reconciled)


Step = tuple[str, State | None, Verdict | None]


def steps(state: State, scope: Scope) -> Iterator[Step]:
    for at in range(len(state.systems)):
        yield from system_steps(state, scope, at)
    for index, kind in enumerate(state.streams):
        if kind == "unseen":
            yield f"licd sees stream {index}", state._replace(streams=put(state.streams, index, "young")), None
    for frame in dict.fromkeys(state.frames):
        yield from delivery(state, scope, frame)
    for reply in dict.fromkeys(state.replies):
        yield reading(state, reply)
    yield from operator_steps(state, scope)


def copied(state: State, memory: Disk) -> State:
    """Two systems with other names from here on, so that what each makes by itself can be told apart."""
    one = state.systems[0]
    first = one._replace(name="b", advanced=False)
    other = System("c", memory, memory, one.opened and memory is one.memory, CALL, False, False, one.lives, False)
    return state._replace(systems=(first, other))


def put(values: tuple[str, ...], index: int, value: str) -> tuple[str, ...]:
    return (*values[:index], value, *values[index + 1 :])


def with_system(state: State, at: int, system: System) -> State:
    return state._replace(systems=(*state.systems[:at], system, *state.systems[at + 1 :]))


# ------------------------------------------------------------------------------------------------ the system
def system_steps(state: State, scope: Scope, at: int) -> Iterator[Step]:
    system = state.systems[at]
    memory = system.memory
    link = memory.outstanding
    if link is None and memory.sequence < scope.links:
        yield f"{system.name} makes a link", with_system(state, at, making(system, scope)), None
    dials = link is not None and not link.opens and (system.spoke or system.stream == CALL)
    if dials and len(state.streams) < scope.streams:
        dialled = system._replace(stream=len(state.streams), spoke=False, said=False)
        then = with_system(hung_up(state, at), at, dialled)._replace(streams=(*state.streams, "unseen"))
        yield f"{system.name} dials stream {len(state.streams)}", then, None
    if link is not None:
        yield from sending(state, scope, at, link)
    if system.lives <= scope.lives:
        back = system.disk
        risen = System(system.name, back, back, False, CALL, False, False, system.lives + 1, system.advanced)
        yield f"{system.name} crashes", with_system(hung_up(state, at, calls=True), at, risen), None


def hung_up(state: State, at: int, *, calls: bool = False) -> State:
    """Nothing is read any more from the streams, or calls, that the system has given up; what it said goes on."""
    left = tuple(each for each in state.replies if each.owner != at or (each.stream == CALL and not calls))
    return state._replace(replies=left)


def making(system: System, scope: Scope) -> System:
    memory = system.memory
    maker = f"{system.name}{system.lives}"
    link = Link(memory.sequence + 1, memory.previous, maker, not system.opened)
    memory = memory._replace(sequence=link.sequence, outstanding=link)
    written = system.disk if "no write-ahead" in scope.faults else memory
    return system._replace(memory=memory, disk=written, said=False)


def sending(state: State, scope: Scope, at: int, link: Link) -> Iterator[Step]:
    system = state.systems[at]
    if link.opens:
        frame = Frame(at, CALL, link, system.memory.last)
    elif system.stream != CALL and not system.said:
        frame = Frame(at, system.stream, link, NO_REPLY if system.spoke else system.memory.last)
    else:
        return
    if sum(1 for each in state.frames if each.link == link) >= scope.sends:
        return
    spoken = system._replace(spoke=system.spoke or not link.opens, said=not link.opens)
    then = with_system(state, at, spoken)._replace(frames=tuple(sorted((*state.frames, frame))))
    yield f"{system.name} sends {link.sequence} {'by a call' if link.opens else 'on a stream'}", then, None


def reading(state: State, reply: Reply) -> Step:
    left = list(state.replies)
    left.remove(reply)
    state = state._replace(replies=tuple(left))
    system = state.systems[reply.owner]
    if system.memory.outstanding != reply.link:
        return f"{system.name} drops a late reply", state, None
    memory = Disk(reply.payload, reply.link.sequence, None, (reply.link.sequence, reply.payload))
    opened = system.opened or (reply.link.opens and reply.link.maker == f"{system.name}{system.lives}")
    advanced = system.advanced or reply.link.maker[0] == system.name
    read = system._replace(memory=memory, opened=opened, said=False, advanced=advanced)
    return f"{system.name} reads the reply to {reply.link.sequence}", with_system(state, reply.owner, read), None


# ------------------------------------------------------------------------------------------------------ licd
def delivery(state: State, scope: Scope, frame: Frame) -> Iterator[Step]:
    left = list(state.frames)
    left.remove(frame)
    streams = state.streams
    if frame.stream != CALL and streams[frame.stream] == "unseen":
        streams = put(streams, frame.stream, "young")
    young = frame.stream == CALL or streams[frame.stream] == "young" or "no old-stream rule" in scope.faults
    state = state._replace(frames=tuple(left), streams=streams)
    if state.licd.is_behind:
        yield "licd says that it is behind", state, None
        return
    verdict, licd = judged(state.licd, frame, scope, opened_at=YOUNGER if young else OLDER)
    name = f"licd gets {frame.link.sequence} of {frame.link.maker}: {verdict.value}"
    match verdict:
        case Verdict.REPEAT | Verdict.ACCEPT | Verdict.TAKE_UP:
            goes_on = verdict is not Verdict.REPEAT
            seen = tuple("old" if each == "young" else each for each in streams) if goes_on else streams
            reply = Reply(frame.owner, frame.stream, frame.link, licd.reply)
            listens = frame.stream in {CALL, state.systems[frame.owner].stream}
            replies = tuple(sorted({*state.replies, reply})) if listens else state.replies
            yield name, state._replace(licd=licd, streams=seen, replies=replies), verdict
        case Verdict.LATE:
            yield name, state, verdict
        case Verdict.BEHIND if scope.reconciles:
            yield name, state._replace(licd=licd._replace(is_behind=True)), verdict
        case Verdict.FORK | Verdict.BEHIND:
            yield name, None, verdict


def judged(licd: Licd, frame: Frame, scope: Scope, *, opened_at: int) -> tuple[Verdict, Licd]:
    link = digest(frame.link)
    session = session_of(licd, scope.faults)
    sequence, payload = frame.backed
    backed = BackedReply(sequence, payload, OLDER) if payload and "nothing sent along" not in scope.faults else None
    claim = LinkClaim(frame.link.sequence, frame.link.previous, link, opened_at, backed)
    if "anything follows" in scope.faults:
        claim = LinkClaim(licd.sequence + 1, licd.reply, link, opened_at, backed)
    verdict = judge(session, licd.reply, claim, YOUNGER if licd.is_reconciled else 0)
    if verdict in {Verdict.ACCEPT, Verdict.TAKE_UP}:
        keep = remember(licd.recent, link) if "all remembered" in scope.faults else kept(session, claim)
        reply = digest("reply", link, licd.suspended, licd.life)
        return verdict, Licd(frame.link.sequence, link, reply, not licd.suspended, b"", keep, licd.suspended, licd.life)
    if verdict is Verdict.REPEAT and "repeats forgotten" not in scope.faults:
        licd = licd._replace(recent=kept(session, claim))
    if verdict is Verdict.REPEAT and licd.is_permit and licd.suspended:
        refusal = digest("refusal", link, licd.life)
        return verdict, licd._replace(reply=refusal, is_permit=False, replaced=licd.reply)
    return verdict, licd


def kept(session: Session, claim: LinkClaim) -> bytes:
    """What is remembered for long; the last few links, which are remembered too, are more than there are here."""
    return recall(session, claim).partition(BETWEEN)[0]


@lru_cache(maxsize=100_000)
def session_of(licd: Licd, faults: frozenset[str]) -> Session:
    return make_session(
        sequence=licd.sequence,
        link_hash=licd.link,
        recent=b"" if "nothing remembered" in faults else licd.recent,
        replaced_reply=b"" if "one parent" in faults else licd.replaced,
        accepted_at=ACCEPTED_AT,
    )


def operator_steps(state: State, scope: Scope) -> Iterator[Step]:
    licd = state.licd
    if scope.is_copied and len(state.systems) == 1:
        yield "the directory is copied", copied(state, state.systems[0].disk), None
        yield "the machine is copied", copied(state, state.systems[0].memory), None
    if state.orders_left:
        turned = licd._replace(suspended=not licd.suspended)
        word = "reinstated" if licd.suspended else "suspended"
        yield f"the licence is {word}", state._replace(licd=turned, orders_left=state.orders_left - 1), None
    if licd.is_behind:
        yield "licd is reconciled", state._replace(licd=licd._replace(is_behind=False, is_reconciled=True)), None
    if not scope.restores or licd.life:
        return
    if state.backup is None:
        yield "licd is backed up", state._replace(backup=licd), None
    elif state.backup != licd:
        systems = tuple(each._replace(stream=CALL, spoke=False, said=False) for each in state.systems)
        old = state.backup._replace(life=1)
        gone = tuple("old" for _ in state.streams)
        # No connection outlives licd: what was under way is lost, what had come was read before it broke.
        yield "licd is restored", State(old, state.backup, systems, gone, (), (), state.orders_left), None
