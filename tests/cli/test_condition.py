"""licctl condition and contact, and licd-contact: keys and certifications made without licd, what is sent and shown."""

from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from licd.cli import contact_main
from licd.cli.failure import Exit
from licd.core.time import DAY
from licd.keys.armour import dearmour
from licd.keys.envelope import parse_envelope, verify
from licd.keys.file_signer import create_key_file, read_key_file
from licd.keys.keyring import Keyring
from licd.keys.kinds import KeyPurpose, Kind
from licd.keys.verification_key import VerificationKey
from licd.v1 import condition_pb2
from licd.v1 import condition_service_pb2 as pb
from licd.v1.envelope_pb2 import Envelope
from tests.cli.conftest import NOW, Licctl

SAID = """
contact = "customer/north/contact/claire"
audience = "licd.example"
licence = "north-1"
condition = "certification-quarterly"
period = 3
statement = "The system was used as licensed."
evidence = ["report.txt"]
"""


def contact(*arguments: str) -> Result:
    """Runs licd-contact on the contact's own machine."""
    return CliRunner().invoke(contact_main.app, arguments, catch_exceptions=False)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "claire.key"
    assert contact("key", str(path), "--no-passphrase").exit_code == Exit.OK
    return path


@pytest.fixture
def said(tmp_path: Path) -> Path:
    (tmp_path / "report.txt").write_bytes(b"all is well")
    path = tmp_path / "certification.toml"
    path.write_text(SAID)
    return path


def condition(**changes: Any) -> condition_pb2.Condition:
    found = condition_pb2.Condition(
        condition="north-1/training-yearly",
        licence="north-1",
        customer="north",
        name="training-yearly",
        description="Everybody is trained",
        state=condition_pb2.CONDITION_STATE_PENDING,
        period=2,
        due_at_ms=NOW + DAY,
        next_consequence="remind",
        next_at_ms=NOW,
    )
    found.MergeFrom(condition_pb2.Condition(**changes))
    return found


# ------------------------------------------------------------------------------------------------------ licd-contact
def test_a_contact_makes_his_key_and_learns_what_to_tell_the_vendor(tmp_path: Path):
    path = tmp_path / "claire.key"
    result = contact("key", str(path), "--no-passphrase")
    made = read_key_file(path, None)
    assert made.purpose is KeyPurpose.CONTACT
    assert made.key_id in result.output
    assert made.public_key.hex() in result.output
    assert contact("key", str(path), "--no-passphrase").exit_code != Exit.OK


def test_his_key_can_be_kept_behind_a_passphrase(tmp_path: Path, said: Path, monkeypatch: pytest.MonkeyPatch):
    secret = tmp_path / "secret"
    secret.touch(mode=0o600)
    secret.write_text("short\n")
    monkeypatch.setenv("LICCTL_PASSPHRASE_FILE", str(secret))
    path = tmp_path / "mine.key"
    assert "8 characters or more" in contact("key", str(path)).output
    secret.write_text("long enough\n")
    assert contact("key", str(path)).exit_code == Exit.OK
    assert read_key_file(path, b"long enough")
    result = contact("certify", str(said), "--key", str(path))
    assert result.output.startswith("-----BEGIN LICD CERTIFICATION-----")


def test_what_he_certifies_is_signed_with_the_hashes_of_his_files(key: Path, said: Path, tmp_path: Path):
    token = tmp_path / "token.txt"
    result = contact("certify", str(said), "--key", str(key), "--save", str(token))
    assert result.exit_code == Exit.OK, result.output
    assert "The system was used as licensed." in result.output
    signer = read_key_file(key, None)
    known = VerificationKey.of(KeyPurpose.CONTACT, signer.public_key, not_before_ms=0, not_after_ms=1 << 62)
    envelope = parse_envelope(dearmour(token.read_bytes()).raw)
    verify(envelope, Kind.CERTIFICATION, Keyring([known]), NOW)
    message = condition_pb2.Certification.FromString(envelope.payload)
    assert (message.condition, message.period) == ("certification-quarterly", 3)
    assert list(message.evidence) == [sha256(b"all is well").digest()]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("contact/claire", "system/claire"), "contact: must be customer/C/contact/P"),
        (("customer/north", "Customer/north"), "has a segment that is no name"),
        (("period = 3", "period = 0"), "period: must be a whole number"),
        (("The system was used as licensed.", " "), "statement: must say what is certified"),
        (("evidence = [", "evidenc = ["), "evidenc: no such key"),
        (("period = 3", "period ="), "not TOML"),
    ],
)
def test_what_is_no_certification_is_not_signed(key: Path, said: Path, change: tuple[str, str], words: str):
    said.write_text(SAID.replace(*change))
    result = contact("certify", str(said), "--key", str(key))
    assert result.exit_code == Exit.USAGE
    assert words in result.output


def test_a_file_that_is_not_there_is_no_evidence(key: Path, said: Path):
    said.write_text(SAID.replace("report.txt", "nothing.txt"))
    result = contact("certify", str(said), "--key", str(key))
    assert result.exit_code != Exit.OK
    assert "nothing.txt" in result.output


def test_another_kind_of_key_certifies_nothing(said: Path, tmp_path: Path):
    path = tmp_path / "operator.key"
    create_key_file(path, KeyPurpose.OPERATOR, passphrase=None, randomness=lambda size: b"o" * size)
    result = contact("certify", str(said), "--key", str(path))
    assert result.exit_code == Exit.USAGE
    assert "is a key for operator, not a contact's" in result.output


# ------------------------------------------------------------------------------------------------------------ licctl
def test_what_a_contact_signed_is_lodged_as_it_came(licctl: Licctl, key: Path, said: Path, tmp_path: Path):
    token = tmp_path / "token.txt"
    contact("certify", str(said), "--key", str(key), "--save", str(token))
    licctl.licd.on("LodgeCertification", pb.LodgeCertificationResponse(condition=condition()))
    result = licctl("condition", "certify", str(token))
    assert result.exit_code == Exit.OK, result.output
    sent = licctl.licd.asked(pb.LodgeCertificationRequest).certification
    assert sent.SerializeToString() == dearmour(token.read_bytes()).raw
    path = tmp_path / "other"
    path.write_bytes(Envelope(payload=b"", payload_type=Kind.LICENCE.payload_type).SerializeToString())
    assert licctl("condition", "certify", str(path)).exit_code == Exit.USAGE


def test_a_condition_is_shown_with_what_was_done_and_what_comes_next(licctl: Licctl):
    licctl.licd.on("GetCondition", pb.GetConditionResponse(condition=condition(tightened_steps=1, reminded_at_ms=NOW)))
    result = licctl("condition", "show", "north-1/training-yearly")
    for words in ("period 2", "Everybody is trained", "1 times: licctl licence rights north-1", "remind, "):
        assert words in result.output
    certified = condition(certified=True, contact="customer/north/contact/claire", suspended_at_ms=NOW, met_at_ms=NOW)
    licctl.licd.on("GetCondition", pb.GetConditionResponse(condition=certified))
    result = licctl("condition", "show", "north-1/training-yearly")
    assert "what customer/north/contact/claire signs" in result.output
    assert "reinstated by persons, once it is met" in result.output


def test_conditions_are_listed(licctl: Licctl):
    licctl.licd.on("ListConditions", pb.ListConditionsResponse(conditions=[condition()]))
    result = licctl("condition", "list", "--customer", "north", "--licence", "north-1", "--overdue")
    assert "north-1/training-yearly" in result.output
    sent = licctl.licd.asked(pb.ListConditionsRequest)
    assert (sent.customer, sent.licence, sent.overdue) == ("north", "north-1", True)


def test_what_is_added_says_when_and_who(licctl: Licctl):
    licctl.licd.on("AddCondition", pb.AddConditionResponse(condition=condition()))
    who = "customer/north/contact/claire"
    licctl("condition", "add", "north-1", "training-yearly", "--due", "2026-06-01", "--contact", who)
    sent = licctl.licd.asked(pb.AddConditionRequest)
    assert (sent.licence, sent.name, sent.contact) == ("north-1", "training-yearly", who)
    assert sent.due_at_ms == 1_780_272_000_000


def test_only_the_hash_of_the_evidence_is_sent_for_the_period_that_was_seen(licctl: Licctl, tmp_path: Path):
    (tmp_path / "list.txt").write_bytes(b"who was trained")
    licctl.licd.on("GetCondition", pb.GetConditionResponse(condition=condition()))
    licctl.licd.on("MeetCondition", pb.MeetConditionResponse(condition=condition()))
    result = licctl("condition", "meet", "north-1/training-yearly", "--evidence", str(tmp_path / "list.txt"))
    assert result.exit_code == Exit.OK, result.output
    sent = licctl.licd.asked(pb.MeetConditionRequest)
    assert (sent.period, sent.evidence_sha256) == (2, sha256(b"who was trained").digest())


def test_a_waiver_names_the_period_that_was_seen(licctl: Licctl):
    licctl.licd.on("GetCondition", pb.GetConditionResponse(condition=condition()))
    licctl.licd.on("WaiveCondition", pb.WaiveConditionResponse(condition=condition(period=1)))
    licctl("condition", "waive", "north-1/training-yearly", "--detail", "a flood")
    sent = licctl.licd.asked(pb.WaiveConditionRequest)
    assert (sent.period, sent.detail) == (2, "a flood")


def test_contacts_are_entered_listed_and_withdrawn(licctl: Licctl):
    found = condition_pb2.Contact(contact="customer/north/contact/claire", name="Claire North", office="Legal")
    licctl.licd.on("RegisterContact", pb.RegisterContactResponse(contact=found))
    wanted = ["north", "claire", "--name", "Claire North", "--office", "Legal", "--public-key"]
    assert "Claire North, Legal" in licctl("contact", "register", *wanted, "ab" * 32).output
    assert licctl.licd.asked(pb.RegisterContactRequest).public_key == b"\xab" * 32
    assert licctl("contact", "register", *wanted, "no hex").exit_code == Exit.USAGE
    licctl.licd.on("ListContacts", pb.ListContactsResponse(contacts=[found]))
    assert "Legal" in licctl("contact", "list", "--customer", "north").output
    found.withdrawn_at_ms = NOW
    licctl.licd.on("WithdrawContact", pb.WithdrawContactResponse(contact=found))
    assert "withdrawn" in licctl("contact", "withdraw", found.contact, "--detail", "left").output
