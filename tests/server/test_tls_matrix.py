"""Every wrong certificate at real listeners, and every wrong licd that a caller could be led to.

What is refused inside TLS licd cannot see: gRPC says so in its own log alone, and has no count that Python could read.
licd counts the handshakes begun, so a flood of bad ones is handshakes without calls. What gets through TLS and names
nobody is refused by licd itself, and counted as UNAUTHENTICATED.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import grpc
import pytest

from licd.cli.connection import ask, open_channel
from licd.cli.failure import Exit, Stopped
from licd.cli.settings import Settings
from licd.client.errors import NoAnswer
from licd.client.grpc_transport import GrpcNetwork
from licd.client.transport import Credentials, Method
from licd.core.errors import Unauthenticated
from licd.core.time import DAY, SECOND
from licd.keys.pem_files import load_authority
from licd.server.caller import Listener
from licd.v1 import key_service_pb2, status_service_pb2
from licd.v1.status_service_pb2_grpc import StatusServiceStub
from tests.daemon import TRUST_DOMAIN, VERBS, Daemon, Papers, call, code_of, fresh
from tests.office import Office
from tests.server.certified import (
    CLIENT,
    SERVER,
    Issuer,
    certificate,
    ed25519_key,
    p384,
    papers,
    rsa2048,
)
from tests.wired_system import enrolled_anew, joined

ALICE: Final = f"URI:spiffe://{TRUST_DOMAIN}/operator/alice"
NORTH: Final = f"URI:spiffe://{TRUST_DOMAIN}/customer/north/system/n1"
LOOKS: Final = {Listener.OPERATOR: "StatusService.GetStatus", Listener.CUSTOMER: "SessionService.CheckLicence"}
NAMES: Final = {Listener.OPERATOR: ALICE, Listener.CUSTOMER: NORTH}
Make = Callable[[Issuer, int, str], Papers | None]


def root_of(daemon: Daemon) -> Issuer:
    """The daemon's own authority, as whoever stole its key would use it."""
    own = load_authority(TRUST_DOMAIN, *daemon.state.authority)
    return Issuer(own.certificate, own.private_key)


def by_another_authority(root: Issuer, now: int, name: str) -> Papers:
    """The same name of the authority, another key."""
    common = root.certificate.subject.rfc4514_string().removeprefix("CN=")
    false = certificate(None, now, usage=(), authority=True, common_name=common)
    return papers(certificate(false, now, name), false)


def below_an_intermediate(root: Issuer, now: int, name: str, *, shown: bool) -> Papers:
    middle = certificate(root, now, usage=(), authority=True, common_name="middle")
    leaf = certificate(middle, now, name)
    return papers(leaf, middle, root) if shown else papers(leaf)


def below_a_leaf(root: Issuer, now: int, name: str) -> Papers:
    leaf = certificate(root, now, name, common_name="leaf")
    return papers(certificate(leaf, now, name), leaf, root)


# Refused inside TLS: the caller sees UNAVAILABLE.
IN_TLS: Final[dict[str, Make]] = {
    "no certificate": lambda root, now, name: None,
    "self-signed": lambda root, now, name: papers(certificate(None, now, name)),
    "of another authority of the same name": by_another_authority,
    "expired": lambda root, now, name: papers(certificate(root, now, name, begins=-DAY, ends=-SECOND)),
    "not yet valid": lambda root, now, name: papers(certificate(root, now, name, begins=DAY, ends=2 * DAY)),
    "for servers": lambda root, now, name: papers(certificate(root, now, name, usage=(SERVER,))),
    "below an intermediate that is not shown": lambda *a: below_an_intermediate(*a, shown=False),
    "signed by a leaf": below_a_leaf,
    "an authority's": lambda root, now, name: papers(
        certificate(root, now, name, usage=(CLIENT,), authority=True, common_name="a"), root
    ),
    "the authority's own": lambda root, now, name: papers(root),
    "with an Ed25519 key": lambda root, now, name: papers(certificate(root, now, name, key=ed25519_key())),
}


def uri(text: str) -> Make:
    return lambda root, now, name: papers(certificate(root, now, f"URI:{text}"))


# Through TLS, and nobody to licd: UNAUTHENTICATED, and counted.
BY_LICD: Final[dict[str, Make]] = {
    # BoringSSL does not hold a root to its own path length of 0. Only the authority's key could sign such a chain.
    "below an intermediate: the chain is too long": lambda *a: below_an_intermediate(*a, shown=True),
    "with an RSA key": lambda root, now, name: papers(certificate(root, now, name, key=rsa2048())),
    "with a P-384 key": lambda root, now, name: papers(certificate(root, now, name, key=p384())),
    "of a name that somebody else's key has": lambda root, now, name: papers(certificate(root, now, name)),
    "without any name": lambda root, now, name: papers(certificate(root, now)),
    "with a common name alone": lambda root, now, name: papers(certificate(root, now, common_name="operator/alice")),
    "with a DNS name alone": lambda root, now, name: papers(certificate(root, now, "DNS:alice.licd.example")),
    "with an address alone": lambda root, now, name: papers(certificate(root, now, "IP:127.0.0.1")),
    "with a mail address alone": lambda root, now, name: papers(certificate(root, now, "email:alice@licd.example")),
    "with two URIs": lambda root, now, name: papers(certificate(root, now, name, f"{name}x")),
    "with the same URI twice": lambda root, now, name: papers(certificate(root, now, name, name)),
    "of another trust domain": uri("spiffe://elsewhere.example/operator/alice"),
    "of a trust domain below ours": uri(f"spiffe://x.{TRUST_DOMAIN}/operator/alice"),
    "of a trust domain that begins like ours": uri(f"spiffe://{TRUST_DOMAIN}.evil/operator/alice"),
    "with a user in the URI": uri(f"spiffe://alice@{TRUST_DOMAIN}/operator/alice"),
    "with a port in the URI": uri(f"spiffe://{TRUST_DOMAIN}:443/operator/alice"),
    "with a query": uri(f"spiffe://{TRUST_DOMAIN}/operator/alice?x"),
    "with a fragment": uri(f"spiffe://{TRUST_DOMAIN}/operator/alice#x"),
    "with a slash at the end": uri(f"spiffe://{TRUST_DOMAIN}/operator/alice/"),
    "with an empty segment": uri(f"spiffe://{TRUST_DOMAIN}//operator/alice"),
    "with dots": uri(f"spiffe://{TRUST_DOMAIN}/overseer/../operator/alice"),
    "with percent signs": uri(f"spiffe://{TRUST_DOMAIN}/operator/%61lice"),
    "in capitals": uri(f"spiffe://{TRUST_DOMAIN}/operator/ALICE"),
    "of another scheme": uri(f"https://{TRUST_DOMAIN}/operator/alice"),
    "of the scheme in capitals": uri(f"SPIFFE://{TRUST_DOMAIN}/operator/alice"),
    "of a kind that there is not": uri(f"spiffe://{TRUST_DOMAIN}/chief/alice"),
    "of the trust domain itself": uri(f"spiffe://{TRUST_DOMAIN}"),
    "too long": uri(f"spiffe://{TRUST_DOMAIN}/operator/{'a' * 3000}"),
}


def counted(daemon: Daemon, listener: Listener) -> tuple[float, float]:
    """Refusals by licd, and handshakes begun."""
    refused = daemon.metric("licd_refused_total", listener=listener.value, why="UNAUTHENTICATED")
    return refused, daemon.metric("licd_tls_handshakes_total", listener=listener.value)


@pytest.mark.parametrize("listener", list(LOOKS))
@pytest.mark.parametrize("wrong", sorted(IN_TLS))
def test_gets_no_connection_by_grpc(daemon: Daemon, listener: Listener, wrong: str):
    shown = IN_TLS[wrong](root_of(daemon), daemon.clock.wall(), NAMES[listener])
    refused, _ = counted(daemon, listener)
    verb = LOOKS[listener]
    with pytest.raises(grpc.RpcError) as error:
        call(daemon.channel(listener, shown), verb, VERBS[verb].request())
    assert code_of(error.value) is grpc.StatusCode.UNAVAILABLE
    assert counted(daemon, listener)[0] == refused, "licd has seen a caller that TLS should have refused"


@pytest.mark.parametrize("listener", list(LOOKS))
@pytest.mark.parametrize("wrong", sorted(IN_TLS))
def test_gets_no_byte_by_openssl(daemon: Daemon, tmp_path: Path, listener: Listener, wrong: str):
    """A client that shows whatever it is told to, where gRPC's own refuses to."""
    shown = IN_TLS[wrong](root_of(daemon), daemon.clock.wall(), NAMES[listener])
    refused, begun = counted(daemon, listener)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        first_byte(daemon, listener, tmp_path, shown)
    after = counted(daemon, listener)
    assert after[0] == refused, "licd has seen a caller that TLS should have refused"
    assert after[1] > begun, "the handshake was not counted"


def test_a_good_certificate_gets_a_first_byte_so_that_the_others_prove_something(
    daemon: Daemon, office: Office, tmp_path: Path
):
    assert first_byte(daemon, Listener.OPERATOR, tmp_path, office.alice.papers)
    assert first_byte(daemon, Listener.CUSTOMER, tmp_path, joined(office).papers)


def first_byte(daemon: Daemon, listener: Listener, folder: Path, shown: Papers | None) -> bytes:
    """What licd says first; under TLS 1.3 a refusal comes only then. Raises ssl.SSLError, ConnectionError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=daemon.authority.decode())
    context.set_alpn_protocols(["h2"])
    if shown is not None:
        (folder / "shown.pem").write_bytes(shown.chain + shown.key)
        context.load_cert_chain(folder / "shown.pem")
    host, _, port = daemon.address(listener).rpartition(":")
    with (
        socket.create_connection((host, int(port)), timeout=20) as raw,
        context.wrap_socket(raw, server_hostname=host) as secure,
    ):
        secure.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
        found = secure.recv(1)
        if not found:
            raise ConnectionError("closed without a word")
        return found


@pytest.mark.parametrize("listener", list(LOOKS))
@pytest.mark.parametrize("wrong", sorted(BY_LICD))
def test_is_nobody_and_counted(daemon: Daemon, listener: Listener, wrong: str):
    shown = BY_LICD[wrong](root_of(daemon), daemon.clock.wall(), NAMES[listener])
    refused, begun = counted(daemon, listener)
    verb = LOOKS[listener]
    with pytest.raises(Unauthenticated):
        call(daemon.channel(listener, shown), verb, VERBS[verb].request())
    after = counted(daemon, listener)
    assert after[0] == refused + 1
    assert after[1] > begun


def test_is_withdrawn_though_its_certificate_is_good(daemon: Daemon):
    """Disabled, admitted anew, enrolled anew: the connection stands, and the next call is refused and counted."""
    office = Office(daemon)
    gone, old = office.admit(fresh("clerk"), "operator"), office.admit(fresh("clerk"), "operator")
    lost = joined(office)
    for clerk in (gone, old):
        clerk.status()
    lost.check()
    disable = key_service_pb2.DisableOperatorRequest(operator=gone.name, detail="left")
    office.alice.call("KeyService.DisableOperator", disable)
    office.admit(old.name, "operator")
    enrolled_anew(office, lost)
    for listener, ask_again in ((Listener.OPERATOR, gone.status), (Listener.OPERATOR, old.status),
                                (Listener.CUSTOMER, lost.check)):  # fmt: skip
        refused, _ = counted(daemon, listener)
        with pytest.raises(Unauthenticated):
            ask_again()
        assert counted(daemon, listener)[0] == refused + 1


# ------------------------------------------------------------------------------------------------- versions of TLS
def handshake(daemon: Daemon, listener: Listener, version: ssl.TLSVersion, ciphers: str = "") -> tuple[str, str]:
    """Version and cipher of a handshake that offers this version alone. Raises ssl.SSLError, ConnectionError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=daemon.authority.decode())
    context.set_ciphers(ciphers or "ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2"])
    folder = daemon.state.operator("alice")
    context.load_cert_chain(folder / "tls.pem", folder / "tls.key")
    host, _, port = daemon.address(listener).rpartition(":")
    with (
        socket.create_connection((host, int(port)), timeout=20) as raw,
        context.wrap_socket(raw, server_hostname=host) as secure,
    ):
        cipher = secure.cipher()
        assert cipher is not None
        return str(secure.version()), cipher[0]


@pytest.mark.parametrize("listener", list(Listener))
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_versions_of_tls_are_refused(daemon: Daemon, listener: Listener, version: ssl.TLSVersion):
    with pytest.raises((ssl.SSLError, ConnectionError)):
        handshake(daemon, listener, version)


@pytest.mark.parametrize("listener", list(Listener))
def test_tls_1_3_and_1_2_are_spoken_with_forward_secrecy_and_authenticated_encryption(
    daemon: Daemon, listener: Listener
):
    assert handshake(daemon, listener, ssl.TLSVersion.TLSv1_3)[1].startswith("TLS_")
    version, cipher = handshake(daemon, listener, ssl.TLSVersion.TLSv1_2)
    assert version == "TLSv1.2"
    assert cipher.startswith("ECDHE-ECDSA-")
    assert "GCM" in cipher or "POLY1305" in cipher


@pytest.mark.parametrize("ciphers", ["ECDHE-ECDSA-AES128-SHA", "AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-SHA384"])
def test_weak_ciphers_are_refused(daemon: Daemon, ciphers: str):
    with pytest.raises((ssl.SSLError, ConnectionError)):
        handshake(daemon, Listener.OPERATOR, ssl.TLSVersion.TLSv1_2, f"{ciphers}:@SECLEVEL=0")


def test_a_caller_without_tls_gets_nothing(daemon: Daemon):
    host, _, port = daemon.address(Listener.OPERATOR).rpartition(":")
    with socket.create_connection((host, int(port)), timeout=20) as raw:
        raw.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9))
        with suppress(ConnectionError):
            assert raw.recv(1024)[:1] in {b"", b"\x15"}, "at most a TLS alert"


# --------------------------------------------------------------------------------------- a licd that is not licd
class Impostor(grpc.GenericRpcHandler):
    """Answers every call, and remembers that it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        def answer(request: bytes, context: Any) -> bytes:
            self.asked += 1
            return b""

        return grpc.unary_unary_rpc_method_handler(answer)


@contextmanager
def pretending(shown: Papers) -> Iterator[tuple[str, Impostor]]:
    """A listener with these papers that lets everybody in."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 -- for this alone

    impostor = Impostor()
    server = grpc.server(ThreadPoolExecutor(2), handlers=[impostor])
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(shown.key, shown.chain)]))
    server.start()
    try:
        yield f"localhost:{port}", impostor
    finally:
        server.stop(0).wait()


def host(of: Issuer | None, now: int, *names: str, **changes: Any) -> Papers:
    return papers(certificate(of, now, *names, **({"usage": (SERVER,)} | changes)))


REPLICA: Final = f"URI:spiffe://{TRUST_DOMAIN}/server/replica-1"
FALSE_LICDS: Final[dict[str, Make]] = {
    "self-signed": lambda root, now, name: host(None, now, REPLICA, "DNS:localhost"),
    "of another authority": lambda root, now, name: host(
        certificate(None, now, usage=(), authority=True, common_name="licd"), now, REPLICA, "DNS:localhost"
    ),
    "expired": lambda root, now, name: host(root, now, REPLICA, "DNS:localhost", begins=-DAY, ends=-SECOND),
    "not yet valid": lambda root, now, name: host(root, now, REPLICA, "DNS:localhost", begins=DAY, ends=2 * DAY),
    "for another host": lambda root, now, name: host(root, now, REPLICA, "DNS:licd.example"),
    "with a SPIFFE id and no host": lambda root, now, name: host(root, now, REPLICA),
    "a customer's": lambda root, now, name: host(root, now, NORTH, "DNS:localhost", usage=(CLIENT,)),
    "an operator's": lambda root, now, name: host(root, now, ALICE, "DNS:localhost", usage=(CLIENT,)),
}


@pytest.fixture
def settings(daemon: Daemon) -> Settings:
    folder: Path = daemon.state.operator("alice")
    return Settings(
        "", daemon.state.authority[0], folder / "tls.pem", folder / "tls.key", folder / "signing.key", "alice"
    )


def with_address(settings: Settings, address: str) -> Settings:
    return Settings(address, settings.ca, settings.certificate, settings.key, settings.signing_key, settings.operator)


@pytest.mark.parametrize("wrong", sorted(FALSE_LICDS))
def test_licctl_tells_a_false_licd_nothing(daemon: Daemon, settings: Settings, wrong: str):
    shown = FALSE_LICDS[wrong](root_of(daemon), daemon.clock.wall(), "")
    assert shown is not None
    with pretending(shown) as (address, impostor), open_channel(with_address(settings, address)) as channel:
        with pytest.raises(Stopped) as stopped:
            ask(StatusServiceStub(channel).GetStatus, status_service_pb2.GetStatusRequest(), address)
        assert stopped.value.exit is Exit.UNREACHABLE
        assert impostor.asked == 0


def test_licctl_asks_the_replica_that_is_there(daemon: Daemon, settings: Settings):
    """The first is gone; the second is a process that stands still: it is connected to, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        dead = f"127.0.0.1:{gone.getsockname()[1]}"
    with socket.create_server(("127.0.0.1", 0)) as frozen:
        addresses = f"{dead}, 127.0.0.1:{frozen.getsockname()[1]},{daemon.address(Listener.OPERATOR)}"
        with open_channel(with_address(settings, addresses)) as channel:
            answer = ask(StatusServiceStub(channel).GetStatus, status_service_pb2.GetStatusRequest(), addresses)
    assert answer.version


def test_licctl_says_so_when_no_replica_is_there(settings: Settings):
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        addresses = ",".join(f"127.0.0.1:{each.getsockname()[1]}" for each in (first, second))
    with open_channel(with_address(settings, addresses)) as channel, pytest.raises(Stopped, match=addresses):
        ask(StatusServiceStub(channel).GetStatus, status_service_pb2.GetStatusRequest(), addresses)


@pytest.mark.parametrize("wrong", sorted(FALSE_LICDS))
async def test_the_sdk_tells_a_false_licd_nothing(daemon: Daemon, office: Office, wrong: str):
    system = joined(office)
    shown = FALSE_LICDS[wrong](root_of(daemon), daemon.clock.wall(), "")
    assert shown is not None
    own = Credentials(daemon.authority.decode(), system.papers.key.decode(), system.papers.chain.decode())
    with pretending(shown) as (address, impostor):
        for transport in (
            GrpcNetwork().enrolment(address, daemon.authority.decode()),
            GrpcNetwork().customers(address, own),
        ):
            with pytest.raises(NoAnswer):
                await transport.call(Method.CHECK_LICENCE, b"", 5 * SECOND)
            await transport.close()
        assert impostor.asked == 0


def test_a_right_host_certificate_is_believed_so_that_the_others_prove_something(daemon: Daemon, settings: Settings):
    shown = host(root_of(daemon), daemon.clock.wall(), REPLICA, "DNS:localhost")
    with pretending(shown) as (address, impostor), open_channel(with_address(settings, address)) as channel:
        ask(StatusServiceStub(channel).GetStatus, status_service_pb2.GetStatusRequest(), address)
        assert impostor.asked == 1
