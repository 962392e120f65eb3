"""What licd and the SDK read back from their own directories, and what is handed to them: all of it may be damaged."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import random  # noqa: TID251 -- seeded
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding

from licd.client.errors import JoinTokenInvalid, NotEnrolled, StateDamaged
from licd.client.joining import PREFIX, parse_join_token
from licd.client.state_file import Channel, EnrolledSystem, StateDirectory
from licd.core.errors import Invalid
from licd.keys.ceremony import next_bundle
from licd.keys.ceremony_file import read_ceremony
from licd.keys.certificate_request import CertificateRequestError, check_request, make_private_key, make_request
from licd.keys.errors import KeysError
from licd.keys.file_signer import Argon2Cost, read_key_file, write_key_file
from licd.keys.identity import SystemIdentity, path_of
from licd.keys.kinds import KeyPurpose
from licd.keys.pem_files import certificates_from_pem, certificates_to_pem, private_key_to_pem, read_private_key
from licd.keys.pki import identity_of, issue_leaf
from licd.server.backup_file import DATABASE, MANIFEST, Manifest, opened_backup, write_backup
from licd.server.config import FILE_NAME, read_config
from licd.server.ratchet import read_high
from tests.ceremony import added, ceremony_text
from tests.client.conftest import join_token
from tests.client.fake_licd import DAY, DOMAIN, NOW, SYSTEM, bundle, licence_envelope, receipt
from tests.client.virtual import AUTHORITY, MemoryDisk
from tests.fuzz.mutation import any_bytes, of_text
from tests.fuzz.target import Mutator, Part, Target, promise, refused_with
from tests.keys.sample import NOW as SAMPLE_NOW
from tests.keys.sample import first_bundle, signer, stream

CHEAP: Final = Argon2Cost(memory_kib=64, iterations=1, lanes=1)
PASSPHRASE: Final = b"correct horse"
SEED: Final = b"s" * 32
NAMES: Final = ("1.identity", "1.channel", "1.trust", "1.licence", "1.chain", "current", "pseudonym.key")


class Files:
    """Writes an input where its reader looks for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = asyncio.run(enrolled())

    def file(self, name: str, data: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(data)
        path.chmod(0o600)
        return path

    def config(self, data: bytes) -> None:
        """Settings of the daemon are read whole, or refused naming the file."""
        self.file(FILE_NAME, data)
        try:
            read_config(self.folder)
        except Invalid as error:
            promise(FILE_NAME in str(error), "it does not say which file is wrong")

    def backup(self, data: bytes) -> None:
        """What is taken out of a backup lies below the folder, is as its manifest says, and no more than there was."""
        into = self.folder / "restored"
        shutil.rmtree(into, ignore_errors=True)
        into.mkdir()
        with refused_with(Invalid), opened_backup(self.file("input.tar", data)) as backup:
            backup.take_out(into)
            found = {os.fspath(path.relative_to(into)): path for path in into.rglob("*") if path.is_file()}
            promise(found.keys() == backup.manifest.files.keys(), "other files than the manifest names")
            for name, path in found.items():
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                promise(digest == backup.manifest.files[name], "a file is not what its manifest says")
        taken = sum(path.stat().st_size for path in into.rglob("*") if path.is_file())
        promise(taken <= len(data), "more came out of a backup than went in")
        promise({path.name for path in self.folder.iterdir()} <= KNOWN, "a file was written beside the folder")

    def ratchet(self, data: bytes) -> None:
        """Whatever stands in it, a ratchet without a baseline at its end leaves the rows unsettled."""
        high = read_high(self.file("ratchet", data))
        whole = data.split(b"\n")[:-1]
        if not any(line.startswith(b"reconciled ") for line in whole):
            promise(high.unsettled, "rows count as settled without a baseline")

    def key_file(self, data: bytes) -> None:
        """A key that is opened is the one that was written. How dear a guess may be is the file's word, so not here."""
        if b'"memory_kib": 64,' not in data or b'"iterations": 1,' not in data:
            data = data.replace(b"argon2id+aes-256-gcm", b"none")
        path = self.file("key", data)
        for passphrase in (None, PASSPHRASE):
            with refused_with(KeysError):
                promise(read_key_file(path, passphrase).sign(b"x") in self.signatures, "another key was opened")

    @property
    def signatures(self) -> set[bytes]:
        return SIGNED

    def pem(self, data: bytes) -> None:
        """Certificates and keys are read, or refused; a certificate names somebody of this trust domain or nobody."""
        with refused_with(KeysError):
            for each in certificates_from_pem(data):
                with refused_with(KeysError):
                    promise(path_of(identity_of(each, DOMAIN)), "a name that cannot be written")
        with refused_with(KeysError):
            read_private_key(self.file("channel.key", data))

    def request(self, data: bytes) -> None:
        """A certificate request is granted to who holds its key only."""
        with refused_with(CertificateRequestError):
            check_request(data)

    def join(self, data: bytes) -> None:
        """A join token is read whole or refused, and its secret never shown."""
        text = data.decode("utf-8", "replace")
        try:
            token = parse_join_token(text)
        except JoinTokenInvalid as error:
            promise("only-once" not in str(error) and error.__cause__ is None, "the secret is in the error")
        else:
            promise(len(token.bundle_sha256) == 32 and token.secret not in repr(token), "a token that pins nothing")

    def ceremony(self, data: bytes) -> None:
        """A ceremony is understood whole, and leads to a bundle that reads back, or is refused."""
        with refused_with(KeysError):
            made = next_bundle(read_ceremony(self.file("ceremony", data)), FIRST)
            promise(made.version == FIRST.version + 1, "a ceremony that leaves a version out")

    def system(self, data: bytes) -> None:
        """The directory of a system is read whole, or refused without showing what is in it."""
        files = dict(self.state)
        files[NAMES[data[0] % len(NAMES)] if data else "current"] = data[1:]
        try:
            StateDirectory(MemoryDisk(files)).load()
        except (StateDamaged, NotEnrolled) as error:
            promise(SEED.hex() not in str(error) and "PRIVATE KEY" not in str(error), "a secret is in the error")


async def enrolled() -> dict[str, bytes]:
    """The files of an enrolled system."""
    disk = MemoryDisk()
    directory = StateDirectory(disk)
    await directory.pseudonym_key(b"k" * 32)
    identity = EnrolledSystem(
        system=SYSTEM,
        licence="lic-1",
        trust_domain=DOMAIN,
        customer_address="localhost:1",
        enrolment_address="localhost:2",
        enrolment_authority_pem=certificates_to_pem([AUTHORITY.certificate]).decode(),
        receipt=receipt(),
        system_seed=SEED,
        channel_key_pem=private_key_to_pem(make_private_key()).decode(),
    )
    await directory.enrol(
        identity, Channel(PEM.decode(), PEM.decode()), bundle(), licence_envelope().SerializeToString()
    )
    return disk.files


def leaf() -> bytes:
    key = make_private_key()
    identity = SystemIdentity("acme", "north")
    made = issue_leaf(AUTHORITY, key.public_key(), identity, now_ms=NOW, life_ms=DAY, randomness=stream("fuzz"))
    return certificates_to_pem([made, AUTHORITY.certificate])


PEM: Final = leaf()
KNOWN: Final = {
    "ceremony",
    FILE_NAME,
    "restored",
    "input.tar",
    "ratchet",
    "key",
    "channel.key",
    "source.db",
    "source.toml",
}
KNOWN_KEYS: Final = {"plain": None, "sealed": PASSPHRASE}
SIGNED: Final[set[bytes]] = set()


def key_files(folder: Path) -> tuple[bytes, ...]:
    made = []
    for name, passphrase in KNOWN_KEYS.items():
        path = folder / name
        write_key_file(path, KeyPurpose.EVIDENCE, SEED, passphrase=passphrase, randomness=stream("salt"), cost=CHEAP)
        SIGNED.add(read_key_file(path, passphrase).sign(b"x"))
        made.append(path.read_bytes())
        path.unlink()
    return tuple(made)


def backup_file(folder: Path) -> bytes:
    """A backup of two small files."""
    sources = {DATABASE: folder / "source.db", "licd.toml": folder / "source.toml"}
    for path in sources.values():
        path.write_bytes(b"content of " + path.name.encode() * 40)
    hashes = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in sources.items()}
    manifest = Manifest(NOW, DOMAIN, "0.1.0", "0001", 5, NOW, False, hashes)
    target = BytesIO()
    write_backup(target, manifest, sources)
    return target.getvalue()


def backup_with_holes() -> bytes:
    """A small archive whose member says that it is large."""
    text = Manifest(NOW, DOMAIN, "0.1.0", "0001", 5, NOW, False, {DATABASE: "0" * 64}).text()
    target = BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as archive:
        manifest, member = tarfile.TarInfo(MANIFEST), tarfile.TarInfo(DATABASE)
        manifest.size = len(text)
        archive.addfile(manifest, BytesIO(text))
        sparse = {"major": "0", "minor": "1", "map": "0,0", "size": str(1 << 24), "name": DATABASE}
        member.pax_headers = {f"GNU.sparse.{key}": value for key, value in sparse.items()}
        archive.addfile(member, BytesIO())
    return target.getvalue()


def backup_that_climbs() -> bytes:
    """One with a member beside the folder it is taken out to, and everything else right."""
    digest = hashlib.sha256(b"x").hexdigest()
    names = (DATABASE, "policies/../../outside")
    text = Manifest(NOW, DOMAIN, "0.1.0", "0001", 5, NOW, False, dict.fromkeys(names, digest)).text()
    target = BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in ((MANIFEST, text), *((name, b"x") for name in names)):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, BytesIO(content))
    return target.getvalue()


def inside_base64(of: Mutator) -> Mutator:
    """Changes what a join token carries, not only its letters."""

    def mutate(data: bytes, chance: random.Random, samples: Sequence[bytes]) -> bytes:
        body = data.removeprefix(PREFIX.encode())
        try:
            packed = base64.urlsafe_b64decode(body + b"=" * (-len(body) % 4))
        except ValueError:
            return of(data, chance, samples)
        if not chance.randrange(3):
            return of(data, chance, samples)
        changed = of(packed, chance, [packed])
        return PREFIX.encode() + base64.urlsafe_b64encode(changed).rstrip(b"=")

    return mutate


def header_of_tar(data: bytes, chance: random.Random, samples: Sequence[bytes]) -> bytes:
    """Changes a member's header and puts its checksum right again, so that the reader looks further."""
    if not chance.randrange(3) or len(data) < 1024:
        return any_bytes(data, chance, samples)
    at = 512 * chance.randrange(len(data) // 512)
    header = bytearray(data[at : at + 512])
    place, fill = chance.choice(
        ((124, b"77777777777\0"), (124, b"-0000000001\0"), (124, b"\xff" * 12),
         (124, b"\x80" + b"\0" * 7 + b"\x7f" * 4),
         (156, bytes([chance.choice(b"0123456789xgLKSXN")])), (0, b"../outside\0"), (0, b"/abs\0"),
         (0, b"backup.json\0"),
         (257, b"GNU  \0"), (386, b"00000000000\x0000000000001\0"), (482, b"\1"), (483, b"77777777777\0"),
         (chance.randrange(500), chance.randbytes(4)))
    )  # fmt: skip
    header[place : place + len(fill)] = fill
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return data[:at] + bytes(header[:512]) + data[at + 512 :]


def one_of_system(state: dict[str, bytes]) -> tuple[tuple[bytes, ...], Mutator]:
    """The first byte says which file of the directory the rest is."""
    text = of_text('"system"', '"base64"', "Infinity")
    samples = tuple(bytes([at]) + state[name] for at, name in enumerate(NAMES))

    def mutate(data: bytes, chance: random.Random, given: Sequence[bytes]) -> bytes:
        which = data[:1] if data and chance.randrange(10) else bytes([chance.randrange(len(NAMES))])
        how: Callable[..., bytes] = text if which[0] in {0, 1, 5} else any_bytes
        return which + how(data[1:], chance, [each[1:] for each in given])

    return samples, mutate


FIRST: Final = first_bundle()
CEREMONY: Final = ceremony_text(
    FIRST, SAMPLE_NOW + 3_600_000, added(signer(KeyPurpose.PERMIT_ONLINE, 2), SAMPLE_NOW, SAMPLE_NOW + 9 * DAY)
).encode()
RATCHET: Final = (
    b"reconciled 1 2\n3 lic-1 4\nrestored 5 6\nbehind 7 the rows are old\nlost lic-2 8\nreconciled 9 10\n11 lic-1 12\n"
)
CONFIG: Final = b"""trust_domain = "licd.example"
replica = "replica-1"
policies = "policies"
[listen]
customer = "127.0.0.1:7442"
[advertise]
enrolment = "licd.example:7441"
[limits]
requests_per_second = 2000
"""


@contextmanager
def opened() -> Iterator[Target]:
    """The target."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = Files(folder)
        csr = make_request(make_private_key())
        der = AUTHORITY.certificate.public_bytes(Encoding.DER)
        states, of_state = one_of_system(files.state)
        json_text = of_text('"argon2id"', '"protection"', '"none"', json.dumps("é"))
        yield Target(
            "state_files",
            (
                Part("config", (CONFIG,), files.config, of_text("limits", "listen", '"[::1]:7442"')),
                Part(
                    "backup",
                    (backup_file(folder), backup_with_holes(), backup_that_climbs()),
                    files.backup,
                    header_of_tar,
                ),
                Part("ratchet", (RATCHET,), files.ratchet, of_text("reconciled", "lost", "behind", "restored")),
                Part("key file", key_files(folder), files.key_file, json_text),
                Part("pem", (PEM, private_key_to_pem(make_private_key()), der), files.pem, of_text("-----BEGIN")),
                Part("request", (csr,), files.request, any_bytes),
                Part("join token", (join_token().encode(),), files.join, inside_base64(of_text('"ca"', '"v":1'))),
                Part("system", states, files.system, of_state),
                Part("ceremony", (CEREMONY,), files.ceremony, of_text("[[add]]", "[[drop]]", "0x" + "f" * 40)),
            ),
            covers=("licd/server/backup_file.py", "licd/server/config.py", "licd/client/state_file.py"),
        )
