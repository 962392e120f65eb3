"""A cheat: a system with a client of its own making, which remembers every permit it ever had for a target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from licd.v1 import denial_pb2, licence_pb2, session_pb2
from simulator.bench import Cover, Job
from simulator.chance import stream
from simulator.clock import Millis
from simulator.mission import Wish
from simulator.participant import Participant, Stage
from simulator.raw.chain import Kept
from simulator.raw.client import Answer, RawClient
from simulator.raw.enrolment import enrol
from simulator.raw.line import GrpcLine, LineBroken, Papers
from simulator.scenario import Group
from simulator.tap import Ending

SEED_BYTES: Final = 32
BRAZEN_FOR: Final[Millis] = 1_500
"""How long a cheat goes on where nothing covers it."""
NO_PAPERS: Final = Papers("", "", "", "", "", b"", b"")


class RawSystem(Participant):
    """Takes steps until it is cancelled. A kind says what a step is."""

    def __init__(self, name: str, group: Group, terms: licence_pb2.LicenceTerms, stage: Stage) -> None:
        super().__init__(name, group, terms, stage)
        self.papers = NO_PAPERS
        self._kept: Kept | None = None
        self._client: RawClient | None = None
        self.best: Final[dict[bytes, Ending]] = {}
        self.leases: Final[dict[bytes, int]] = {}
        """The leases that it keeps up, by target."""
        self.tap.on_permit = self._remember

    def _remember(self, ends: Mapping[bytes, Ending]) -> None:
        """Keep, for each target, the permit that runs longest."""
        for target, ending in ends.items():
            if target not in self.best or ending.until > self.best[target].until:
                self.best[target] = ending

    # ---------------------------------------------------------------------------------------------- life
    async def enrol(self, join_token: str) -> None:
        """Enrol by hand."""
        chance = stream(self.stage.seed, f"{self.name}/enrolment")
        secret = Ed25519PrivateKey.from_private_bytes(chance.randbytes(SEED_BYTES))
        self.papers = await enrol(join_token, secret)
        self._kept = Kept.first(self.papers.system, secret, self.papers.receipt)

    @property
    def kept(self) -> Kept:
        """What is on its disk."""
        if self._kept is None:
            raise RuntimeError(f"{self.name} is not enrolled")
        return self._kept

    @property
    def client(self) -> RawClient:
        """Its process's client."""
        if self._client is None:
            raise RuntimeError(f"{self.name} does not run")
        return self._client

    def make_client(self, kept: Kept, name: str) -> RawClient:
        """A process on this disk."""
        papers = self.papers
        return RawClient(
            kept,
            GrpcLine(papers.address, papers.authorities, papers),
            wire=self.wire,
            tap=self.tap,
            clock=self.stage.clock,
            chance=stream(self.stage.seed, f"{self.name}/{name}"),
            region=self.region,
        )

    async def run(self) -> None:
        """Step after step."""
        await self.begin()
        self._client = self.make_client(self.kept, "client")
        self._client.on_order = self.ordered
        try:
            step = 0
            while True:
                if not self.group.steps or step < self.group.steps:
                    await self._try_step(step)
                step += 1
                await self.pause()
        finally:
            await self._client.close()

    async def _try_step(self, step: int) -> None:
        try:
            await self.step(step)
        except LineBroken as broken:
            self.journal.note("line", "", broken.reason)

    async def step(self, step: int) -> None:
        """Do what this kind does. May raise LineBroken."""
        raise NotImplementedError

    def ordered(self, directive: session_pb2.Directive) -> None:
        """A directive came. Most cheats do not look at them."""

    # ---------------------------------------------------------------------------------------------- asks
    def new_wish(self) -> Wish:
        """A target that it never had, asked for rightly."""
        return self.mission.wish(self.chance, self.stage.clock.wall_ms())

    async def ask(self, *wishes: Wish) -> list[bool]:
        """Ask for targets in one link, keeping what it has. Returns which it got."""
        operations = [session_pb2.Operation(acquire=wish.message()) for wish in wishes]
        answer = await self.client.beat(list(self.leases.values()), operations)
        outcomes = self.take(answer, wishes)
        for wish, outcome in zip(wishes, outcomes, strict=True):
            self.journal.note("acquire", wish, outcome)
        return [outcome == "GRANTED" for outcome in outcomes]

    async def keep_up(self) -> bool:
        """Renew what it has. Returns whether it was let."""
        answer = await self.client.beat(list(self.leases.values()))
        self.take(answer, ())
        return isinstance(answer, session_pb2.Permit)

    async def give_back(self, target: bytes) -> None:
        """Release one target."""
        release = session_pb2.Operation(release=session_pb2.Release(lease=self.leases[target]))
        answer = await self.client.beat(list(self.leases.values()), [release])
        self.take(answer, ())
        self.leases.pop(target, None)

    def take(self, answer: Answer, wishes: Sequence[Wish]) -> list[str]:
        """Note which leases there are. Returns what became of each wish."""
        if isinstance(answer, session_pb2.Refusal):
            self.leases.clear()
            return [reason_of(answer.denial)] * len(wishes)
        targets = [answer.targets[at : at + SEED_BYTES] for at in range(0, len(answer.targets), SEED_BYTES)]
        self.leases.clear()
        self.leases.update(zip(targets, answer.leases, strict=True))
        return [
            "GRANTED" if outcome.HasField("grant") else reason_of(outcome.denial)
            for outcome, _ in zip(answer.outcomes, wishes, strict=False)
        ]

    # ---------------------------------------------------------------------------------------------- works
    def work(self, wish: Wish, *, beyond: Millis = 0) -> Job:
        """Work on a target as long as some permit covers it, and so long beyond."""

        def cover() -> Cover | None:
            now = self.stage.clock.boot_ms()
            ending = self.best.get(wish.target)
            if ending is None:
                return None
            if now < ending.until:
                return Cover(ending.permit)
            return Cover(ending.permit, past=True) if now < ending.until + beyond else None

        return self.reported(self.stage.bench.begin(self.tap, wish.target, wish.region, wish.purpose, cover))

    def work_uncovered(self, wish: Wish, permit: bytes | None = None) -> Job:
        """Work on a target though nothing covers it, for a moment."""
        until = self.stage.clock.boot_ms() + BRAZEN_FOR
        return self.reported(
            self.stage.bench.begin(
                self.tap,
                wish.target,
                wish.region or "NO",
                wish.purpose or "licd:none",
                lambda: Cover(permit) if self.stage.clock.boot_ms() < until else None,
            )
        )

    def is_brazen(self) -> bool:
        """Whether it does now what it was refused. Asked once a step, so that chance is used up evenly."""
        return self.chance.random() < self.group.brazen


def reason_of(denial: denial_pb2.Denial) -> str:
    """The name of a reason."""
    return denial_pb2.DenialReason.Name(denial.reason).removeprefix("DENIAL_REASON_")
