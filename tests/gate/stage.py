"""State directories for real daemons: policies wide enough for a load, ports that stay the same across restarts."""

from __future__ import annotations

import random
import re
import shutil
import socket
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from licd.server.initialise import Wishes, initialise
from licd.server.state_dir import StateDirectory
from tests.bench.stage import wide_policies
from tests.daemon import ROOT, TRUST_DOMAIN
from tests.office import Office
from tests.process import Process

OPERATORS = ("alice", "bob")
HOSTS = ("localhost", "127.0.0.1", "10.213.0.1")
SECOND = 1_000
PORTS = 4
SMALL_RESERVE = 1


def steady_ports() -> int:
    """The first of four ports in a row that are free now, and that no outgoing connection takes while licd is down."""
    outgoing = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        first = random.SystemRandom().randrange(10_000, outgoing - PORTS)
        with ExitStack() as held, suppress(OSError):
            for port in range(first, first + PORTS):
                held.enter_context(socket.create_server(("127.0.0.1", port)))
            return first


def made_state(folder: Path, *, at: str = "127.0.0.1", drain: int = 5, **limits: int) -> StateDirectory:
    """A fresh one in folder/state, with a heartbeat a second. limits go into licd.toml."""
    policies = wide_policies(folder / "policies")
    categories = policies / "categories.toml"
    text = re.sub(r"shortest_permit_seconds = \d+", "shortest_permit_seconds = 1", categories.read_text())
    categories.write_text(text)
    shutil.copyfile(ROOT / "simulator" / "scenarios" / "policies" / "defaults.toml", policies / "defaults.toml")
    state = StateDirectory(folder / "state")
    initialise(state.root, Wishes(TRUST_DOMAIN, OPERATORS, HOSTS, steady_ports(), policies, None))
    configure(state, at, {"drain_seconds": drain, "reserve_mebibytes": SMALL_RESERVE} | limits)
    return state


def configure(state: StateDirectory, at: str, limits: Mapping[str, int]) -> None:
    """Writes licd.toml anew with free ports, which it keeps."""
    first = steady_ports()
    names = ("enrolment", "customer", "operator", "metrics")
    lines = [f'trust_domain = "{TRUST_DOMAIN}"', "[listen]"]
    lines += [f'{name} = "{at}:{first + index}"' for index, name in enumerate(names)]
    lines += ["[limits]", *(f"{name} = {value}" for name, value in limits.items())]
    if at != "127.0.0.1":
        lines += ["[advertise]", f'enrolment = "{at}:{first}"', f'customer = "{at}:{first + 1}"']
    (state.root / "licd.toml").write_text("\n".join(lines) + "\n")
    for name in OPERATORS:
        file = state.operator(name) / "licctl.toml"
        host = "localhost" if at == "127.0.0.1" else at
        file.write_text(re.sub(r'address = ".*"', f'address = "{host}:{first + 2}"', file.read_text()))


def copied(state: StateDirectory, root: Path) -> StateDirectory:
    """The same directory elsewhere."""
    shutil.copytree(state.root, root)
    return StateDirectory(root)


def wide_licence(office: Office, cap: int = 6, length: int = 3 * SECOND, grace: int = 4 * SECOND, **more: Any) -> str:
    """A licence whose leases run out within seconds, and whose volume nobody exhausts."""
    return office.licence(
        cap=cap, permit_ms=length, grace_ms=grace, distinct=1_000_000, churn=1_000_000, systems=50, **more
    )


def office_of(process: Process) -> Office:
    """Alice and Bob, connected to a daemon that runs."""
    return Office(process)
