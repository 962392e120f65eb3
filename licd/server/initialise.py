"""`licd init`: keys, a development authority, configuration, policies, database, operators. All of it or nothing."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from licd.core.bounds import Timing
from licd.core.errors import Invalid
from licd.core.time import DAY, MINUTE, Instant, Millis
from licd.keys.certificate_request import make_private_key
from licd.keys.envelope import seal
from licd.keys.file_signer import create_key_file
from licd.keys.identity import Identity, IdentityError, OperatorIdentity, ServerIdentity, check_trust_domain
from licd.keys.kinds import KeyPurpose, Kind
from licd.keys.pem_files import certificates_to_pem, write_certificates, write_private_key
from licd.keys.pki import Authority, issue_leaf, key_thumbprint, make_authority
from licd.keys.signer import MemorySigner, verification_key_of
from licd.keys.verification_key import key_to_message
from licd.ledger.database import SqliteConnection
from licd.ledger.ledger import Ledger
from licd.ledger.schema import migrate, sqlite_url
from licd.ledger.timekeeper import Clock
from licd.ledger.transaction import Command, Installation
from licd.ledger.verbs.clock import StoreBundle
from licd.ledger.verbs.operators import AddOperator
from licd.policy import load
from licd.server.clock import SystemClock, entropy, stopwatch
from licd.server.config import FILE_NAME
from licd.server.growing import growing
from licd.server.log_keeping import log_keeper
from licd.server.names import checked_name
from licd.server.ratchet import Ratchet
from licd.server.renewal import LIFE, is_address
from licd.server.reserve import NoReserve
from licd.server.state_dir import StateDirectory
from licd.v1.trust_pb2 import TrustBundle

ROOTS: Final = 3
ROOT_THRESHOLD: Final = 2
ROOT_LIFE: Final[Millis] = 5 * 365 * DAY
BUNDLE_LIFE: Final[Millis] = 365 * DAY
KEY_LIFE: Final[dict[KeyPurpose, Millis]] = {
    KeyPurpose.LICENCE_ISSUER: 365 * DAY,
    KeyPurpose.PERMIT_ONLINE: 90 * DAY,
    KeyPurpose.EVIDENCE: 5 * 365 * DAY,
}
AUTHORITY_LIFE: Final[Millis] = 5 * 365 * DAY
REFRESH_HINT: Final[Millis] = 60 * MINUTE
ACTOR: Final = "licd init"
RATCHET: Final = "ratchet"
DEFAULT: Final = "default"
LABEL: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
LONGEST_HOST: Final = 253
EVERY_ROLE: Final = ("operator", "approver", "head-of-compliance", "auditor", "keymaster")


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the operator of `licd init` chose. hosts are names and addresses in the listeners' certificate."""

    trust_domain: str
    operators: Sequence[str]
    hosts: Sequence[str]
    base_port: int
    policies: Path
    passphrase: bytes | None


@dataclass(frozen=True, slots=True)
class Origin:
    """Where time and keys come from when a state directory is made."""

    clock: Clock
    random: Callable[[int], bytes]


SYSTEM: Final = Origin(SystemClock(), entropy)


def initialise(root: Path, wishes: Wishes, origin: Origin = SYSTEM) -> None:
    """Makes a state directory; an empty one may be there. All of it or nothing, also when it is killed on the way.

    Raises Invalid, IdentityError, CertificateError, PolicyError, OSError.
    """
    _check_wishes(wishes)
    with growing(root) as state:
        _fill(state, wishes, origin)


def _check_wishes(wishes: Wishes) -> None:
    if len(wishes.operators) < 2:
        raise Invalid("at least two, for what widens rights needs two persons", field="operator")
    for name in wishes.operators:
        checked_name(name, "operator")
    if len(set(wishes.operators)) != len(wishes.operators):
        raise Invalid("each name once", field="operator")
    if DEFAULT in wishes.operators:
        raise Invalid(f"nobody is called {DEFAULT}: the file of that name says whom licctl acts as", field="operator")
    try:
        check_trust_domain(wishes.trust_domain)
    except IdentityError as error:
        raise Invalid(str(error), field="trust-domain") from error
    for host in wishes.hosts:
        _check_host(host)
    load(wishes.policies)


def _check_host(host: str) -> None:
    if is_address(host):
        try:
            ip_address(host)
        except ValueError as error:
            raise Invalid(f"{host[:80]!r} is no address", field="host") from error
    elif len(host) > LONGEST_HOST or not all(map(LABEL.fullmatch, host.split("."))):
        raise Invalid(f"{host[:80]!r} is no host's name: letters, digits, hyphens and dots", field="host")


def _fill(state: StateDirectory, wishes: Wishes, origin: Origin) -> None:
    now = origin.clock.wall()
    for name in ("keys", "root", "tls", "operators"):
        (state.root / name).mkdir(mode=0o700)
    shutil.copytree(wishes.policies, state.root / "policies")
    roots = [
        create_key_file(state.root_key(n), KeyPurpose.ROOT, passphrase=wishes.passphrase, randomness=origin.random)
        for n in range(1, ROOTS + 1)
    ]
    signers = {
        purpose: create_key_file(state.key(purpose), purpose, passphrase=wishes.passphrase, randomness=origin.random)
        for purpose in KEY_LIFE
    }
    authority = _authority(state, wishes, origin)
    bundle = _bundle(wishes.trust_domain, roots, signers, authority, now)
    _server_certificate(state, wishes, authority, origin)
    commands: list[Command[object]] = [StoreBundle(1, bundle, ACTOR)]
    commands += [_operator(state, wishes, name, authority, origin) for name in wishes.operators]
    (state.root / "operators" / DEFAULT).write_text(wishes.operators[0] + "\n")
    _database(state, wishes, signers, commands, origin)
    _write_config(state, wishes)  # last: without it nothing takes this for a state directory


def _authority(state: StateDirectory, wishes: Wishes, origin: Origin) -> Authority:
    authority = make_authority(
        wishes.trust_domain,
        "licd development authority",
        now_ms=origin.clock.wall(),
        life_ms=AUTHORITY_LIFE,
        randomness=origin.random,
    )
    certificate, key = state.authority
    write_certificates(certificate, [authority.certificate])
    write_private_key(key, authority.private_key)
    return authority


def _bundle(
    trust_domain: str,
    roots: Sequence[MemorySigner],
    signers: dict[KeyPurpose, MemorySigner],
    authority: Authority,
    now: Instant,
) -> bytes:
    """Trust bundle 1, signed by as many roots as it asks for."""
    keys = [
        verification_key_of(signer, not_before_ms=now, not_after_ms=now + KEY_LIFE[purpose])
        for purpose, signer in signers.items()
    ]
    root_keys = [verification_key_of(root, not_before_ms=now, not_after_ms=now + ROOT_LIFE) for root in roots]
    payload = TrustBundle(
        version=1,
        issued_at_ms=now,
        expires_at_ms=now + BUNDLE_LIFE,
        refresh_hint_ms=REFRESH_HINT,
        keys=[key_to_message(key) for key in keys],
        root_keys=[key_to_message(key) for key in root_keys],
        root_threshold=ROOT_THRESHOLD,
        trust_domain=trust_domain,
        min_reader_version=1,
        tls_authorities_pem=[certificates_to_pem([authority.certificate]).decode()],
    ).SerializeToString(deterministic=True)
    return seal(Kind.TRUST_BUNDLE, payload, *roots[:ROOT_THRESHOLD]).SerializeToString()


def _leaf(
    authority: Authority,
    directory: Path,
    name: str,
    identity: Identity,
    origin: Origin,
    hosts: Sequence[str] = (),
) -> bytes:
    """Writes NAME.key and NAME.pem; returns the hash of the key."""
    key = make_private_key()
    addresses = [host for host in hosts if is_address(host)]
    leaf = issue_leaf(
        authority,
        key.public_key(),
        identity,
        now_ms=origin.clock.wall(),
        life_ms=LIFE,
        randomness=origin.random,
        dns_names=[host for host in hosts if host not in addresses],
        addresses=addresses,
    )
    write_private_key(directory / f"{name}.key", key)
    write_certificates(directory / f"{name}.pem", [leaf, authority.certificate])
    return key_thumbprint(key.public_key())


def _server_certificate(state: StateDirectory, wishes: Wishes, authority: Authority, origin: Origin) -> None:
    _leaf(authority, state.root / "tls", "server", ServerIdentity("replica-1"), origin, wishes.hosts)


def _operator(state: StateDirectory, wishes: Wishes, name: str, authority: Authority, origin: Origin) -> AddOperator:
    directory = state.operator(name)
    directory.mkdir(mode=0o700)
    channel_key = _leaf(authority, directory, "tls", OperatorIdentity(name), origin)
    write_certificates(directory / "ca.pem", [authority.certificate])
    signer = create_key_file(directory / "signing.key", KeyPurpose.OPERATOR, passphrase=None, randomness=origin.random)
    (directory / "licctl.toml").write_text(
        f'operator = "{name}"\n'
        f'address = "{_at(wishes.hosts[0], wishes.base_port + 2)}"\n'
        'ca = "ca.pem"\ncertificate = "tls.pem"\nkey = "tls.key"\nsigning_key = "signing.key"\n'
    )
    return AddOperator(name, EVERY_ROLE, signer.public_key, signer.key_id, channel_key, ACTOR)


def _write_config(state: StateDirectory, wishes: Wishes) -> None:
    host, port = wishes.hosts[0], wishes.base_port
    (state.root / FILE_NAME).write_text(
        f'trust_domain = "{wishes.trust_domain}"\n'
        'replica = "replica-1"\n'
        'policies = "policies"\n'
        "# Best on another disk: it remembers what was answered when the database is restored from a backup.\n"
        f'ratchet = "{RATCHET}"\n\n'
        "[listen]\n"
        f'enrolment = "127.0.0.1:{port}"\n'
        f'customer = "127.0.0.1:{port + 1}"\n'
        f'operator = "127.0.0.1:{port + 2}"\n'
        f'metrics = "127.0.0.1:{port + 3}"\n\n'
        "[advertise]\n"
        f'enrolment = "{_at(host, port)}"\n'
        f'customer = "{_at(host, port + 1)}"\n'
    )


def _at(host: str, port: int) -> str:
    """host:port, with the brackets that an IPv6 address needs."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _database(
    state: StateDirectory,
    wishes: Wishes,
    signers: dict[KeyPurpose, MemorySigner],
    commands: Sequence[Command[object]],
    origin: Origin,
) -> None:
    migrate(sqlite_url(state.database))
    connection = SqliteConnection(state.database)
    installation = Installation(
        trust_domain=wishes.trust_domain,
        timing=Timing(),
        licence_signer=lambda: signers[KeyPurpose.LICENCE_ISSUER],
        bundle_version=lambda: 1,
        force_release_cool_down=0,
        advise=lambda denied, _: denied,
        signs=lambda _: True,
    )
    keeper = log_keeper(wishes.trust_domain, signers[KeyPurpose.EVIDENCE])
    try:
        ledger = Ledger(connection, installation, keeper, origin.clock, origin.random, NoReserve(), stopwatch)
        for outcome in ledger.execute(list(commands)):
            if isinstance(outcome, Exception):
                raise outcome
    finally:
        connection.close()
    state.database.chmod(0o600)
    ratchet = Ratchet(state.root / RATCHET)
    ratchet.settle(origin.clock.wall(), ledger.log_size, {})
    ratchet.close()
