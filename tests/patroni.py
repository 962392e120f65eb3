"""The reference for high availability on one machine: three members of etcd, three Patronis, the wheel's PostgreSQL.

The configuration is deploy/patroni/patroni.yml itself; what names a machine comes from the environment, as it may.
"""

from __future__ import annotations

import http
import http.client
import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psycopg

from tests.daemon import ROOT
from tests.eventually import eventually
from tests.gate.stage import steady_ports
from tests.postgres import account, folder_of_servers, own, programs

CONFIGURATION: Final = ROOT / "deploy" / "patroni" / "patroni.yml"
WATCHED: Final = "mode: required"
UNWATCHED: Final = "mode: off"
SOCKETS: Final = "/var/run/postgresql"
NODES: Final = ("db-1", "db-2", "db-3")
SUPERUSER: Final = ("postgres", "loopback-superuser")
REPLICATION: Final = ("replicator", "loopback-replication")
LICD: Final = ("licd", "loopback-licd")
COMES_WITHIN: Final = 180.0
"""Far beyond what a failover takes: others use the machine too."""
ELECTION_MS: Final = 3_000
HEARTBEAT_MS: Final = 300
ASKED_WITHIN: Final = 30.0

Answer = tuple[int, Any]


def spawn(command: list[str], folder: Path, log: Path, **environment: str) -> subprocess.Popen[bytes]:
    """A program of the servers' account."""
    with log.open("ab") as out:
        process: subprocess.Popen[bytes] = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={"PATH": f"{os.environ['PATH']}:/usr/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"} | environment,
            **account(),  # type: ignore[call-overload]
        )
    return process


def end(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL, also of one that stands still."""
    process.kill()
    process.wait(ASKED_WITHIN)


@dataclass
class Node:
    """One machine's Patroni and the PostgreSQL that it has started."""

    name: str
    folder: Path
    etcd: str
    port: int = field(default_factory=steady_ports)
    patroni: subprocess.Popen[bytes] | None = None

    @property
    def rest(self) -> int:
        """The port of Patroni's REST API."""
        return self.port + 1

    @property
    def data(self) -> Path:
        """PostgreSQL's directory."""
        return self.folder / "data"

    def start(self) -> None:
        """Starts Patroni, which starts PostgreSQL when it may."""
        configuration = self.folder / "patroni.yml"
        if not configuration.exists():
            own(self.folder)
            text = CONFIGURATION.read_text(encoding="utf-8")
            assert (text.count(WATCHED), text.count(SOCKETS)) == (1, 1)
            text = text.replace(WATCHED, UNWATCHED).replace(SOCKETS, str(self.folder))
            configuration.write_text(text, encoding="utf-8")
        self.patroni = spawn(
            ["/usr/bin/patroni", str(configuration)], self.folder, self.folder / "patroni.log", **self._environment()
        )

    def _environment(self) -> dict[str, str]:
        here = "127.0.0.1"
        return {
            "PATRONI_NAME": self.name,
            "PATRONI_RESTAPI_LISTEN": f"{here}:{self.rest}",
            "PATRONI_RESTAPI_CONNECT_ADDRESS": f"{here}:{self.rest}",
            "PATRONI_ETCD3_HOSTS": self.etcd,
            "PATRONI_POSTGRESQL_LISTEN": f"{here}:{self.port}",
            "PATRONI_POSTGRESQL_CONNECT_ADDRESS": f"{here}:{self.port}",
            "PATRONI_POSTGRESQL_DATA_DIR": str(self.data),
            "PATRONI_POSTGRESQL_BIN_DIR": str(programs()),
            "PATRONI_POSTGRESQL_PGPASS": str(self.folder / "pgpass"),
            "PATRONI_SUPERUSER_USERNAME": SUPERUSER[0],
            "PATRONI_SUPERUSER_PASSWORD": SUPERUSER[1],
            "PATRONI_REPLICATION_USERNAME": REPLICATION[0],
            "PATRONI_REPLICATION_PASSWORD": REPLICATION[1],
        }

    def ask(self, method: str, path: str, body: Mapping[str, str] | None = None) -> Answer:
        """Patroni's REST API: status and what it says; 0 when nobody answers."""
        with suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", self.rest, timeout=ASKED_WITHIN)
            try:
                connection.request(method, path, json.dumps(body) if body else None)
                answer = connection.getresponse()
                text = answer.read().decode()
            finally:
                connection.close()
            return answer.status, json.loads(text) if text.startswith("{") else text
        return 0, ""

    def execute(self, text: str) -> list[tuple[Any, ...]]:
        """As the superuser, at this PostgreSQL."""
        user, password = SUPERUSER
        with psycopg.connect(
            host="127.0.0.1", port=self.port, user=user, password=password, dbname="postgres", autocommit=True
        ) as connection:
            cursor = connection.execute(text.encode())
            return cursor.fetchall() if cursor.description else []

    @property
    def takes_writes(self) -> bool:
        """Whether this PostgreSQL is a primary, whatever Patroni thinks."""
        try:
            return self.execute("SELECT pg_is_in_recovery()") == [(False,)]
        except psycopg.Error:
            return False

    def postmaster(self) -> int | None:
        """The id of PostgreSQL's first process, when it runs and is this one's."""
        with suppress(OSError, ValueError, IndexError):
            pid = int((self.data / "postmaster.pid").read_text().splitlines()[0])
            if str(self.data).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        return None

    def kill(self) -> None:
        """kill -9 of Patroni, so that nobody starts PostgreSQL again, and of PostgreSQL."""
        if self.patroni is not None:
            end(self.patroni)
        if (pid := self.postmaster()) is not None:
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: self.postmaster() is None, ASKED_WITHIN, f"{self.name}'s PostgreSQL is gone")


@dataclass
class Cluster:
    """Three nodes of which one leads."""

    nodes: list[Node]

    @property
    def members(self) -> dict[str, str]:
        """Each node's role, and behind it its state, by whichever Patroni answers."""
        for node in self.nodes:
            status, said = node.ask("GET", "/cluster")
            if status == http.HTTPStatus.OK:
                return {each["name"]: f"{each['role']} {each['state']}" for each in said["members"]}
        return {}

    def whole(self) -> bool:
        """One leads, all others follow, and the leader waits for one of them."""
        found = sorted(role.replace("streaming", "running") for role in self.members.values())
        return found == ["leader running", "replica running", "sync_standby running"]

    def until_whole(self) -> None:
        """Returns when it is."""
        eventually(self.whole, COMES_WITHIN, f"one leads, two follow; now {self.members}", every=0.2)

    def named(self, role: str) -> Node:
        """The one node of a role."""
        [found] = [name for name, known in self.members.items() if known.startswith(role)]
        return next(node for node in self.nodes if node.name == found)

    def leads(self, node: Node) -> bool:
        """Whether Patroni says so, with the leader's key in its hand."""
        return node.ask("GET", "/primary")[0] == http.HTTPStatus.OK

    def until_another_leads(self, old: Node) -> Node:
        """Who took over."""
        others, found = [node for node in self.nodes if node is not old], list[Node]()

        def another() -> bool:
            found.extend(node for node in others if self.leads(node))
            return bool(found)

        eventually(another, COMES_WITHIN, f"another than {old.name} leads", every=0.2)
        return found[0]

    def url(self, passfile: Path, first: int) -> str:
        """All hosts, and licd takes the one that takes writes; each replica begins with its own machine's."""
        turned = [*self.nodes[first:], *self.nodes[:first]]
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in turned)
        return f"postgresql://{LICD[0]}@{hosts}/licd?target_session_attrs=read-write&passfile={passfile}"


@contextmanager
def _etcd(folder: Path, stack: ExitStack) -> Iterator[str]:
    """Three members, on loopback; what they are reached by."""
    ports = {name: (first, first + 1) for name, first in ((name, steady_ports()) for name in NODES)}
    peers = ",".join(f"{name}=http://127.0.0.1:{peer}" for name, (_, peer) in ports.items())
    for name, (client, peer) in ports.items():
        command = ["/usr/bin/etcd", f"--name={name}", f"--data-dir={folder / name}", f"--initial-cluster={peers}"]
        command += [f"--{kind}-client-urls=http://127.0.0.1:{client}" for kind in ("listen", "advertise")]
        command += [f"--{kind}-peer-urls=http://127.0.0.1:{peer}" for kind in ("listen", "initial-advertise")]
        command += [f"--heartbeat-interval={HEARTBEAT_MS}", f"--election-timeout={ELECTION_MS}", "--log-level=warn"]
        stack.callback(end, spawn(command, folder, folder / f"{name}.log"))
    yield ",".join(f"127.0.0.1:{client}" for client, _ in ports.values())


@contextmanager
def patroni_cluster() -> Iterator[Cluster]:
    """Serves while the block lasts, with a database for licd; then everything is ended by its id, and gone."""
    with folder_of_servers() as folder, ExitStack() as stack:
        own(folder)
        etcd = stack.enter_context(_etcd(folder, stack))
        cluster = Cluster([Node(name, folder / f"{name}-node", etcd) for name in NODES])
        for node in cluster.nodes:
            node.folder.mkdir()
            stack.callback(node.kill)
            node.start()
        cluster.until_whole()
        leader = cluster.named("leader")
        leader.execute(f"CREATE ROLE {LICD[0]} LOGIN PASSWORD '{LICD[1]}'")
        leader.execute(f"CREATE DATABASE licd OWNER {LICD[0]}")
        yield cluster
