"""What licd itself exports, in the hands of an outsider who has licd-verify, the files and the verifier keys."""

from __future__ import annotations

import json
import random  # noqa: TID251 - seeded mistakes
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format

from licd.cli.fork_file import write_fork
from licd.core.time import HOUR
from licd.evidence.checkpoint import log_origin
from licd.evidence.note import VerifierKey
from licd.v1 import key_service_pb2, log_service_pb2
from licd.v1.fork_pb2 import ForkEvidence
from licd.v1.trust_pb2 import KEY_PURPOSE_EVIDENCE
from licd.verify.main import main
from tests.daemon import TRUST_DOMAIN, Daemon
from tests.eventually import eventually
from tests.office import Office
from tests.server.test_fork_evidence import evidence_of, forked
from tests.wired_system import acquire, holding, joined


class Overseer:
    """Somebody with a folder of files, and no licd."""

    def __init__(self, office: Office, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.office = office
        self.folder = folder
        self.capsys = capsys
        found = office.alice.call("KeyService.ListKeys", key_service_pb2.ListKeysRequest())
        origin = log_origin(TRUST_DOMAIN)
        keys = [key.public_key for key in found.keys if key.purpose == KEY_PURPOSE_EVIDENCE]
        self.key = [VerifierKey(origin, each).encode() for each in keys]

    def export(self, name: str) -> Path:
        file = self.folder / name
        parts = self.office.alice.call("LogService.ExportLog", log_service_pb2.ExportLogRequest())
        file.write_text("".join(f"{line}\n" for part in parts for line in part.lines))
        return file

    def entry_of(self, kind: str, licence: str) -> int:
        request = log_service_pb2.ListEntriesRequest(kind=kind, licence=licence)
        found = self.office.alice.call("LogService.ListEntries", request).entries
        return int(found[-1].index) if found else -1

    def verify(self, claim: str, file: Path, *more: object) -> int:
        keys = [word for key in self.key for word in ("--key", key)]
        return main([claim, str(file), *keys, *map(str, more)])

    def found(self, claim: str, file: Path, *more: object) -> dict[str, Any]:
        self.capsys.readouterr()
        code = self.verify(claim, file, *more, "--json")
        shown = self.capsys.readouterr()
        assert code == 0, shown.err
        found: dict[str, Any] = json.loads(shown.out)
        return found


@pytest.fixture
def overseer(office: Office, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Overseer:
    return Overseer(office, tmp_path, capsys)


def acknowledged(office: Office, licence: str) -> str:
    """A system of the licence that holds two leases, and says that it has stopped when the licence is suspended."""
    system = holding(office, licence, 1, 2)
    with system.stream() as stream:
        stream.beat()
        office.alice.suspend(licence)
        directive = stream.directive()
        word = system.acknowledgement(directive.epoch, stream.payloads[-1], licence=licence, stopped_leases=2)
        stream.acknowledge(word)
        stream.beat(held=[])
    return system.deployment


def test_a_suspension_that_was_acknowledged_is_proved_to_an_outsider(office: Office, overseer: Overseer):
    licence = office.licence()
    system = acknowledged(office, licence)
    file = overseer.export("log")
    stop = overseer.entry_of("licence.suspended", licence)
    found = overseer.found("suspension", file, "--entry", stop)
    assert (found["licence"], found["code"]) == (licence, "manual")
    assert found[f"system {system}"].startswith("acknowledged it, with nothing left active")
    assert "held 2 leases" in found[f"system {system}"]
    assert stop in overseer.found("log", file)["stops"]


def test_a_suspension_whose_permits_still_run_is_not_proved_and_is_once_they_have_run_out(
    own_daemon: Callable[..., Daemon], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    daemon = own_daemon()
    office = Office(daemon)
    overseer = Overseer(office, tmp_path, capsys)
    licence = office.licence()
    system = holding(office, licence, 1)
    office.alice.suspend(licence)
    early = overseer.export("early")
    stop = overseer.entry_of("licence.suspended", licence)
    assert overseer.verify("suspension", early, "--entry", stop) == 1
    assert f"at {system.deployment}: 1 of its 1 leases have not ended" in capsys.readouterr().err
    daemon.clock.passed += HOUR
    eventually(lambda: overseer.entry_of("lease.ended", licence) > stop, 60, "the lease lapses")
    office.alice.unassessed()
    found = overseer.found("suspension", overseer.export("late"), "--entry", stop, "--older", early)
    assert found[f"system {system.deployment}"].startswith("let all it held run out, and the last seat was free")


def test_a_lifted_suspension_stays_proved(office: Office, overseer: Overseer):
    licence = office.licence()
    acknowledged(office, licence)
    stop = overseer.entry_of("licence.suspended", licence)
    office.reinstate(licence)
    found = overseer.found("suspension", overseer.export("log"), "--entry", stop)
    assert found["lifted"].startswith("in entry ")


def test_every_suspension_of_a_later_export_goes_on_from_an_earlier_one(office: Office, overseer: Overseer):
    early = overseer.export("early")
    office.licence()
    assert overseer.verify("log", overseer.export("late"), "--older", early) == 0


def test_a_fork_is_proved_to_an_outsider_and_an_altered_file_proves_nothing(office: Office, overseer: Overseer):
    system = joined(office)
    system.open(acquire(1))
    forked(system)
    whole = write_fork(evidence_of(office, system))
    file = overseer.folder / "fork.json"
    file.write_bytes(whole)
    found = overseer.found("fork", file)
    assert (found["ground"], found["is_proof"], found["system"]) == ("two-links", "yes", system.name)
    for seed in range(150):
        chance = random.Random(seed)
        altered = bytearray(whole)
        for _ in range(chance.randint(1, 3)):
            altered[chance.randrange(len(altered))] = chance.randrange(256)
        file.write_bytes(altered[: chance.choice([len(altered), chance.randrange(len(altered))])])
        code = overseer.verify("fork", file)
        said = overseer.capsys.readouterr().err
        assert code == 0 or (code == 1 and said.startswith("licd-verify: does not hold: ")), f"seed {seed}"
        assert code == 1 or same_evidence(file.read_bytes(), whole), f"seed {seed}"


def same_evidence(one: bytes, other: bytes) -> bool:
    return json_format.Parse(one, ForkEvidence()) == json_format.Parse(other, ForkEvidence())
