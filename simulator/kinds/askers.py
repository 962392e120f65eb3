"""Cheats that ask for what they may not have: too much, too often, elsewhere, for something else, from elsewhere."""

from __future__ import annotations

from simulator.bench import Job
from simulator.kinds.raw_system import RawSystem
from simulator.mission import Wish


class Greedy(RawSystem):
    """Wants more targets than there are seats: always one more, now and then many at once."""

    async def step(self, step: int) -> None:
        """Ask for new targets; work on what it gets, and when brazen on what it does not get."""
        many = self.group.seats if self.chance.random() < 0.2 else 1
        wishes = [self.new_wish() for _ in range(many)]
        brazen = self.is_brazen()
        for wish, granted in zip(wishes, await self.ask(*wishes), strict=True):
            if granted:
                self.work(wish)
            elif brazen:
                self.work_uncovered(wish)


class Rotating(RawSystem):
    """Takes a target, gives it back, takes the next, and goes on with all of them as long as a permit says so."""

    async def step(self, step: int) -> None:
        """One turn."""
        wish = self.new_wish()
        [granted] = await self.ask(wish)
        if granted:
            self.work(wish)
            await self.give_back(wish.target)
            self.journal.note("release", wish, "RELEASED")


class _Misusing(RawSystem):
    """Asks rightly for its first few targets, from then on wrongly."""

    async def step(self, step: int) -> None:
        """Keep up what it has, and ask wrongly for one more."""
        right = self.new_wish()
        wrong = self.wrong(right)
        brazen = self.is_brazen()
        if step < self.group.seats:
            [granted] = await self.ask(right)
            if granted:
                self.jobs_by_right(right)
            return
        [granted] = await self.ask(wrong)
        if granted:
            self.work(wrong)
        elif brazen:
            self.work_uncovered(wrong)

    def jobs_by_right(self, wish: Wish) -> Job:
        """What it does with what it may have."""
        return self.work(wish)

    def wrong(self, wish: Wish) -> Wish:
        """The wish, made wrong."""
        raise NotImplementedError


class Roaming(_Misusing):
    """Follows targets out of the licence's regions."""

    def wrong(self, wish: Wish) -> Wish:
        """Somewhere else."""
        return self.mission.out_of_region(wish, self.chance)


class Straying(_Misusing):
    """Follows numbers of the licence's regions to wherever their devices are."""

    def wrong(self, wish: Wish) -> Wish:
        """A number that belongs here, in a device that is elsewhere."""
        return self.mission.device_elsewhere(wish, self.chance)


class OffPurpose(_Misusing):
    """Uses the system for something else; when brazen, under a lease that it has for something right."""

    def wrong(self, wish: Wish) -> Wish:
        """For something else."""
        return self.mission.out_of_purpose(wish, self.chance)

    def jobs_by_right(self, wish: Wish) -> Job:
        """Besides the work that it may do it does, for a moment, what it may not, under the same permit."""
        ending = self.best.get(wish.target)
        if ending is not None and self.group.brazen:
            self.work_uncovered(wish.but(purpose="licd:journalism"), ending.permit)
        return self.work(wish)


class Misplaced(RawSystem):
    """Stands, as it says itself, where its licence does not let it; the scenario says where."""

    async def step(self, step: int) -> None:
        """Ask all the same."""
        wish = self.new_wish()
        brazen = self.is_brazen()
        [granted] = await self.ask(wish)
        if granted:
            self.work(wish)
        elif brazen:
            self.work_uncovered(wish)
