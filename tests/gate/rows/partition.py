"""Systems in a network namespace of their own, cut off from licd in every way; measured on the boot clock."""

from __future__ import annotations

import ctypes
import os
import subprocess

from tests.eventually import boot_ms, let_pass
from tests.gate.fleet import Fleet, enrolled
from tests.gate.proxy import SlowRoad
from tests.gate.row import IP, NFT, ROOT_RIGHTS, Row, Trial
from tests.gate.stage import made_state, wide_licence
from tests.office import Office

CLONE_NEWNET = 0x40000000
LICD, SYSTEMS, NEAR, FAR = "10.213.0.1", "10.213.0.2", "gate0", "gate1"
LENGTH, GRACE = 4_000, 4_000
RATE_ERROR = 200e-6
CONVERGES = LENGTH + 2_000
DELAYS = (0.02, 0.12)
"""Seconds each way. To connect takes several turns, within a second or two (the SDK's reconnect figures): on a road of
0.4 s each way converging took 12 s, which a lease of 20 s bears and this one of 4 s does not."""
FAULTS = {
    "cut": ("input", "output"),
    "no answers": ("output",),
    "no requests": ("input",),
    "slow, then cut": ("input", "output"),
}


def run(*command: str) -> None:
    """Raises CalledProcessError."""
    subprocess.run(command, check=True, capture_output=True, text=True)


class Net:
    """This process, and the daemon it starts, in one namespace; the systems in another; a cable between."""

    def __init__(self, trial: Trial) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "no network namespace can be made here")
        self.name = f"licd-gate-{os.getpid()}"
        run("ip", "netns", "add", self.name)
        trial.ending.callback(run, "ip", "netns", "delete", self.name)
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", NEAR, "type", "veth", "peer", "name", FAR, "netns", self.name)
        run("ip", "address", "add", f"{LICD}/24", "dev", NEAR)
        run("ip", "link", "set", NEAR, "up")
        inside = ("ip", "-n", self.name)
        run(*inside, "address", "add", f"{SYSTEMS}/24", "dev", FAR)
        run(*inside, "link", "set", "lo", "up")
        run(*inside, "link", "set", FAR, "up")
        run("nft", "add", "table", "inet", "gate")
        for hook in ("input", "output"):
            run("nft", f"add chain inet gate {hook} {{ type filter hook {hook} priority 0; }}")
        run("nft", "add chain inet gate road { type nat hook prerouting priority -100; }")

    @property
    def before(self) -> tuple[str, ...]:
        """What starts a process on the other end of the cable."""
        return ("ip", "netns", "exec", self.name)

    def drop(self, *hooks: str) -> None:
        """Everything on the cable is lost silently, in these directions as licd sees them."""
        for hook in hooks:
            side = "iifname" if hook == "input" else "oifname"
            run("nft", f"add rule inet gate {hook} {side} {NEAR} drop")

    def heal(self) -> None:
        """The cable is whole."""
        for hook in ("input", "output"):
            run("nft", f"flush chain inet gate {hook}")

    def by_way_of(self, port: int, road: int) -> None:
        """New connections to a port take another one; 0 takes the detour away."""
        run("nft", "flush chain inet gate road")
        if road:
            run("nft", f"add rule inet gate road iifname {NEAR} tcp dport {port} redirect to :{road}")


def cut_off(trial: Trial) -> None:
    """Suspended while nobody is reached, reinstated before the cable is whole again."""
    net = Net(trial)
    state = made_state(trial.folder, at=LICD)
    process = trial.daemon(state, host=LICD).start()
    office = Office(process)
    licence = wide_licence(office, cap=50, length=LENGTH, grace=GRACE)
    directories = enrolled(office, licence, trial.folder, 4)
    bound = (LENGTH + GRACE) / (1 - RATE_ERROR)
    road = trial.ending.enter_context(SlowRoad((LICD, process.ports["customer"])))
    kinds = list(FAULTS)
    for cycle in trial.each():
        kind = kinds[cycle % len(kinds)]
        slow = kind.startswith("slow")
        road.delay = trial.chance.uniform(*DELAYS) if slow else 0.0
        net.by_way_of(process.ports["customer"], road.port if slow else 0)
        with Fleet(directories, targets=2, before=net.before) as fleet:
            fleet.all_act(60)
            let_pass(trial.chance.uniform(0, 6))
            net.drop(*FAULTS[kind])
            let_pass(trial.chance.uniform(0, 1.5))
            office.alice.suspend(licence)
            decided_by = boot_ms()
            last = fleet.none_acts(30)
            trial.need(last <= decided_by + bound, f"cycle {cycle}, {kind}: acted {last - decided_by} ms after")
            trial.peak("longest ms acted after the suspension", last - decided_by)
            trial.count(f"{kind}: cycles")
            office.reinstate(licence)
            net.heal()
            took = fleet.all_act(60)
            trial.need(took <= CONVERGES, f"cycle {cycle}, {kind}: {took} ms until all act again, {CONVERGES} promised")
            trial.peak("longest ms to converge", took)
    trial.figures |= {"bound ms (L+G)/(1-rho)": round(bound), "promised ms to converge": CONVERGES}


ROWS = (
    Row(
        "partition",
        "S2 S9 L1",
        "cut, half-open both ways, delay (netns, veth, nft; TCP proxy)",
        8,
        1,
        (ROOT_RIGHTS, IP, NFT),
        cut_off,
        takes=110,
    ),
)
