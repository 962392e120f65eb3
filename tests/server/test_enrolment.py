"""A join token is traded for an identity once, by whoever holds the keys he shows."""

from collections.abc import Callable
from hashlib import sha256
from os import urandom  # noqa: TID251 - keys of systems
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import CertificateSigningRequestBuilder, Name

from licd.core.errors import AlreadyExists, Conflict, Forbidden, Held, IllegalTransition, Invalid, OverQuota
from licd.core.time import DAY, SECOND
from licd.keys.certificate_request import make_private_key, make_request
from licd.keys.kinds import KeyPurpose
from licd.keys.pem_files import certificates_from_pem, private_key_to_pem
from licd.keys.signer import MemorySigner
from licd.ledger.database import SqliteConnection
from licd.ledger.rows import ANSWERED
from licd.server.caller import Listener
from licd.v1 import deployment_service_pb2, enrolment_service_pb2, log_service_pb2
from tests.daemon import Daemon, call, fresh, new_id
from tests.office import Office
from tests.wired_system import Joining, System, enrolment_request, joined

INVITE = "DeploymentService.InviteDeployment"


def request_for(token: str, **changes: Any) -> enrolment_service_pb2.EnrolRequest:
    """A right request to enrol with a token, with fields changed."""
    signer = MemorySigner.generate(KeyPurpose.SYSTEM, urandom)
    request = enrolment_request(Joining.of(token).secret, signer, make_request(make_private_key()))
    for name, value in changes.items():
        setattr(request, name, value)
    return request


def enrol(daemon: Daemon, request: enrolment_service_pb2.EnrolRequest) -> enrolment_service_pb2.EnrolResponse:
    answer: enrolment_service_pb2.EnrolResponse = call(
        daemon.channel(Listener.ENROLMENT), "EnrolmentService.Enrol", request
    )
    return answer


def test_a_token_says_where_to_enrol_and_whom_to_believe(office: Office):
    system = joined(office)
    assert system.name.startswith("customer/")
    assert system.check().standing.epoch == 1


def test_a_token_is_used_once(daemon: Daemon, office: Office):
    token = office.alice.invite(office.licence())
    enrol(daemon, request_for(token))
    with pytest.raises(Forbidden, match="used"):
        enrol(daemon, request_for(token))


def test_an_enrolment_whose_answer_was_lost_is_answered_again_and_done_once(daemon: Daemon, office: Office):
    token = office.alice.invite(office.licence())
    request = request_for(token)
    first, second = enrol(daemon, request), enrol(daemon, request)
    assert (first.system, first.receipt, first.licence) == (second.system, second.receipt, second.licence)
    assert first.certificate_chain_pem != second.certificate_chain_pem
    name = first.system.rpartition("/")[2]
    listed = log_service_pb2.ListEntriesRequest(kind="deployment.enrolled", descending=True)
    entries = office.bob.call("LogService.ListEntries", listed).entries
    assert [field.value for each in entries for field in each.fields if field.name == "system"].count(name) == 1


@pytest.mark.parametrize("other", ["public_key", "csr", "pseudonym_key_commitment"])
def test_only_the_very_keys_that_took_a_token_are_told_it_again(daemon: Daemon, office: Office, other: str):
    secret = Joining.of(office.alice.invite(office.licence())).secret
    mine, stolen = (MemorySigner.generate(KeyPurpose.SYSTEM, urandom) for _ in range(2))
    csr = make_request(make_private_key())
    enrol(daemon, enrolment_request(secret, mine, csr))
    match other:
        case "public_key":
            again = enrolment_request(secret, stolen, csr)
        case "csr":
            again = enrolment_request(secret, mine, make_request(make_private_key()))
        case _:
            again = enrolment_request(secret, mine, csr)
            again.pseudonym_key_commitment = sha256(b"another key").digest()
    with pytest.raises(Forbidden, match="used"):
        enrol(daemon, again)


def test_an_enrolment_is_told_again_until_the_first_link_only(daemon: Daemon, office: Office):
    joining = Joining.of(office.alice.invite(office.licence()))
    signer, channel_key = MemorySigner.generate(KeyPurpose.SYSTEM, urandom), make_private_key()
    request = enrolment_request(joining.secret, signer, make_request(channel_key))
    enrol(daemon, request)
    again = enrol(daemon, request)
    system = System.told(daemon, joining, signer, private_key_to_pem(channel_key), request, again)
    system.open()
    with pytest.raises(Forbidden, match="used"):
        enrol(daemon, request)
    assert system.check().standing.epoch == 1


def test_an_enrolment_is_told_again_within_the_tokens_time_only(own_daemon: Callable[..., Daemon]):
    daemon = own_daemon()
    office = Office(daemon)
    request = request_for(office.alice.invite(office.licence()))
    enrol(daemon, request)
    daemon.clock.passed += DAY
    with pytest.raises(Forbidden, match="used"):
        enrol(daemon, request)


def test_an_enrolment_that_was_taken_back_is_told_to_nobody_again(daemon: Daemon, office: Office):
    licence = office.licence()
    request = request_for(office.alice.invite(licence))
    name = enrol(daemon, request).system.rpartition("/")[2]
    revoke = deployment_service_pb2.RevokeDeploymentRequest(deployment=name, reason_code="manual", detail="lost")
    office.alice.call("DeploymentService.RevokeDeployment", revoke)
    with pytest.raises(Forbidden, match="used"):
        enrol(daemon, request)


def test_a_newer_token_takes_the_place_of_the_earlier_one(daemon: Daemon, office: Office):
    licence, name = office.licence(), fresh("system")
    first, second = office.alice.invite(licence, name), office.alice.invite(licence, name)
    with pytest.raises(Forbidden):
        enrol(daemon, request_for(first))
    enrol(daemon, request_for(second))
    with pytest.raises(AlreadyExists):
        office.alice.invite(licence, name)


def test_a_token_is_given_once_and_kept_nowhere(daemon: Daemon, office: Office):
    licence = office.licence()
    request = deployment_service_pb2.InviteDeploymentRequest(
        request_id=new_id(), licence=licence, deployment=fresh("system")
    )
    token = office.alice.call(INVITE, request).invitation.join_token
    with pytest.raises(Conflict, match="given once"):
        office.alice.call(INVITE, request)
    secret = Joining.of(token).secret.encode()
    rows = SqliteConnection(daemon.state.database, readonly=True)
    assert all(token.encode() not in each.answer and secret not in each.answer for each in ANSWERED.where(rows))
    rows.close()
    files = [path for path in daemon.state.root.rglob("licd.db*") if path.is_file()]
    assert files
    assert all(secret not in path.read_bytes() for path in files)


def test_a_token_runs_out(own_daemon: Callable[..., Daemon]):
    daemon = own_daemon()
    office = Office(daemon)
    token = office.alice.invite(office.licence())
    daemon.clock.passed += DAY
    with pytest.raises(Forbidden, match="past its time"):
        enrol(daemon, request_for(token))


def test_a_token_stays_good_while_signing_is_held(own_daemon: Callable[..., Daemon]):
    daemon = own_daemon()
    office = Office(daemon)
    licence = office.licence()
    token, system = office.alice.invite(licence), joined(office, licence)
    daemon.state.hold.touch()
    with pytest.raises(Held):
        enrol(daemon, request_for(token))
    with pytest.raises(Held):
        system.renew()
    daemon.state.hold.unlink()
    assert enrol(daemon, request_for(token)).certificate_chain_pem
    assert system.renew()


@pytest.mark.parametrize("valid", [-1, 30 * DAY + 1])
def test_a_token_is_not_valid_for_ever(office: Office, valid: int):
    request = deployment_service_pb2.InviteDeploymentRequest(
        licence=office.licence(), deployment=fresh("system"), valid_for_ms=valid
    )
    with pytest.raises(Invalid) as refused:
        office.alice.call(INVITE, request)
    assert refused.value.field == "valid_for_ms"


def test_a_licence_has_room_for_so_many_systems(office: Office):
    licence = office.licence(systems=1)
    joined(office, licence)
    with pytest.raises(Conflict):
        office.alice.invite(licence)


def test_a_name_belongs_to_one_licence(office: Office):
    name = fresh("system")
    office.alice.invite(office.licence(), name)
    with pytest.raises(AlreadyExists):
        office.alice.invite(office.licence(), name)


def test_nobody_enrols_under_a_suspended_licence(daemon: Daemon, office: Office):
    licence = office.licence()
    token = office.alice.invite(licence)
    office.alice.suspend(licence)
    with pytest.raises(Forbidden, match="LICENCE_SUSPENDED"):
        enrol(daemon, request_for(token))
    office.reinstate(licence)
    enrol(daemon, request_for(token))


def rsa_request() -> bytes:
    key = rsa.generate_private_key(65537, 2048)
    builder = CertificateSigningRequestBuilder().subject_name(Name([]))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def other_curve() -> bytes:
    key = ec.generate_private_key(ec.SECP384R1())
    builder = CertificateSigningRequestBuilder().subject_name(Name([]))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


NEUTRAL = bytes([1]) + bytes(31)  # a point of order one: it verifies this signature over anything
FITS_ANYTHING = NEUTRAL + bytes(32)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"join_secret": ""}, "join_secret"),
        ({"join_secret": "s" * 257}, "join_secret"),
        ({"public_key": b"k" * 31}, "public_key"),
        ({"public_key": b"\xff" * 32}, "public_key"),
        ({"public_key": NEUTRAL, "proof": FITS_ANYTHING}, "public_key"),
        ({"proof": b""}, "proof"),
        ({"proof": b"p" * 64}, "proof"),
        ({"pseudonym_key_commitment": b"c" * 31}, "pseudonym_key_commitment"),
        ({"csr": b""}, "csr"),
        ({"csr": b"\x30\x03\x02\x01\x01"}, "csr"),
        ({"csr": rsa_request()}, "csr"),
        ({"csr": other_curve()}, "csr"),
        ({"csr": b"c" * 8193}, "csr"),
    ],
)
def test_a_wrong_request_is_refused_by_its_field_and_leaves_the_token_unused(
    daemon: Daemon, office: Office, changes: dict[str, Any], field: str
):
    token = office.alice.invite(office.licence())
    with pytest.raises(Invalid) as refused:
        enrol(daemon, request_for(token, **changes))
    assert refused.value.field == field
    enrol(daemon, request_for(token))


def test_a_proof_made_for_another_request_proves_nothing(daemon: Daemon, office: Office):
    licence = office.licence()
    request = request_for(office.alice.invite(licence))
    request.join_secret = Joining.of(office.alice.invite(licence)).secret
    with pytest.raises(Invalid) as refused:
        enrol(daemon, request)
    assert refused.value.field == "proof"


def test_an_unknown_secret_is_refused(daemon: Daemon, office: Office):
    request = request_for(office.alice.invite(office.licence()))
    signer = MemorySigner.generate(KeyPurpose.SYSTEM, urandom)
    guessed = enrolment_request("0" * 64, signer, request.csr)
    with pytest.raises(Forbidden, match="no such join token"):
        enrol(daemon, guessed)


def test_the_pseudonym_key_of_a_deployment_is_kept_over_enrolments(daemon: Daemon, office: Office):
    """Volume limits count by pseudonyms: a new key would start the count anew."""
    licence = office.licence()
    system = joined(office, licence)
    request = deployment_service_pb2.ReenrolDeploymentRequest(deployment=system.deployment, detail="disk lost")
    office.agree("DeploymentService.ReenrolDeployment", request)
    token = office.alice.invite(licence, system.deployment)
    with pytest.raises(Conflict) as refused:
        enrol(daemon, request_for(token, pseudonym_key_commitment=sha256(b"another key").digest()))
    assert refused.value.field == "pseudonym_key_commitment"
    System.enrol(daemon, token)


def test_a_revoked_deployment_is_not_invited_but_enrolled_anew_by_two(daemon: Daemon, office: Office):
    licence = office.licence()
    system = joined(office, licence)
    revoke = deployment_service_pb2.RevokeDeploymentRequest(
        deployment=system.deployment, reason_code="manual", detail="returned"
    )
    office.alice.call("DeploymentService.RevokeDeployment", revoke)
    with pytest.raises(AlreadyExists):
        office.alice.invite(licence, system.deployment)
    with pytest.raises(IllegalTransition):
        office.alice.call(
            "DeploymentService.RevokeDeployment",
            deployment_service_pb2.RevokeDeploymentRequest(
                deployment=system.deployment, reason_code="manual", detail="again"
            ),
        )


def test_everybody_may_have_the_trust_bundles(daemon: Daemon):
    channel = daemon.channel(Listener.ENROLMENT)
    ask = enrolment_service_pb2.GetTrustBundleRequest
    assert len(call(channel, "EnrolmentService.GetTrustBundle", ask()).trust.bundles) == 1
    assert len(call(channel, "EnrolmentService.GetTrustBundle", ask(held_version=1)).trust.bundles) == 0
    with pytest.raises(Invalid):
        call(channel, "EnrolmentService.GetTrustBundle", ask(held_version=-1))


def test_guessing_is_slowed_down(own_daemon: Callable[..., Daemon]):
    daemon = own_daemon(enrolments_per_second=1, enrolments_at_once=3)
    channel = daemon.channel(Listener.ENROLMENT)
    request = enrolment_service_pb2.GetTrustBundleRequest()
    for _ in range(3):
        call(channel, "EnrolmentService.GetTrustBundle", request)
    with pytest.raises(OverQuota) as refused:
        for _ in range(3):
            call(channel, "EnrolmentService.GetTrustBundle", request)
    assert 0 < refused.value.retry_after <= 1000
    cause = refused.value.__cause__
    assert isinstance(cause, grpc.RpcError)


@pytest.mark.parametrize("jump", [-30 * DAY, 3 * DAY], ids=["back", "forward"])
def test_a_certificate_renewed_while_licds_clock_is_wrong_is_good_when_it_is_right(
    own_daemon: Callable[..., Daemon], jump: int
):
    """Else its holder could not come back once the clock is right: there is no other way than to enrol anew."""
    daemon = own_daemon()
    system = joined(Office(daemon))
    daemon.clock.set_off += jump
    leaf = certificates_from_pem(system.renew().chain)[0]
    daemon.clock.set_off -= jump
    assert leaf.not_valid_before_utc.timestamp() * SECOND <= daemon.clock.wall()
    assert daemon.clock.wall() < leaf.not_valid_after_utc.timestamp() * SECOND
