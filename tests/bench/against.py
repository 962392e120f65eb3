"""Stream acquisitions of 32 callers in one program, against what one would write in Python over something else."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench import clock
from tests.bench.load import Call, alternate
from tests.bench.measures import Measured
from tests.bench.peers import etcd_peer, postgres_peer, redis_peer
from tests.bench.peers.service import Difference, Papers, papers
from tests.bench.stage import Stage
from tests.bench.stream import sessions

CALLERS: Final = 32


@dataclass(frozen=True, slots=True)
class Peer:
    """One peer: how its server is started, how it is called, what is to be reached against it."""

    key: str
    goal: float
    files: Callable[[Stage, Path], Papers]
    serving: Callable[[Papers, Path], AbstractContextManager[int]]
    calling: Callable[[Papers, int, int], AbstractAsyncContextManager[Call]]
    difference: Difference


PEERS: Final = {
    peer.key: peer
    for peer in (
        Peer("vs_redis", 1.2, papers, redis_peer.serving, redis_peer.calling, redis_peer.DIFFERENCE),
        Peer("vs_etcd", 5.0, papers, etcd_peer.serving, etcd_peer.calling, etcd_peer.DIFFERENCE),
        Peer(
            "vs_postgres",
            1.5,
            postgres_peer.papers_for,
            postgres_peer.serving,
            postgres_peer.calling,
            postgres_peer.DIFFERENCE,
        ),
    )
}


async def against(stage: Stage, peer: Peer) -> Measured:
    """Ours and the peer's in turn, acquire and give back on both sides."""
    with tempfile.TemporaryDirectory(prefix="licd-bench-peer-") as name:
        files = peer.files(stage, Path(name))
        with peer.serving(files, Path(name)) as port:
            system = f"{peer.key.replace('_', '-')}-{clock.now_ms()}"
            async with (
                peer.calling(files, port, CALLERS) as theirs,
                sessions(stage, [system], CALLERS) as ours,
            ):
                acquired, other = await alternate(ours, [theirs] * CALLERS)
    sides = {"licd": acquired, peer.key.removeprefix("vs_"): other}
    note = f"ours also: {peer.difference.ours}. Theirs instead: {peer.difference.theirs}."
    return Measured(peer.key, acquired / other, peer.goal, True, sides, "acquisitions/s", note)
