"""What licctl reads from files: signed files, bundles, exported logs, terms, settings, requests."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import BytesIO, StringIO
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_csr

from licd.cli import settings
from licd.cli.contact_file import read_certification
from licd.cli.desk import Desk
from licd.cli.failure import Stopped
from licd.cli.log_check import held_checkpoints, read_checkpoint, verifier_for
from licd.cli.operator_request import read_request
from licd.cli.overlay_file import read_overlay
from licd.cli.printing import Printer
from licd.cli.settings import Choice
from licd.cli.surroundings import Output, Surroundings
from licd.cli.terms_file import read_terms, write_terms
from licd.cli.token_check import TokenRefused, judge
from licd.cli.token_file import read_token, token_json, token_pairs
from licd.cli.trust_file import read_trust
from licd.core.errors import LicdError
from licd.core.overlay import check_overlay
from licd.core.terms import ConcurrentTargets
from licd.core.time import DAY
from licd.evidence.errors import EvidenceInvalid
from licd.evidence.export import verify_export
from licd.keys.armour import armour
from licd.keys.certificate_request import make_private_key, make_request
from licd.keys.chain_file import write_chain
from licd.keys.envelope import seal
from licd.keys.errors import KeysError
from licd.keys.kinds import Kind
from licd.v1.licence_pb2 import LicenceTerms
from licd.v1.session_pb2 import Directive
from licd.v1.trust_pb2 import TrustBundleChain
from licd.wire.condition import check_certification
from licd.wire.overlay import overlay_from_payload
from tests.cli.conftest import NOW, FakeClock
from tests.cli.samples import terms, token
from tests.cli.trust_samples import ONLINE, bundle, chain, log_lines, permit, signed_checkpoint
from tests.conditions import certified, certifying
from tests.daemon import ROOT
from tests.fuzz.mutation import of_message, of_text
from tests.fuzz.target import Part, Target, promise, refused_with
from tests.fuzz.targets.seals import LABELS, USURPED, mutate_envelope, payload_inside
from tests.overlays import saying, signed

FAMILY: Final = (Stopped, TokenRefused, LicdError, KeysError, EvidenceInvalid)
TRUSTED: Final = [bundle(), bundle(2, withdrawn=("00" * 8,))]
ORDER: Final = Directive(issuer="licd.example", licence="acme-1", epoch=4, decided_ms=NOW).SerializeToString()
GRANTS: Final = [
    token(),
    permit(NOW + DAY, NOW + 2 * DAY),
    permit(),
    seal(Kind.DIRECTIVE, ORDER, ONLINE),
    *TRUSTED,
]
SIGNED: Final = {(each.payload_type, each.payload) for each in GRANTS}
LOG: Final = [line.encode() + b"\n" for line in log_lines(5)]
PINNED: Final = {each.payload for each in TRUSTED}
FIRST: Final = {TRUSTED[0].payload}


class Files:
    """Writes what is to be read to one file, and reads it as licctl does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bundle = folder / "trusted"
        self.bundle.write_text(write_chain(chain(*TRUSTED)))
        self.desk = Desk(Surroundings(clock=FakeClock()), Choice(), Output.TABLE)
        self.trust = read_trust(self.bundle, "", NOW)
        verifier = verifier_for(self.desk, LOG[0], self.bundle, self.trust.pin, [])
        promise(verify_export(LOG, verifier).final.size == 5, "the log that changes begin with does not hold")
        for each in GRANTS[:3]:
            judge(read_token(self.file(each.SerializeToString())), self.trust.newest, NOW)

    def file(self, data: bytes) -> Path:
        path = self.folder / "input"
        path.write_bytes(data)
        return path

    def token(self, data: bytes) -> None:
        """It can be shown, whatever it is; it is called valid only when somebody signed exactly that."""
        with refused_with(*FAMILY):
            found = read_token(self.file(data))
            json.dumps(token_json(found))
            with redirect_stdout(StringIO()) as shown:
                Printer(Output.TABLE).pairs(token_pairs(found, NOW))
            lines = shown.getvalue().split("\n")
            promise(all(line.isprintable() for line in lines), "a token writes to the terminal")
            judged = judge(found, self.trust.newest, NOW)
            promise((found.envelope.payload_type, judged.verified.payload) in SIGNED, "a changed token is called valid")

    def trusted(self, data: bytes) -> None:
        """A file of bundles is believed for its first; with the first one pinned, only what its roots signed is."""
        pin = self.trust.pin
        with refused_with(*FAMILY):
            promise(read_trust(self.file(data), pin, NOW).newest.payload in PINNED, "a bundle that no root has signed")
        with refused_with(*FAMILY):
            read_trust(self.file(data), "", NOW)

    def log(self, data: bytes) -> None:
        """An exported log that is called whole is the one that was signed."""
        with refused_with(*FAMILY):
            lines = BytesIO(data)
            verifier = verifier_for(self.desk, lines.readline(), self.bundle, self.trust.pin, [])
            lines.seek(0)
            verify_export(lines, verifier)
            promise(
                told_once(data.splitlines()) == told_once(b"".join(LOG).splitlines()), "a changed log is called whole"
            )

    def checkpoint(self, data: bytes) -> None:
        """A checkpoint whose signature is said to hold is one that the log has signed."""
        with refused_with(*FAMILY):
            read_checkpoint(self.desk, data.decode("utf-8", "replace"), None, "")
        with refused_with(*FAMILY):
            verifier = verifier_for(self.desk, LOG[0], self.bundle, self.trust.pin, [])
            (found,) = held_checkpoints([self.file(data)], verifier)
            promise(found.size in {1, 5}, "a checkpoint that nobody has signed")

    def terms(self, data: bytes) -> None:
        """Terms that are read are written as a file that says the same."""
        with refused_with(*FAMILY):
            draft = read_terms(self.file(data))
            whole = LicenceTerms(
                product=draft.product,
                category=draft.category,
                not_before_ms=draft.not_before_ms,
                not_after_ms=draft.not_after_ms,
                constraints=draft.constraints,
            )
            again = read_terms(self.file(write_terms(whole).encode()))
            promise(again == draft, "terms that licctl writes read as others")

    def overlay(self, data: bytes) -> None:
        """What an authority would sign is understood by whoever it is for."""
        with refused_with(*FAMILY):
            found = read_overlay(self.file(data), NOW)
            check_overlay(overlay_from_payload(found.SerializeToString()))
            promise(found.issued_at_ms == NOW, "an overlay of another time")

    def certification(self, data: bytes) -> None:
        """What a contact would sign is understood by whoever it is for."""
        with refused_with(*FAMILY, OSError, ValueError):
            check_certification(read_certification(self.file(data), NOW))

    def settings(self, data: bytes) -> None:
        """Settings are read whole, or refused naming the file."""
        with refused_with(*FAMILY):
            try:
                settings.read(self.file(data))
            except Stopped as error:
                promise(str(self.folder) in str(error), "it does not say which file is wrong")
                raise

    def request(self, data: bytes) -> None:
        """A request to become an operator carries a key that its owner has, and a name that can be one."""
        with refused_with(*FAMILY):
            found = read_request(self.file(data))
            promise(len(found.public_key) == 32, "a key of another length")


def operator_request() -> bytes:
    csr = load_der_x509_csr(make_request(make_private_key())).public_bytes(Encoding.PEM).decode()
    fields = {
        "format": "licd-operator-request",
        "version": 1,
        "operator": "dora",
        "public_key": ONLINE.public_key.hex(),
    }
    return json.dumps(fields | {"csr": csr}).encode()


SETTINGS: Final = b"""address = "localhost:7443"
ca = "authority.pem"
certificate = "certificate.pem"
key = "channel.key"
signing_key = "signing.key"
operator = "anna"
"""
OVERLAY: Final = (ROOT / "docs/examples/overlays/export-2026-114.toml").read_bytes()
CERTIFIED: Final = (ROOT / "docs/examples/conditions/certification.toml").read_bytes().replace(b'"orders.txt"', b"")
FOREIGN: Final = (
    signed(saying("acme", NOW, "licd.example", ConcurrentTargets(2))),
    certified(certifying("acme-1", "certification-yearly", NOW, "licd.example")),
)
"""By keys that no bundle holds: shown, and never called valid."""
KEYS: Final = (
    "constraints", "concurrent_targets", "distinct_targets", "target_churn", "target_regions", "deployment_regions",
    "deployment_addresses", "purposes", "offences", "authorisation_required", "protected_person_attestation",
    "permit_length", "offline_grace", "deployments", "overlay_required", "max_life", "limit", "period", "product",
    "not_before",
)  # fmt: skip


@contextmanager
def opened() -> Iterator[Target]:
    """The target."""
    with tempfile.TemporaryDirectory() as folder:
        files = Files(Path(folder))
        raw = tuple(each.SerializeToString() for each in GRANTS)
        foreign = tuple(each.SerializeToString() for each in FOREIGN)
        armoured = tuple(armour(each).encode() for each in raw[:3])
        chains = tuple(each.SerializeToString() for each in (chain(*TRUSTED), chain(), chain(USURPED)))
        stated = tuple(signed_checkpoint([b"l" * 32] * size).encode() for size in (1, 5))
        text = of_text('"index"', '"leaf"', '"checkpoint"', "licd-log/1", "— licd.example/log ")
        yield Target(
            "cli_files",
            (
                Part("token", (*raw, *foreign), files.token, mutate_envelope),
                Part("armoured token", armoured, files.token, of_text(*LABELS)),
                Part("trust", chains, files.trusted, of_message(TrustBundleChain, payload_inside)),
                Part("armoured trust", (files.bundle.read_bytes(),), files.trusted, of_text(*LABELS)),
                Part("log", (b"".join(LOG), LOG[0] + b"".join(LOG[1:]).replace(b",", b", ")), files.log, text),
                Part("checkpoint", stated, files.checkpoint, text),
                Part("terms", (write_terms(terms()).encode(),), files.terms, of_text(*KEYS)),
                Part("overlay", (OVERLAY,), files.overlay, of_text(*KEYS, "effect", "revision", "authority")),
                Part("certification", (CERTIFIED,), files.certification, of_text("contact", "period", "evidence")),
                Part("settings", (SETTINGS,), files.settings, of_text("ca", "operator")),
                Part("request", (operator_request(),), files.request, of_text('"csr"', '"operator"')),
            ),
            covers=("licd/cli/token_file.py", "licd/cli/trust_file.py", "licd/cli/log_check.py"),
        )


def told_once(lines: list[bytes]) -> list[bytes]:
    """A checkpoint may stand twice: that changes nothing of what is said."""
    return [
        line for line, before in zip(lines, [b"", *lines], strict=False) if line != before or b"checkpoint" not in line
    ]
