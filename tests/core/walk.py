"""Walks through a world, step after step, each drawn from a seed: much faster than a search, and as easy to repeat."""

from random import Random  # noqa: TID251 -- seeded

from tests.core.world import PURPOSES, START, SYSTEMS, TARGETS, Wish, World
from tests.oracle import Figures

MINUTE = 60_000
PAUSES = (1, 7, 500, 3_000, 5_000, 9_999, 10_000, 11_009, 30_000, MINUTE)
STEPS = {
    "pause": 26,
    "unary": 16,
    "release": 10,
    "link": 28,
    "open": 3,
    "beat": 8,
    "suspend": 2,
    "reinstate": 6,
    "amend": 8,
    "force_release": 2,
    "reap": 4,
    "restart": 2,
}
ROOMY = Figures(
    cap=5,
    length=10_000,
    grace=60_000,
    not_after=START.not_after,
    distinct=((6, 5 * MINUTE),),
    churn=((12, 3 * MINUTE),),
    purposes=START.purposes,
)


class Walk:
    """One walk. left_out: steps that are drawn but not taken, so that the rest of the walk stays the same."""

    def __init__(self, seed: int, *, shift: int = 0, left_out: frozenset[str] = frozenset()) -> None:
        self.random = Random(seed)
        self.left_out = left_out
        self.world = World(self.random.choice((START, ROOMY)), shift=shift)

    def go(self, steps: int) -> World:
        for _ in range(steps):
            [step] = self.random.choices(list(STEPS), list(STEPS.values()))
            self.take(step)
        return self.world

    def take(self, step: str) -> None:
        world, draw = self.world, self.random
        match step:
            case "pause":
                world.advance(draw.choice(PAUSES))
            case "unary":
                world.unary(draw.choice(SYSTEMS), self._wish())
            case "release":
                world.release(draw.choice(SYSTEMS), draw.randrange(4))
            case "link":
                world.link(draw.choice(SYSTEMS), self._keep(), [self._wish(0.7) for _ in range(draw.randrange(4))])
            case "open":
                world.link(draw.choice(SYSTEMS), self._keep(), [self._wish()], opens=True)
            case "beat":
                self._beat(draw.choice(SYSTEMS), draw.randrange(1, 8))
            case "amend":
                world.amend(**self._amendment())
            case "force_release":
                world.force_release(draw.randrange(5), draw.choice((0, 1, MINUTE)))
            case _:
                if step not in self.left_out:
                    getattr(world, step)()

    def _beat(self, system: str, beats: int) -> None:
        """Grows leases old."""
        for _ in range(beats):
            self.world.advance(4_000)
            self.world.link(system)

    def _keep(self) -> int:
        return self.random.choice((-1, -1, -1, 0, 1, 2, 5))

    def _wish(self, acquires: float = 1.0) -> Wish:
        draw = self.random
        if draw.random() < acquires:
            return ("acquire", draw.randrange(TARGETS), draw.choice(PURPOSES), draw.choice((0, 0, 0, 5_000, 40_000)))
        return ("release", draw.randrange(4), "", 0)

    def _amendment(self) -> dict[str, object]:
        draw = self.random
        choices: dict[str, object] = {
            "cap": draw.randrange(6),
            "length": draw.choice((3_000, 10_000, 20_000)),
            "grace": draw.choice((0, 10_000, 60_000, 86_400_000)),
            "distinct": ((draw.choice((2, 4, 99)), draw.choice((2, 5)) * MINUTE),),
            "churn": ((draw.choice((2, 5, 99)), draw.choice((1, 3)) * MINUTE),),
            "purposes": frozenset(draw.sample(PURPOSES, draw.choice((1, 2, 2)))),
            "not_after": self.world.now + draw.choice((2_000, MINUTE, 60 * MINUTE)),
        }
        name = draw.choice(list(choices))
        return {name: choices[name]}
