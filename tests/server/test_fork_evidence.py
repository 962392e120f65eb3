"""Evidence of a fork: kept, handed out, and checked by somebody who has the file, the trust bundles and no licd."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from os import urandom  # noqa: TID251 - another system's key
from pathlib import Path
from typing import Any

import grpc
import pytest
from typer.testing import CliRunner, Result

from licd.cli.fork_file import write_fork
from licd.cli.main import app
from licd.cli.surroundings import Surroundings
from licd.core.errors import Forked, NotFound
from licd.core.time import MINUTE
from licd.keys.chain_file import write_chain
from licd.keys.envelope import seal
from licd.keys.kinds import KeyPurpose, Kind
from licd.keys.signer import MemorySigner
from licd.ledger.database import SqliteConnection
from licd.ledger.rows import FORKS, SESSIONS
from licd.v1 import deployment_service_pb2 as pb
from licd.v1 import key_service_pb2, session_pb2
from licd.v1.envelope_pb2 import Envelope
from licd.v1.fork_pb2 import ForkEvidence
from tests.cli.conftest import FakeClock
from tests.daemon import Daemon
from tests.office import Office
from tests.wired_system import System, acquire, enrolled_anew, joined, reason


def copied(system: System) -> Callable[[], None]:
    """Copies the system; call what it gives to go on with the copy."""
    kept = (system.sequence, system.previous, system.session, list(system.held), system.last_reply)

    def put_back() -> None:
        system.sequence, system.previous, system.session, system.held, system.last_reply = kept

    return put_back


def diverge(system: System, link: Envelope) -> None:
    """Sends a link that does not follow, on a stream of its own."""
    with system.stream(system.connect()) as stream:
        stream.send(link)
        with pytest.raises(Forked):
            stream.reply()


def forked(system: System, *, behind: int = 1, **changes: Any) -> None:
    """The system goes on for so many links, then a copy made before them speaks."""
    put_back = copied(system)
    with system.stream() as stream:
        for _ in range(behind):
            stream.beat()
    put_back()
    diverge(system, system.link(**changes))


def evidence_of(office: Office, system: System, enrolment: int = 0) -> ForkEvidence:
    request = pb.GetForkRequest(deployment=system.deployment, enrolment=enrolment)
    evidence: ForkEvidence = office.alice.call("DeploymentService.GetFork", request).evidence
    return evidence


class Outsider:
    """Somebody with licctl, a file, the trust bundles, and nothing else."""

    def __init__(self, office: Office, folder: Path) -> None:
        exported = office.alice.call("KeyService.ExportTrustBundle", key_service_pb2.ExportTrustBundleRequest())
        self.folder = folder
        self.bundle = folder / "bundle"
        self.bundle.write_text(write_chain(exported.trust))
        self.now = office.daemon.clock.wall()

    def verify(self, evidence: ForkEvidence | bytes, *more: str) -> Result:
        file = self.folder / "fork.json"
        file.write_bytes(write_fork(evidence) if isinstance(evidence, ForkEvidence) else evidence)
        surroundings = Surroundings(
            clock=FakeClock(self.now),
            randomness=lambda size: b"r" * size,
            environment={"HOME": str(self.folder)},
            open_channel=no_channel,
            ask_secret=lambda prompt: "",
        )
        arguments = ["deployment", "verify-fork", str(file), "--bundle", str(self.bundle), *more]
        return CliRunner().invoke(app, arguments, obj=surroundings, catch_exceptions=False)

    def finding(self, evidence: ForkEvidence) -> dict[str, Any]:
        result = self.verify(evidence, "--output", "json")
        assert result.exit_code == 0, result.output
        found: dict[str, Any] = json.loads(result.stdout)
        return found


def no_channel(settings: object) -> grpc.Channel:
    raise AssertionError("an outsider calls no licd")


@pytest.fixture
def outsider(office: Office, tmp_path: Path) -> Outsider:
    return Outsider(office, tmp_path)


@pytest.fixture(scope="module")
def seen(daemon: Daemon) -> ForkEvidence:
    """Evidence of two links with one number."""
    system = joined(Office(daemon))
    system.open(acquire(1))
    forked(system)
    return evidence_of(Office(daemon), system)


def test_two_links_with_one_number_are_proved_to_an_outsider(office: Office, outsider: Outsider):
    system = joined(office)
    system.open(acquire(1))
    forked(system)
    evidence = evidence_of(office, system)
    finding = outsider.finding(evidence)
    assert (finding["ground"], finding["is_proof"]) == ("two-links", True)
    assert (finding["accepted_sequence"], finding["divergent_sequence"]) == (2, 2)
    assert finding["system"] == system.name
    assert finding["public_key"] == system.signer.public_key.hex()
    first, second = (session_pb2.Link.FromString(each.payload) for each in (evidence.accepted, evidence.divergent))
    assert first.previous == second.previous
    shown = outsider.verify(evidence, "--key", system.signer.public_key.hex())
    assert "PROVED: the key signed two different links with one number" in shown.stdout


def test_a_copy_that_lags_behind_in_one_run_of_the_process_is_proved_by_its_boot_clock(
    office: Office, outsider: Outsider
):
    system = joined(office)
    system.open()
    forked(system, behind=3, boot_time_ms=system.daemon.clock.boot() + MINUTE)
    finding = outsider.finding(evidence_of(office, system))
    assert (finding["ground"], finding["is_proof"]) == ("went-back", True)
    assert (finding["accepted_sequence"], finding["divergent_sequence"]) == (4, 2)


def test_a_machine_set_back_far_is_claimed_and_not_proved(office: Office, outsider: Outsider):
    system = joined(office)
    system.open()
    forked(system, behind=3, boot_nonce=b"another run")
    evidence = evidence_of(office, system)
    finding = outsider.finding(evidence)
    assert (finding["ground"], finding["is_proof"]) == ("claimed", False)
    assert "CLAIMED by licd" in outsider.verify(evidence).stdout


def test_a_link_that_follows_nothing_is_claimed_before_the_first_accepted_link_too(office: Office, outsider: Outsider):
    system = joined(office)
    diverge(system, system.link(sequence=7))
    evidence = evidence_of(office, system)
    assert not evidence.HasField("accepted")
    finding = outsider.finding(evidence)
    assert (finding["ground"], finding["accepted_sequence"]) == ("claimed", 0)


def spoilt(seen: ForkEvidence, spoil: Callable[[ForkEvidence], None]) -> ForkEvidence:
    changed = ForkEvidence()
    changed.CopyFrom(seen)
    spoil(changed)
    return changed


def turn(data: bytes, at: int = -1) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


def resealed(evidence: ForkEvidence) -> None:
    """The divergent link again, by somebody who has no key of the system."""
    other = MemorySigner.generate(KeyPurpose.SYSTEM, urandom)
    evidence.divergent.CopyFrom(seal(Kind.LINK, evidence.divergent.payload, other))


def swapped(evidence: ForkEvidence) -> None:
    evidence.accepted.payload, evidence.divergent.payload = evidence.divergent.payload, evidence.accepted.payload


def same_twice(evidence: ForkEvidence) -> None:
    evidence.divergent.CopyFrom(evidence.accepted)


def relabelled(evidence: ForkEvidence) -> None:
    evidence.system = "customer/other/system/other"


def without_first(evidence: ForkEvidence) -> None:
    evidence.ClearField("accepted")


def other_reply(evidence: ForkEvidence) -> None:
    evidence.reply = turn(evidence.reply)


def other_signature(evidence: ForkEvidence) -> None:
    evidence.accepted.signatures[0].sig = turn(evidence.accepted.signatures[0].sig)


def other_checkpoint(evidence: ForkEvidence) -> None:
    lines = evidence.checkpoint.splitlines()
    evidence.checkpoint = "\n".join([lines[0], str(int(lines[1]) + 1), *lines[2:]]) + "\n"


def other_index(evidence: ForkEvidence) -> None:
    evidence.forked.index -= 1


def exchanged_entries(evidence: ForkEvidence) -> None:
    other = ForkEvidence(enrolled=evidence.forked, forked=evidence.enrolled)
    evidence.enrolled.CopyFrom(other.enrolled)
    evidence.forked.CopyFrom(other.forked)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (resealed, "KEY_UNKNOWN"),
        (swapped, "SIGNATURE_INVALID"),
        (same_twice, "not the one that the log's entry names"),
        (relabelled, "the log is about"),
        (without_first, "the file has none"),
        (other_reply, "the reply is not the one"),
        (other_signature, "SIGNATURE_INVALID"),
        (other_checkpoint, ""),
        (other_index, ""),
        (exchanged_entries, "no deployment.enrolled"),
    ],
)
def test_evidence_with_anything_changed_in_it_is_refused(
    seen: ForkEvidence, outsider: Outsider, spoil: Callable[[ForkEvidence], None], why: str
):
    result = outsider.verify(spoilt(seen, spoil))
    assert result.exit_code == 7, result.output
    assert why in result.output


def test_evidence_of_a_system_with_another_key_than_the_receipt_has_is_refused(seen: ForkEvidence, outsider: Outsider):
    result = outsider.verify(seen, "--key", "ab" * 32)
    assert result.exit_code == 7
    assert "the log enrolled key" in result.output


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b'{"strange": 1}', b"\xff\xfe", b'{"divergent": {"payload": "!"}}']
)
def test_a_file_that_is_no_evidence_is_refused(outsider: Outsider, data: bytes):
    assert outsider.verify(data).exit_code == 7


def test_a_copy_of_a_permit_in_the_evidence_gives_no_right(seen: ForkEvidence):
    """The reply is shown as bytes and never signed again: its permit was taken back when the system was fenced."""
    assert seen.reply_kind == "permit"
    assert session_pb2.Permit.FromString(seen.reply).leases
    assert seen.DESCRIPTOR.fields_by_name["reply"].message_type is None


def test_of_what_never_forked_there_is_no_evidence(office: Office, system: System):
    with pytest.raises(NotFound):
        evidence_of(office, system)
    with pytest.raises(NotFound):
        office.alice.call("DeploymentService.GetFork", pb.GetForkRequest(deployment="nobody"))


def test_evidence_outlives_the_next_enrolment_and_each_enrolment_has_its_own(office: Office, outsider: Outsider):
    system = joined(office)
    system.open()
    forked(system)
    anew = enrolled_anew(office, system)
    anew.open()
    forked(anew)
    for enrolment, each in ((1, system), (2, anew), (0, anew)):
        finding = outsider.finding(evidence_of(office, each, enrolment))
        assert (finding["enrolment"], finding["public_key"]) == (enrolment or 2, each.signer.public_key.hex())


@pytest.mark.parametrize("stop", ["fence", "revoke"])
def test_whoever_goes_on_with_copies_cannot_fill_the_disk_with_evidence(daemon: Daemon, office: Office, stop: str):
    system = joined(office)
    system.open()
    if stop == "revoke":
        office.alice.call(
            "DeploymentService.RevokeDeployment",
            pb.RevokeDeploymentRequest(deployment=system.deployment, reason_code="manual", detail="to be looked at"),
        )
    else:
        forked(system)
    for _ in range(5):
        with system.stream(system.connect()) as stream:
            stream.send(system.link(nonce=urandom(16)))
            assert reason(system.read(stream.reply())) == ("SYSTEM_FENCED" if stop == "fence" else "DEPLOYMENT_REVOKED")
    with closing(SqliteConnection(daemon.state.database)) as connection:
        assert [each.deployment for each in FORKS.where(connection)].count(system.deployment) == (stop == "fence")
        session = SESSIONS.get(connection, system.deployment)
        assert session is not None
        assert session.sequence == (2 if stop == "fence" else 1)
