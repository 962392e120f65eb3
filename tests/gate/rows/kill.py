"""kill −9 at random moments under load, and at the n-th system call of a kind."""

from __future__ import annotations

from pathlib import Path

from tests.eventually import let_pass
from tests.gate.judge import Judge, verifier_of
from tests.gate.load import Crowd, Load
from tests.gate.row import STRACE, Row, Trial
from tests.gate.stage import made_state
from tests.gate.told import Told
from tests.process import DidNotStart

FARTHEST = {"fdatasync": 150, "pwrite64": 2_000, "write": 600, "sendmsg": 200, "fsync": 12, "ftruncate": 4, "unlink": 6}
"""How many calls of a kind there are, about, in one thread of a daemon from its start through the load."""
CALLS = tuple(FARTHEST)
KILLED_AT = ("strace", "-f", "-qq", "-o", "/dev/null")


class Ground:
    """A daemon that is killed over and over, its callers, and the judge."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self.state = made_state(trial.folder)
        self.process = trial.daemon(self.state, parent=trial.parent()).start()
        self.told = Told()
        self.crowd = Crowd.gather(self.process, self.told, trial.chance)
        self.judge = Judge(self.crowd.caps, verifier_of(self.state))
        self.process.kill()

    def look(self, when: str) -> None:
        """Judges the rows of the daemon that is down."""
        scratch: Path = self.trial.folder / "judged"
        self.trial.violated(*(f"{when}: {each}" for each in self.judge.look(self.state, self.told, scratch)))

    def finish(self) -> None:
        """One more whole life, in which everything is repeated, and a last look."""
        self.process.start()
        with Load(self.told, self.crowd.callers()) as load:
            load.until(40)
            self.process.kill()
        self.look("at the end")
        self.trial.figures |= {
            "answers": self.told.answers,
            "log": self.judge.entries,
            "leases": len(self.told.seats),
            "repeats": sum(each.repeats for each in self.crowd.holders),
        }


def at_random(trial: Trial) -> None:
    """SIGKILL after a random number of answers and a random while."""
    ground = Ground(trial)
    for cycle in trial.each():
        ground.process.start()
        with Load(ground.told, ground.crowd.callers()) as load:
            load.until(trial.chance.randrange(1, 120))
            let_pass(trial.chance.random() * 0.01)
            trial.need(ground.process.runs, f"cycle {cycle}: licd ended by itself")
            ground.process.kill()
        ground.look(f"cycle {cycle}")
    ground.finish()


def at_a_call(trial: Trial) -> None:
    """SIGKILL by the kernel as the n-th system call of a kind begins, from the start of the daemon on."""
    ground = Ground(trial)
    for cycle in trial.each():
        call = CALLS[cycle % len(CALLS)]
        number = int(FARTHEST[call] ** trial.chance.random())  # as often between 1 and 10 as between 10 and 100
        try:
            ground.process.start(*KILLED_AT, "-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={number}")
        except DidNotStart as ended:
            trial.need(ended.code == -9, f"cycle {cycle}: {ended}")
            trial.count("killed before it served")
        else:
            with Load(ground.told, ground.crowd.callers()) as load:
                load.until(250)
                trial.count("killed under load" if not ground.process.runs else "call not reached, killed after all")
                ground.process.kill()
        ground.look(f"cycle {cycle}, {call} {number}")
    ground.finish()


ROWS = (
    Row("kill", "S1 S2 S6 S7", "kill -9 at random moments under load", 145, 2, (), at_random, takes=170),
    Row(
        "syscall",
        "S1 S2 S6 S7",
        "kill -9 at the n-th system call (strace inject)",
        112,
        3,
        (STRACE,),
        at_a_call,
        takes=140,
    ),
)
