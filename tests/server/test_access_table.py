"""Every RPC by every kind of caller, as access_table.txt says: each cell is a call over TLS to a daemon that runs.

Which RPCs there are is asked of the daemon by reflection and of the protocol's descriptors; which roles there are, of
the policies in force. What the table leaves out, or has too much, fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from os import urandom  # noqa: TID251 -- serial numbers of certificates
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, Final

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

import licd.v1
from licd.core.errors import Forbidden, Invalid, LicdError, SealRefused, Unauthenticated
from licd.core.time import DAY
from licd.keys.certificate_request import make_private_key
from licd.keys.identity import (
    ContactIdentity,
    Identity,
    OperatorIdentity,
    OverseerIdentity,
    ServerIdentity,
    SystemIdentity,
)
from licd.keys.pem_files import certificates_to_pem, load_authority, private_key_to_pem
from licd.keys.pki import issue_leaf
from licd.policy import load
from licd.server.caller import Listener
from licd.server.methods import METHODS
from licd.v1 import deployment_service_pb2, key_service_pb2, session_service_pb2
from tests.daemon import TRUST_DOMAIN, VERBS, Daemon, Papers, call, code_of, copy_state, fresh, serving
from tests.office import Office
from tests.wired_system import System, acquire, joined, licence_of, reason

TABLE: Final = Path(__file__).with_name("access_table.txt")
CELLS: Final = frozenset("yfut")
ROLE: Final = "role "


# ------------------------------------------------------------------------------------------------------- the table
@dataclass(frozen=True, slots=True)
class Row:
    listener: str
    verb: str
    persons: str
    cells: dict[str, str]


def legend() -> dict[str, str]:
    """Columns by their three letters."""
    lines = [line.split(maxsplit=2) for line in TABLE.read_text().splitlines() if line.startswith("column ")]
    return {short: words for _, short, words in lines}


def rows() -> list[Row]:
    lines = TABLE.read_text().splitlines()
    head = next(at for at, line in enumerate(lines) if line.startswith("listener "))
    columns = lines[head].split()[3:]
    found = []
    for line in lines[head + 1 :]:
        listener, verb, persons, *cells = line.split()
        found.append(Row(listener, verb, persons, dict(zip(columns, cells, strict=True))))
    return found


ROWS: Final = rows()
COLUMNS: Final = legend()


@pytest.fixture(scope="module")
def peopled(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Iterator[Daemon]:
    """A daemon of its own: operators come and go here."""
    limits = {"drain_seconds": 1, "enrolments_at_once": 100_000}
    with serving(copy_state(template, tmp_path_factory.mktemp("access") / "state", **limits)) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def papers(peopled: Daemon) -> dict[str, Papers | None]:
    """The papers of each column."""
    office, authority = Office(peopled), load_authority(TRUST_DOMAIN, *peopled.state.authority)

    def certified(identity: Identity, **names: Any) -> Papers:
        key = make_private_key()
        now = peopled.clock.wall()
        made = issue_leaf(authority, key.public_key(), identity, now_ms=now, life_ms=DAY, randomness=urandom, **names)
        return Papers(private_key_to_pem(key), certificates_to_pem([made, authority.certificate]))

    found: dict[str, Papers | None] = {
        short: office.admit(fresh("clerk"), words.removeprefix(ROLE)).papers
        for short, words in COLUMNS.items()
        if words.startswith(ROLE)
    }
    gone, replaced = office.admit(fresh("clerk"), "operator"), office.admit(fresh("clerk"), "operator")
    office.admit(replaced.name, "operator")
    disable = key_service_pb2.DisableOperatorRequest(operator=gone.name, detail="left")
    office.alice.call("KeyService.DisableOperator", disable)
    system, revoked = joined(office), joined(office)
    revoke = deployment_service_pb2.RevokeDeploymentRequest(
        deployment=revoked.deployment, reason_code="manual", detail="sold"
    )
    office.alice.call("DeploymentService.RevokeDeployment", revoke)
    return found | {
        "dis": gone.papers,
        "old": replaced.papers,
        "str": certified(OperatorIdentity("mallory")),
        "ovs": certified(OverseerIdentity("ministry")),
        "con": certified(ContactIdentity("north", "desk")),
        "srv": certified(ServerIdentity("replica-2"), dns_names=["localhost"]),
        "ano": None,
        "sys": system.papers,
        "mov": certified(SystemIdentity("another", system.deployment)),
        "rev": revoked.papers,
        "unk": certified(SystemIdentity("north", "nobody")),
    }


# ---------------------------------------------------------------------------------------- what the table must have
def reflected(channel: grpc.Channel) -> set[str]:
    """The methods that the operator listener shows to whoever asks by reflection."""
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)

    def ask(**question: str) -> Any:
        request = reflection_pb2.ServerReflectionRequest(**question)  # type: ignore[arg-type]
        return next(iter(stub.ServerReflectionInfo(iter([request]), timeout=10)))

    services = {each.name for each in ask(list_services="").list_services_response.service}
    verbs = set()
    for name in sorted(each for each in services if each.startswith("licd.")):
        for raw in ask(file_containing_symbol=name).file_descriptor_response.file_descriptor_proto:
            for service in FileDescriptorProto.FromString(raw).service:
                if f"licd.v1.{service.name}" == name:
                    verbs |= {f"{service.name}.{method.name}" for method in service.method}
    return verbs


def described() -> set[str]:
    """The methods of every service of the protocol."""
    modules = [each.name for each in iter_modules(licd.v1.__path__) if each.name.endswith("_pb2")]
    files = [import_module(f"licd.v1.{name}").DESCRIPTOR for name in modules]
    services = [service for file in files for service in file.services_by_name.values()]
    return {f"{service.name}.{method.name}" for service in services for method in service.methods}


def test_the_table_has_every_rpc_of_the_protocol_once():
    assert sorted(row.verb for row in ROWS) == sorted(described())


def test_the_table_has_every_rpc_that_reflection_shows_at_the_operators_listener(peopled: Daemon):
    shown = reflected(Office(peopled).alice.channel)
    assert shown == {row.verb for row in ROWS if row.listener == "operator"}
    assert shown


def test_the_table_has_every_role_in_force_and_every_kind_of_identity(peopled: Daemon, papers: dict[str, Any]):
    roles = {words.removeprefix(ROLE) for words in COLUMNS.values() if words.startswith(ROLE)}
    assert roles == set(load(peopled.state.root / "policies").roles.roles)
    assert papers.keys() | {"els"} == COLUMNS.keys()
    assert len(Identity.__args__) == 5, "a new kind of identity needs a column"


def test_the_table_is_whole():
    for row in ROWS:
        assert row.cells.keys() == COLUMNS.keys(), row.verb
        assert set(row.cells.values()) <= CELLS, row.verb
        assert row.listener == VERBS[row.verb].listener.value


def test_a_verb_takes_two_persons_where_the_table_says_so(peopled: Daemon):
    roles = load(peopled.state.root / "policies").roles
    for row in ROWS:
        always, widening = row.verb in roles.second_person, row.verb in roles.second_person_when_widening
        assert row.persons == ("-" if row.listener != "operator" else "2" if always else "w" if widening else "1")


# ------------------------------------------------------------------------------------------------------- the cells
def cell_of(channel: grpc.Channel, verb: str) -> str:
    """What an empty request comes to, in the table's letters."""
    try:
        call(channel, verb, VERBS[verb].request())
    except Unauthenticated:
        return "u"
    except Forbidden:
        return "f"
    except LicdError:
        return "y"
    except grpc.RpcError as error:
        assert code_of(error) is grpc.StatusCode.UNAVAILABLE
        return "t"
    return "y"


def refusals(daemon: Daemon, listener: Listener) -> float:
    names = ("FORBIDDEN", "UNAUTHENTICATED")
    return sum(daemon.metric("licd_refused_total", listener=listener.value, why=why) for why in names)


@pytest.fixture(scope="module")
def channels(peopled: Daemon, papers: dict[str, Papers | None]) -> dict[tuple[Listener, str], grpc.Channel]:
    """A connection of each column's caller to each listener."""
    return {
        (listener, column): peopled.channel(listener, each) for listener in Listener for column, each in papers.items()
    }


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.verb)
def test_each_cell_is_as_the_table_says_and_counted(
    peopled: Daemon, channels: dict[tuple[Listener, str], grpc.Channel], row: Row
):
    listener = VERBS[row.verb].listener
    for column, expected in row.cells.items():
        if column == "els":
            continue
        before = refusals(peopled, listener)
        assert cell_of(channels[listener, column], row.verb) == expected, COLUMNS[column]
        assert refusals(peopled, listener) - before == (expected in "fu"), COLUMNS[column]


RIGHT_ELSEWHERE: Final = {Listener.OPERATOR: "hoc", Listener.CUSTOMER: "sys", Listener.ENROLMENT: "ano"}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.verb)
def test_each_rpc_is_refused_at_every_other_listener_and_counted(
    peopled: Daemon, channels: dict[tuple[Listener, str], grpc.Channel], row: Row
):
    for listener in Listener:
        if listener is VERBS[row.verb].listener:
            continue
        before = refusals(peopled, listener)
        assert cell_of(channels[listener, RIGHT_ELSEWHERE[listener]], row.verb) == row.cells["els"]
        assert refusals(peopled, listener) - before == 1


def test_every_method_that_is_served_is_in_the_table():
    assert {method.verb for method in METHODS.values()} == {row.verb for row in ROWS}


# ------------------------------------------------------------------------------- let in, and still given nothing
def system_of(daemon: Daemon) -> System:
    made = joined(Office(daemon))
    made.open(acquire(1))
    return made


def test_a_revoked_system_is_told_so_and_gets_nothing(peopled: Daemon):
    system = system_of(peopled)
    revoke = deployment_service_pb2.RevokeDeploymentRequest(
        deployment=system.deployment, reason_code="manual", detail="sold"
    )
    Office(peopled).alice.call("DeploymentService.RevokeDeployment", revoke)
    answer = system.acquire(2)
    assert answer.WhichOneof("outcome") == "denial"
    assert reason(system.read(answer.denial)) == "DEPLOYMENT_REVOKED"
    assert reason(system.open(acquire(3))) == "DEPLOYMENT_REVOKED"
    with pytest.raises(Forbidden, match="revoked"):
        system.renew()  # else the papers of a system that was thrown out would never end


def test_a_system_sees_another_customers_licence_and_lease_as_missing(peopled: Daemon):
    mine, theirs = system_of(peopled), system_of(peopled)
    licence = licence_of(Office(peopled), theirs)
    assert reason(mine.check(licence)) == reason(mine.check("never-issued")) == "LICENCE_NOT_FOUND"
    assert not mine.check(licence).HasField("licence")
    assert reason(mine.release(theirs.held[0])) == reason(mine.release(1)) == "LEASE_NOT_FOUND"
    assert theirs.check().standing.live == 1


def test_a_system_cannot_send_another_customers_link_or_renew_for_anothers_key(peopled: Daemon):
    mine, theirs = system_of(peopled), system_of(peopled)
    request = session_service_pb2.OpenSessionRequest(link=theirs.link(opens=True))
    with pytest.raises(SealRefused):
        mine.call("OpenSession", request)
    with pytest.raises(Invalid, match="the caller is"):
        mine.send_open(mine.link(opens=True, system=theirs.name))
    with pytest.raises(Forbidden):
        mine.renew(theirs.csr)
    assert theirs.check().standing.live == 1
