"""Replicas behind pgbouncer in transaction mode: each of their transactions has another session of the server."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from licd.v1 import session_pb2
from tests.daemon import PATIENCE, make_state
from tests.eventually import eventually
from tests.office import Office
from tests.postgres import OWNER, Server, account, folder_of_servers, free_port, serving_postgres
from tests.replicas import replicas, shared_states
from tests.wired_system import acquire, joined, reason

POOL = 3

pytestmark = pytest.mark.skipif(
    shutil.which("pgbouncer") is None, reason="pgbouncer is absent: apt-get install pgbouncer"
)


@contextmanager
def pooled(server: Server) -> Iterator[int]:
    """The port of a pooler with fewer sessions than its clients have connections."""
    with folder_of_servers() as folder:
        port = free_port()
        settings = folder / "pgbouncer.ini"
        settings.write_text(
            f"[databases]\n* = host=127.0.0.1 port={server.port} user={OWNER}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
            f"pool_mode = transaction\ndefault_pool_size = {POOL}\nlogfile = /dev/null\npidfile =\n"
        )
        process = subprocess.Popen(
            [shutil.which("pgbouncer") or "", "-q", str(settings)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"]},
            **account(),  # type: ignore[call-overload]
        )
        try:
            eventually(lambda: process.poll() is not None or _answers(port), PATIENCE, "the pooler answers")
            assert process.poll() is None
            yield port
        finally:
            process.kill()
            process.wait()


def _answers(port: int) -> bool:
    try:
        with psycopg.connect(f"postgresql://{OWNER}@127.0.0.1:{port}/postgres", autocommit=True) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


def test_replicas_decide_behind_a_pooler(tmp_path: Path):
    with serving_postgres() as server, pooled(server) as port:
        url = server.new_database().replace(f":{server.port}/", f":{port}/")
        states = shared_states(make_state(tmp_path / "licd"), url, 2, prepared=False)
        with replicas(states) as (first, second):
            here, there = Office(first), Office(second)
            licence = here.licence(cap=1)
            alpha, beta = joined(here, licence), joined(there, licence)
            assert isinstance(alpha.open(acquire(1)), session_pb2.Permit)
            answer = beta.open(acquire(2))
            assert [reason(each) for each in answer.outcomes] == ["CONCURRENT_CAP"]
            there.alice.suspend(licence)
            with alpha.stream() as stream:
                assert reason(stream.beat()) == "LICENCE_SUSPENDED"
