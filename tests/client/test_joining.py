"""From a join token to an enrolled system; what does not fit together enrols nothing."""

import base64
import hashlib
import random  # noqa: TID251 -- seeded
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from licd.client.errors import EnrolmentRefused, JoinTokenInvalid, NoAnswer
from licd.client.joining import commitment_of, parse_join_token
from licd.client.system import System
from licd.client.transport import Method
from licd.core.errors import Forbidden, Invalid, LicdError, OverQuota
from licd.keys.certificate_request import make_private_key, make_request
from licd.keys.pem_files import certificates_to_pem
from licd.keys.pki import make_authority
from licd.v1 import session_pb2
from tests.client.conftest import join_token
from tests.client.fake_licd import DAY, DOMAIN, NOW, SYSTEM, FakeLicd, bundle_envelope, licence_envelope
from tests.client.virtual import AUTHORITY_PEM, MemoryDisk, MemoryNetwork, VirtualClock


async def enrol(network: MemoryNetwork, token: str | None = None, disk: MemoryDisk | None = None) -> str:
    return await System.enrol(
        token or join_token(),
        "unused",
        disk=disk or MemoryDisk(),
        network=network,
        clock=network.clock,
        randomness=random.Random(5).randbytes,
    )


def test_a_join_token_is_read() -> None:
    token = parse_join_token("\n " + join_token() + " \n")
    assert (token.trust_domain, token.address, token.deployment, token.secret) == (
        DOMAIN,
        "licd.example:7001",
        "north",
        "only-once",
    )
    assert token.authority_pem == AUTHORITY_PEM
    assert token.bundle_sha256 == hashlib.sha256(bundle_envelope().payload).digest()
    assert "only-once" not in repr(token)


def test_a_join_token_may_name_more_authorities_while_licd_changes_from_one_to_another() -> None:
    other = make_authority(DOMAIN, "other", now_ms=NOW, life_ms=DAY, randomness=random.Random(7).randbytes)
    der = base64.b64encode(other.certificate.public_bytes(Encoding.DER)).decode()
    token = parse_join_token(join_token(more_ca=[der]))
    assert token.authority_pem == AUTHORITY_PEM + certificates_to_pem([other.certificate]).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "LICD-JOIN-1.",
        "LICD-JOIN-2." + join_token()[12:],
        join_token()[:-9],
        join_token() + "!",
        "LICD-JOIN-1." + base64.urlsafe_b64encode(b"[]").decode(),
        "LICD-JOIN-1." + base64.urlsafe_b64encode(b"[" * 30_000).decode(),
        join_token(v=2),
        join_token(ca="AAAA"),
        join_token(more_ca=["AAAA"]),
        join_token(more_ca=5),
        join_token(bundle_sha256="00"),
        join_token(bundle_sha256="nothex"),
        join_token(trust_domain="Not A Domain"),
        join_token(enrolment="no-port"),
    ],
)
def test_a_damaged_join_token_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(JoinTokenInvalid) as error:
        parse_join_token(text)
    assert "only-once" not in str(error.value)
    assert error.value.__cause__ is None


@given(st.text())
def test_any_text_is_a_join_token_or_refused(text: str) -> None:
    with pytest.raises(JoinTokenInvalid):
        parse_join_token(text)
    with pytest.raises(JoinTokenInvalid):
        parse_join_token("LICD-JOIN-1." + text)


async def test_shows_that_it_owns_the_keys_it_enrols(network: MemoryNetwork) -> None:
    disk = MemoryDisk()
    assert await enrol(network, disk=disk) == SYSTEM
    [request] = network.enrolled
    message = b"licd-enrol-v1" + hashlib.sha256(b"only-once").digest() + hashlib.sha256(request.csr).digest()
    Ed25519PublicKey.from_public_bytes(request.public_key).verify(request.proof, message)
    assert request.pseudonym_key_commitment == commitment_of(disk.files["pseudonym.key"])
    assert request.join_secret == "only-once"


async def test_follows_the_bundles_from_the_pinned_one_to_the_newest(network: MemoryNetwork) -> None:
    network.bundles += [bundle_envelope(2), bundle_envelope(3)]
    disk = MemoryDisk()
    await enrol(network, disk=disk)
    async with System.open("unused", disk=disk, network=network, clock=network.clock) as system:
        assert system.status.bundle_version == 3


async def test_the_pinned_bundle_may_have_run_out_if_a_newer_one_follows(network: MemoryNetwork) -> None:
    old = bundle_envelope(expires_at_ms=NOW - 1000)
    network.bundles = [old, bundle_envelope(2)]
    pinned = hashlib.sha256(old.payload).hexdigest()
    assert await enrol(network, join_token(bundle_sha256=pinned)) == SYSTEM
    network.bundles = [old]
    with pytest.raises(EnrolmentRefused, match="FREEZE"):
        await enrol(network, join_token(bundle_sha256=pinned))


def other_receipt(**changes: Any) -> bytes:
    fields = {"system": SYSTEM, "licence": "lic-1", "public_key": b"p" * 32}
    return session_pb2.EnrolmentReceipt(**(fields | changes)).SerializeToString()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("system", "customer/acme/system/south"),
        ("system", "operator/eve"),
        ("system", "nonsense"),
        ("certificate_chain_pem", ""),
        ("certificate_chain_pem", AUTHORITY_PEM),
        ("authorities_pem", "none"),
        ("customer_address", ""),
        ("receipt", other_receipt()),
        ("receipt", b"\xff\xff\xff"),
    ],
)
async def test_an_answer_that_does_not_fit_enrols_nothing(network: MemoryNetwork, field: str, value: object) -> None:
    network.spoil = lambda response: setattr(response, field, value)
    disk = MemoryDisk()
    with pytest.raises(EnrolmentRefused):
        await enrol(network, disk=disk)
    assert set(disk.files) == {"pseudonym.key", "joining"}
    assert not disk.locked


async def test_a_certificate_for_another_key_enrols_nothing(network: MemoryNetwork) -> None:
    def spoil(response: Any) -> None:
        response.certificate_chain_pem = network.leaf(make_request(make_private_key()))

    network.spoil = spoil
    with pytest.raises(EnrolmentRefused, match="another system or key"):
        await enrol(network)


@pytest.mark.parametrize("changes", [{"customer": "other"}, {"licence": "lic-2"}, {"issuer": "other.example"}])
async def test_somebody_elses_licence_enrols_nothing(network: MemoryNetwork, changes: dict[str, Any]) -> None:
    network.spoil = lambda response: response.licence.CopyFrom(licence_envelope(**changes))
    with pytest.raises(EnrolmentRefused):
        await enrol(network)


async def test_a_bundle_that_was_not_pinned_enrols_nothing(network: MemoryNetwork) -> None:
    with pytest.raises(EnrolmentRefused, match="PIN_MISMATCH"):
        await enrol(network, join_token(bundle_sha256="00" * 32))


async def test_a_used_token_is_said_to_be_used(network: MemoryNetwork) -> None:
    network.error = Forbidden("the join token was used already; ask for a new one")
    with pytest.raises(Forbidden, match="used already"):
        await enrol(network)


@pytest.mark.parametrize("refusal", [Forbidden("used already"), Invalid("wrong"), OverQuota("too often")])
async def test_a_refusal_leaves_no_key_behind(network: MemoryNetwork, refusal: LicdError) -> None:
    network.error = refusal
    disk = MemoryDisk()
    with pytest.raises(type(refusal)):
        await enrol(network, disk=disk)
    assert disk.files == {}


async def test_a_refusal_leaves_the_key_that_was_there(network: MemoryNetwork) -> None:
    network.error = Forbidden("used already")
    disk = MemoryDisk()
    disk.files["pseudonym.key"] = bytes(32)
    with pytest.raises(Forbidden):
        await enrol(network, disk=disk)
    assert disk.files == {"pseudonym.key": bytes(32)}


async def test_silence_enrols_nothing_and_the_next_attempt_uses_the_same_pseudonym_key(
    network: MemoryNetwork, clock: VirtualClock, licd: FakeLicd
) -> None:
    disk = MemoryDisk()
    network.reachable = False
    with pytest.raises(NoAnswer):
        await enrol(network, disk=disk)
    kept = disk.files["pseudonym.key"]
    network.reachable = True
    await enrol(network, disk=disk)
    assert disk.files["pseudonym.key"] == kept
    assert network.calls == [Method.ENROL, Method.ENROL]
    assert network.closed == 2


def lost(_: Any) -> None:
    raise NoAnswer("the answer was lost")


def arrives(_: Any) -> None:
    return


async def test_after_a_lost_answer_the_next_attempt_shows_the_same_keys_with_the_same_token(
    network: MemoryNetwork,
) -> None:
    disk = MemoryDisk()
    network.spoil = lost
    with pytest.raises(NoAnswer):
        await enrol(network, disk=disk)
    network.spoil = arrives
    assert await enrol(network, disk=disk) == SYSTEM
    first, second = network.enrolled
    assert first == second
    assert "joining" not in disk.files


async def test_another_token_is_traded_with_other_keys(network: MemoryNetwork) -> None:
    disk = MemoryDisk()
    network.spoil = lost
    for secret in ("one", "another"):
        with pytest.raises(NoAnswer):
            await System.enrol(join_token(secret=secret), "unused", disk=disk, network=network, clock=network.clock)
    first, second = network.enrolled
    assert first.public_key != second.public_key
    assert first.csr != second.csr
    assert first.pseudonym_key_commitment == second.pseudonym_key_commitment


@pytest.mark.parametrize("spoilt", [b"", b"{", b"[]", b'{"token_hash": 5}'])
async def test_keys_that_cannot_be_read_any_more_are_made_anew(network: MemoryNetwork, spoilt: bytes) -> None:
    disk = MemoryDisk()
    disk.files["joining"] = spoilt
    assert await enrol(network, disk=disk) == SYSTEM
    assert "joining" not in disk.files


async def test_a_refusal_after_a_lost_answer_keeps_the_keys_that_licd_may_have_taken(network: MemoryNetwork) -> None:
    disk = MemoryDisk()
    network.spoil = lost
    with pytest.raises(NoAnswer):
        await enrol(network, disk=disk)
    kept = dict(disk.files)
    network.error = Forbidden("the licence does not stand")
    with pytest.raises(Forbidden):
        await enrol(network, disk=disk)
    assert disk.files == kept
