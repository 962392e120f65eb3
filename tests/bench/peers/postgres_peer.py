"""A cap in PostgreSQL: one statement, and so one transaction, for each acquisition; synchronous_commit on."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import psycopg

from tests.bench import clock
from tests.bench.load import Call
from tests.bench.peers.service import Difference, Papers, free_port, papers, program, running, until
from tests.bench.stage import Stage

CONNECTIONS: Final = 8
"""Of one licence's row there is one: more connections wait for it in PostgreSQL and not in the program (measured)."""
LICENCE: Final = "bench"
USER: Final = "nobody"
OWNER: Final = "licd"
SCHEMA: Final = """
create table licence (id text primary key, cap bigint not null, in_use bigint not null);
create table lease (target bytea primary key, licence text not null, until timestamptz not null);
insert into licence values ('bench', 1000000, 0);
"""
ACQUIRE: Final = """
with room as (update licence set in_use = in_use + 1 where id = %s and in_use < cap returning id)
insert into lease select %s, id, now() + interval '20 seconds' from room
"""
RELEASE: Final = """
with gone as (delete from lease where target = %s returning licence)
update licence set in_use = in_use - 1 from gone where id = gone.licence
"""
DIFFERENCE: Final = Difference(
    ours="a signed permit that is checked without a call; a log that proves what was decided; seats that free "
    "themselves; suspension that stops every holder; the same durability",
    theirs="a counter that a crashed holder leaks until somebody sweeps; any SQL beside it; standbys and backups",
)


@contextmanager
def serving(files: Papers, folder: Path) -> Iterator[int]:
    """The server's port: a cluster of its own, below folder, as another user than root. Raises Absent."""
    newest = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda each: float(each.parent.name))
    initdb = program("initdb", "postgresql", *(each / "initdb" for each in reversed(newest)))
    data, port = folder / "data", free_port()
    user = USER if os.geteuid() == 0 else None
    if user:
        folder.chmod(0o755)
        data.mkdir(mode=0o700)
        shutil.chown(data, user)
    subprocess.run(
        [initdb, "-D", str(data), "-U", OWNER, "-A", "trust", "-E", "UTF8", "--locale=C"],
        check=True, stdout=subprocess.DEVNULL, user=user, cwd=folder,
    )  # fmt: skip
    (data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 trust clientcert=verify-ca\n")
    settings = {
        "port": str(port),
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "max_connections": "200",
        "shared_buffers": "256MB",
        "ssl": "on",
        "ssl_cert_file": str(files.server),
        "ssl_key_file": str(files.server_key),
        "ssl_ca_file": str(files.authority),
    }
    command = [str(Path(initdb).with_name("postgres")), "-D", str(data)]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    with running(command, port, folder / "postgres.log", user):
        until(lambda: _answers(files, port), "PostgreSQL takes connections")
        yield port


def _answers(files: Papers, port: int) -> bool:
    """It listens while it still starts, and refuses whoever comes then."""
    try:
        psycopg.connect(address(files, port)).close()
    except psycopg.OperationalError:
        return False
    return True


def papers_for(stage: Stage, folder: Path) -> Papers:
    """Certificates that the user whom the server runs as may read."""
    folder.chmod(0o755)
    return papers(stage, folder, USER if os.geteuid() == 0 else "")


def address(files: Papers, port: int, database: str = "postgres") -> str:
    """The server as a URL of libpq, with a client certificate."""
    tls = f"sslmode=verify-full&sslrootcert={files.authority}&sslcert={files.client}&sslkey={files.client_key}"
    return f"postgresql://{OWNER}@localhost:{port}/{database}?{tls}"


@asynccontextmanager
async def calling(files: Papers, port: int, callers: int) -> AsyncIterator[Call]:
    """Acquires a seat for a new target, and gives it back."""
    url = address(files, port)
    async with AsyncExitStack() as stack:
        idle: asyncio.Queue[psycopg.AsyncConnection[Any]] = asyncio.Queue()
        for _ in range(min(callers, CONNECTIONS)):
            connection = await psycopg.AsyncConnection.connect(url, autocommit=True, prepare_threshold=0)
            idle.put_nowait(await stack.enter_async_context(connection))
        await (first := idle.get_nowait()).execute(SCHEMA, prepare=False)
        idle.put_nowait(first)

        async def one(statement: str, *values: object) -> None:
            connection = await idle.get()
            try:
                done = await connection.execute(statement, values)
                assert done.rowcount == 1
            finally:
                idle.put_nowait(connection)

        async def call() -> None:
            target = clock.random(32)
            await one(ACQUIRE, LICENCE, target)
            await one(RELEASE, target)

        yield call
