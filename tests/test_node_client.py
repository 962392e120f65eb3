"""A client in another language: Node's gRPC library and its own cryptography, against a real daemon.

The Python here only stands in for whoever enrols the system: what Node gets is what an enrolled system holds.
"""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from licd.core.time import HOUR
from licd.keys.armour import armour, dearmour
from licd.keys.certificate_request import make_private_key, make_request
from licd.keys.kinds import KeyPurpose
from licd.keys.pem_files import private_key_to_pem
from licd.keys.verification_key import key_id_of
from licd.ledger.verbs.deployments import InviteDeployment
from licd.server.command.init import packaged_policies
from licd.server.initialise import Wishes, initialise
from licd.server.state_dir import StateDirectory
from licd.v1.enrolment_service_pb2 import EnrolRequest, EnrolResponse
from licd.v1.enrolment_service_pb2_grpc import EnrolmentServiceStub
from licd.v1.envelope_pb2 import Envelope
from tests.server.command.daemon import Daemon, serving
from tests.server.command.desk import ACTOR, at_work

ROOT = Path(__file__).parents[1]
NODE = Path(__file__).with_name("node")
INSTALL = "apt-get install nodejs npm"
SECRET = "a join secret"
LICENCE = "one"

pytestmark = pytest.mark.timeout(240)  # the first run fetches the packages

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def modules() -> Path:
    """node_modules with exactly what tests/node/package.json asks for, below build/ and fetched once."""
    missing = [program for program in ("node", "npm") if shutil.which(program) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not found; to install: {INSTALL}")
    wanted = (NODE / "package.json").read_bytes()
    home = ROOT / "build" / f"node-{hashlib.sha256(wanted).hexdigest()[:12]}"
    if not home.is_dir():
        _install(home, wanted)
    return home / "node_modules"


def _install(home: Path, wanted: bytes) -> None:
    """Beside its place first: two test processes may come here at once, and either may be killed."""
    growing = home.with_name(f"{home.name}.{os.getpid()}")
    growing.mkdir(parents=True)
    (growing / "package.json").write_bytes(wanted)
    command = ["npm", "install", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
    done = subprocess.run(command, check=False, capture_output=True, cwd=growing, encoding="utf-8", timeout=200)
    if done.returncode:
        shutil.rmtree(growing)
        pytest.skip(f"npm could not install tests/node/package.json: {done.stderr.strip()[:200]}")
    try:
        growing.rename(home)
    except OSError:  # another process was first
        shutil.rmtree(growing)


@pytest.fixture(scope="module")
def daemon(modules: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """With one licence, and a place for one system."""
    state = StateDirectory(tmp_path_factory.mktemp("node") / "state")
    wishes = Wishes("licd.example", ["alice", "bob"], ["localhost", "127.0.0.1"], 7441, packaged_policies(), None)
    initialise(state.root, wishes)
    with at_work(state) as desk:
        desk.issue(LICENCE)
        desk.run(InviteDeployment(LICENCE, "system-one", sha256(SECRET.encode()).digest(), HOUR, ACTOR))
    with serving(state) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def system(daemon: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an enrolled system."""
    folder = tmp_path_factory.mktemp("system")
    channel_key, system_key = make_private_key(), Ed25519PrivateKey.generate()
    enrolled = _enrol(daemon, make_request(channel_key), system_key)
    (folder / "tls.key").write_bytes(private_key_to_pem(channel_key))
    (folder / "tls.pem").write_text(enrolled.certificate_chain_pem)
    (folder / "ca.pem").write_text(enrolled.authorities_pem)
    pem = system_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "system.key").write_bytes(pem)
    (folder / "receipt").write_bytes(enrolled.receipt)
    (folder / "licence.txt").write_text(armour(enrolled.licence.SerializeToString()))
    [bundle] = enrolled.trust.bundles
    (folder / "bundle.txt").write_text(armour(bundle.SerializeToString()))
    settings = {
        "system": enrolled.system,
        "address": f"localhost:{daemon.ports['customer']}",
        "key_id": key_id_of(KeyPurpose.SYSTEM, system_key.public_key().public_bytes_raw()),
        "pin": sha256(bundle.payload).hexdigest(),
        "purpose": "scheme:purpose",
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    return folder


def _enrol(daemon: Daemon, request: bytes, key: Ed25519PrivateKey) -> EnrolResponse:
    proof = b"licd-enrol-v1" + sha256(SECRET.encode()).digest() + sha256(request).digest()
    authority = daemon.state.authority[0].read_bytes()
    target = f"localhost:{daemon.ports['enrolment']}"
    with grpc.secure_channel(target, grpc.ssl_channel_credentials(authority)) as channel:
        asked = EnrolRequest(
            join_secret=SECRET,
            csr=request,
            public_key=key.public_key().public_bytes_raw(),
            proof=key.sign(proof),
            pseudonym_key_commitment=sha256(b"licd-pseudonym-key-v1\x00" + b"k" * 32).digest(),
        )
        return EnrolmentServiceStub(channel).Enrol(asked, timeout=10)


@pytest.fixture
def node(modules: Path) -> Run:
    def run(verb: str, folder: Path) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["node", "--unhandled-rejections=strict", NODE / "client.js", verb, folder],
            check=False,
            capture_output=True,
            encoding="utf-8",
            env=os.environ | {"NODE_PATH": str(modules)},
            timeout=60,
        )

    return run


@pytest.fixture
def copied(system: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(system, tmp_path / "system"))


def answer(done: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_verifies_a_licence_with_no_licd_anywhere(node: Run, copied: Path) -> None:
    for name in ("ca.pem", "tls.key", "tls.pem", "system.key", "receipt"):
        (copied / name).unlink()
    licence = answer(node("verify", copied))["licence"]
    assert (licence["licence"], licence["customer"]) == (LICENCE, f"customer-{LICENCE}")
    assert "concurrent_targets" in licence["constraints"]


def tampered(text: str, change: Callable[[Envelope], None]) -> str:
    envelope = Envelope.FromString(dearmour(text).raw)
    change(envelope)
    return armour(envelope.SerializeToString())


def flip_payload(envelope: Envelope) -> None:
    envelope.payload = envelope.payload[:-1] + bytes([envelope.payload[-1] ^ 1])


def flip_signature(envelope: Envelope) -> None:
    signature = envelope.signatures[0]
    signature.sig = bytes([signature.sig[0] ^ 1]) + signature.sig[1:]


@pytest.mark.parametrize("change", [flip_payload, flip_signature])
def test_refuses_a_licence_with_a_bit_flipped(node: Run, copied: Path, change: Callable[[Envelope], None]) -> None:
    file = copied / "licence.txt"
    file.write_text(tampered(file.read_text(), change))
    done = node("verify", copied)
    assert (done.returncode, done.stderr) == (3, "refused: 0 of 1 known keys signed this licence\n")


def test_refuses_another_kind_under_a_licences_lines(node: Run, copied: Path) -> None:
    bundle = (copied / "bundle.txt").read_text()
    (copied / "licence.txt").write_text(bundle.replace("TRUST BUNDLE", "LICENCE"))
    done = node("verify", copied)
    assert done.returncode == 3
    assert "asked for a licence, got application/vnd.licd.trust-bundle.v1+proto" in done.stderr


def test_refuses_a_bundle_that_is_not_the_pinned_one(node: Run, copied: Path) -> None:
    file = copied / "bundle.txt"
    file.write_text(tampered(file.read_text(), flip_payload))
    assert node("verify", copied).stderr == "refused: another trust bundle than the pinned one\n"


def test_opens_a_session_takes_a_lease_and_gives_it_back(node: Run, system: Path) -> None:
    """Every reply was verified by Node: signature, audience, link, nonce; and each retry got the stored answer."""
    found = answer(node("call", system))
    assert (found["before"]["live"], found["before"]["limit"]) == (0, 5)
    assert len(found["session"]) > 0
    assert int(found["granted"]["lease"]) > 0
    assert found["granted"]["holds_ms"] == 20_000
    assert found["elsewhere"] == {"denied": "DENIAL_REASON_REGION_NOT_PERMITTED"}
    assert found["during"]["live"] == 1
    assert found["released"] == "released"


def test_without_the_systems_certificate_nothing_is_answered(node: Run, copied: Path, daemon: Daemon) -> None:
    for name in ("tls.key", "tls.pem"):
        shutil.copy(daemon.state.operator("alice") / name, copied / name)
    done = node("call", copied)
    assert done.returncode == 1
    assert "PERMISSION_DENIED" in done.stderr or "UNAUTHENTICATED" in done.stderr
