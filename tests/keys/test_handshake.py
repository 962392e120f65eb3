"""The certificates in real TLS: OpenSSL at its strictest, both sides in memory, and gRPC's BoringSSL over loopback.

Certificates here are valid now, by the clock TLS itself reads; nothing else in these tests looks at it.
"""

import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509

from licd.keys.certificate_request import make_private_key
from licd.keys.identity import Identity, ServerIdentity, SystemIdentity, parse_identity, spiffe_uri
from licd.keys.pem_files import certificates_to_pem, private_key_to_pem, write_certificates, write_private_key
from licd.keys.pki import Authority, issue_leaf, make_authority
from tests.keys.sample import DAY, DOMAIN, stream

# The middle of a certificate that begins in 2020 and ends in 2090: whatever the day of the run, it is valid.
LONG_AGO = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp()) * 1000
LIFE = int(timedelta(days=70 * 365).total_seconds()) * 1000
AUTHORITY = make_authority(DOMAIN, "licd authority", now_ms=LONG_AGO, life_ms=LIFE, randomness=stream("authority"))
STRANGER = make_authority(DOMAIN, "licd authority", now_ms=LONG_AGO, life_ms=LIFE, randomness=stream("stranger"))
SERVER = ServerIdentity("licd1")
SYSTEM = SystemIdentity("acme", "s1")


@dataclass(frozen=True, slots=True)
class Credentials:
    private_key: bytes
    chain: bytes


def credentials(
    identity: Identity, authority: Authority = AUTHORITY, *, start: int = LONG_AGO, life: int = LIFE
) -> Credentials:
    key = make_private_key()
    where: dict[str, Any] = {}
    if isinstance(identity, ServerIdentity):
        where = {"dns_names": ["localhost"], "addresses": ["127.0.0.1"]}
    leaf = issue_leaf(
        authority, key.public_key(), identity, now_ms=start, life_ms=life, randomness=stream("leaf"), **where
    )
    return Credentials(private_key_to_pem(key), certificates_to_pem([leaf, authority.certificate]))


# ----------------------------------------------------------------------------------------------------------- OpenSSL
def context(folder: Path, name: str, side: Credentials, protocol: int) -> ssl.SSLContext:
    (folder / f"{name}.key").write_bytes(side.private_key)
    (folder / f"{name}.pem").write_bytes(side.chain)
    made = ssl.SSLContext(protocol)
    made.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    made.load_verify_locations(cadata=certificates_to_pem([AUTHORITY.certificate]).decode())
    made.verify_mode = ssl.CERT_REQUIRED
    made.verify_flags |= ssl.VERIFY_X509_STRICT
    return made


def shake_hands(folder: Path, server: Credentials, client: Credentials, host: str = "localhost") -> dict[str, Any]:
    """Run a handshake in memory until the server has read a byte; return the client's certificate as it saw it."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    accepting = context(folder, "server", server, ssl.PROTOCOL_TLS_SERVER).wrap_bio(
        to_server, to_client, server_side=True
    )
    calling = context(folder, "client", client, ssl.PROTOCOL_TLS_CLIENT).wrap_bio(
        to_client, to_server, server_hostname=host
    )
    steps = [calling.do_handshake, accepting.do_handshake, lambda: calling.write(b"x"), lambda: accepting.read(1)]
    for _ in range(20):
        for step in list(steps[:2]):
            try:
                step()
                steps.remove(step)
            except ssl.SSLWantReadError:
                continue
        if len(steps) == 2:
            break
    for step in steps:
        step()
    return dict(accepting.getpeercert() or {})


def test_a_server_and_a_system_know_each_other(tmp_path: Path) -> None:
    seen = shake_hands(tmp_path, credentials(SERVER), credentials(SYSTEM))
    assert seen["subjectAltName"] == (("URI", spiffe_uri(SYSTEM, DOMAIN)),)


def test_a_server_is_known_by_its_address_too(tmp_path: Path) -> None:
    assert shake_hands(tmp_path, credentials(SERVER), credentials(SYSTEM), "127.0.0.1")


@pytest.mark.parametrize(
    ("server", "client", "host"),
    [
        (credentials(SERVER), credentials(SYSTEM), "licd.example"),
        (credentials(SERVER), credentials(SYSTEM, STRANGER), "localhost"),
        (credentials(SERVER, STRANGER), credentials(SYSTEM), "localhost"),
        (credentials(SERVER), credentials(SERVER), "localhost"),
        (credentials(SYSTEM), credentials(SYSTEM), "localhost"),
        (credentials(SERVER), credentials(SYSTEM, life=DAY), "localhost"),
        (credentials(SERVER, start=LONG_AGO + LIFE - DAY), credentials(SYSTEM), "localhost"),
    ],
    ids=["another host", "client of a stranger", "server of a stranger", "server as client", "client as server",
         "expired", "not yet valid"],
)  # fmt: skip
def test_refuses_the_wrong_certificate(tmp_path: Path, server: Credentials, client: Credentials, host: str) -> None:
    with pytest.raises(ssl.SSLError):
        shake_hands(tmp_path, server, client, host)


def test_a_leaf_cannot_act_as_an_authority(tmp_path: Path) -> None:
    key = make_private_key()
    leaf = issue_leaf(AUTHORITY, key.public_key(), SYSTEM, now_ms=LONG_AGO, life_ms=LIFE, randomness=stream("leaf"))
    forged = credentials(SystemIdentity("acme", "forged"), Authority(DOMAIN, leaf, key))
    chain = forged.chain + certificates_to_pem([AUTHORITY.certificate])
    with pytest.raises(ssl.SSLError):
        shake_hands(tmp_path, credentials(SERVER), Credentials(forged.private_key, chain))


# -------------------------------------------------------------------------------------------------------------- gRPC
class WhoAmI(grpc.GenericRpcHandler):
    """Answers every call with the caller's SPIFFE id as gRPC reads it from the certificate."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        async def answer(_request: bytes, caller: Any) -> bytes:
            return b"".join(caller.auth_context()["peer_spiffe_id"])

        return grpc.unary_unary_rpc_method_handler(answer)


@pytest.fixture
async def address() -> AsyncIterator[str]:
    own = credentials(SERVER)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((WhoAmI(),))
    secure = grpc.ssl_server_credentials(
        [(own.private_key, own.chain)], certificates_to_pem([AUTHORITY.certificate]), require_client_auth=True
    )
    port = server.add_secure_port("127.0.0.1:0", secure)
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(None)


async def ask(address: str, client: Credentials) -> bytes:
    secure = grpc.ssl_channel_credentials(
        certificates_to_pem([AUTHORITY.certificate]), client.private_key, client.chain
    )
    async with grpc.aio.secure_channel(address, secure) as channel:
        call: Any = channel.unary_unary("/licd.test/WhoAmI")
        answer: bytes = await call(b"", timeout=10)
        return answer


async def test_grpc_hands_over_the_identity_of_its_caller(address: str) -> None:
    assert parse_identity((await ask(address, credentials(SYSTEM))).decode(), DOMAIN) == SYSTEM


async def test_grpc_refuses_a_caller_of_another_authority(address: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ask(address, credentials(SYSTEM, STRANGER))
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_the_files_that_are_written_are_the_files_that_tls_loads(tmp_path: Path) -> None:
    key = make_private_key()
    leaf: x509.Certificate = issue_leaf(
        AUTHORITY, key.public_key(), SYSTEM, now_ms=LONG_AGO, life_ms=LIFE, randomness=stream("leaf")
    )
    write_private_key(tmp_path / "leaf.key", key)
    write_certificates(tmp_path / "leaf.pem", [leaf, AUTHORITY.certificate])
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(tmp_path / "leaf.pem", tmp_path / "leaf.key")
