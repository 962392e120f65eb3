"""A new operator makes his keys himself; nothing secret is in what he hands over."""

import json
from pathlib import Path

import pytest
from cryptography import x509

from licd.cli.desk import Desk
from licd.cli.settings import Choice, read
from licd.cli.surroundings import Output, Surroundings
from licd.keys.file_signer import Argon2Cost, read_key_file, write_key_file
from licd.keys.kinds import KeyPurpose
from licd.v1 import key_service_pb2 as pb
from licd.v1.operator_pb2 import Operator
from tests.cli.conftest import Licctl

ADMISSION = pb.OperatorAdmission(operator=Operator(operator="carl", roles=["approver"]), certificate_chain_pem="PEM\n")


@pytest.fixture
def request_file(licctl: Licctl, tmp_path: Path) -> Path:
    own = tmp_path / "carl"
    result = licctl.bare("operator", "request", "carl", "--dir", str(own), "--no-passphrase")
    assert result.exit_code == 0, result.output
    return own / "carl.request.json"


def test_the_request_carries_the_public_halves_of_both_keys(request_file: Path) -> None:
    fields = json.loads(request_file.read_text())
    signer = read_key_file(request_file.parent / "signing.key", None)
    assert fields["public_key"] == signer.public_key.hex()
    assert x509.load_pem_x509_csr(fields["csr"].encode()).is_signature_valid
    assert fields.keys() == {"format", "version", "operator", "public_key", "csr"}


def test_the_keys_are_for_their_owner_alone(request_file: Path) -> None:
    for name in ("signing.key", "channel.key"):
        assert (request_file.parent / name).stat().st_mode & 0o777 == 0o600
    assert request_file.parent.stat().st_mode & 0o777 == 0o700


def test_settings_are_written_where_address_and_authority_are_known(licctl: Licctl, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("authority")
    arguments = ("--dir", str(tmp_path / "carl"), "--no-passphrase", "--address", "licd.example:7002", "--ca")
    licctl.bare("operator", "request", "carl", *arguments, str(tmp_path / "ca.pem"))

    found = read(tmp_path / "carl" / "licctl.toml")
    assert (found.address, found.operator) == ("licd.example:7002", "carl")
    assert found.ca.read_text() == "authority"
    assert found.signing_key.exists()


def test_a_passphrase_is_asked_for_twice_and_protects_the_signing_key(licctl: Licctl, tmp_path: Path) -> None:
    licctl.secrets += ["correct horse", "correct horse"]
    own = tmp_path / "carl"
    result = licctl.bare("operator", "request", "carl", "--dir", str(own))
    assert result.exit_code == 0
    assert "correct horse" not in result.output
    assert read_key_file(own / "signing.key", b"correct horse").key_id in result.stdout


@pytest.mark.parametrize(
    ("secrets", "why"),
    [(["short", "short"], "8 characters or more"), (["long enough", "long enougj"], "the two passphrases differ")],
)
def test_a_passphrase_that_will_not_do_makes_nothing(
    licctl: Licctl, tmp_path: Path, secrets: list[str], why: str
) -> None:
    licctl.secrets += secrets
    result = licctl.bare("operator", "request", "carl", "--dir", str(tmp_path / "carl"))
    assert result.exit_code == 2
    assert why in result.stderr
    assert not (tmp_path / "carl").exists()


def test_keys_that_are_there_are_not_overwritten(licctl: Licctl, request_file: Path) -> None:
    before = (request_file.parent / "signing.key").read_bytes()
    result = licctl.bare("operator", "request", "carl", "--dir", str(request_file.parent), "--no-passphrase")
    assert result.exit_code == 2
    assert (request_file.parent / "signing.key").read_bytes() == before


@pytest.mark.parametrize("name", ["Carl", "../carl", "carl/../anna", ""])
def test_a_name_that_is_none_is_refused(licctl: Licctl, tmp_path: Path, name: str) -> None:
    result = licctl.bare("operator", "request", "--dir", str(tmp_path / "x"), "--no-passphrase", "--", name)
    assert result.exit_code == 2
    assert not (tmp_path / "x").exists()


def test_the_request_is_sent_as_it_was_made(licctl: Licctl, request_file: Path) -> None:
    licctl.licd.on("AddOperator", pb.AddOperatorResponse(admission=ADMISSION))
    save = request_file.parent / "certificate.pem"
    roles = ("--role", "approver", "--role", "auditor")
    result = licctl("operator", "add", str(request_file), *roles, "--save", str(save))
    assert result.exit_code == 0
    sent = licctl.licd.asked(pb.AddOperatorRequest)
    fields = json.loads(request_file.read_text())
    assert (sent.operator, list(sent.roles)) == ("carl", ["approver", "auditor"])
    assert sent.public_key.hex() == fields["public_key"]
    assert x509.load_der_x509_csr(sent.csr) == x509.load_pem_x509_csr(fields["csr"].encode())
    assert save.read_text() == "PEM\n"
    assert f"carl with key {read_key_file(request_file.parent / 'signing.key', None).key_id}" in result.stdout


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("format", "other", 2),
        ("version", 2, 2),
        ("operator", None, 2),
        ("public_key", "xyz", 2),
        ("public_key", "00" * 32, 7),
        ("csr", "-----BEGIN", 7),
        ("extra", "x", 2),
    ],
)
def test_a_request_that_is_not_right_is_not_sent(
    licctl: Licctl, request_file: Path, field: str, value: object, code: int
) -> None:
    request_file.write_text(json.dumps(json.loads(request_file.read_text()) | {field: value}))
    result = licctl("operator", "add", str(request_file), "--role", "approver")
    assert result.exit_code == code
    assert result.stderr.count("\n") == 1
    assert licctl.licd.names() == []


def test_a_protected_signing_key_takes_its_passphrase_from_a_private_file(licctl: Licctl, tmp_path: Path) -> None:

    own = licctl.folder / "operators/anna/signing.key"
    own.unlink()
    cost = Argon2Cost(memory_kib=64, iterations=1, lanes=1)
    write_key_file(
        own, KeyPurpose.OPERATOR, b"\x05" * 32, passphrase=b"hush hush", randomness=lambda size: b"\1" * size, cost=cost
    )
    secret = tmp_path / "secret"
    secret.write_text("hush hush\n")
    secret.chmod(0o600)
    surroundings = Surroundings(environment={"LICCTL_PASSPHRASE_FILE": str(secret)})
    desk = Desk(surroundings, Choice(state=licctl.folder, name="anna"), Output.TABLE)
    assert desk.signer.public_key
    secret.chmod(0o644)
    with pytest.raises(Exception, match="chmod 600"):
        _ = Desk(surroundings, Choice(state=licctl.folder, name="anna"), Output.TABLE).signer
