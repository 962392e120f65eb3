"""Signed files without licd: shown as they are, believed only when everything holds."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from licd.core.time import DAY, SECOND
from licd.keys.armour import armour
from licd.keys.envelope import seal
from licd.keys.kinds import KeyPurpose, Kind
from licd.keys.signer import MemorySigner
from licd.v1 import licence_pb2 as pb
from licd.v1.envelope_pb2 import Envelope
from licd.v1.session_pb2 import Directive, Permit, ReplyHeader
from tests.cli.conftest import NOW, Licctl
from tests.cli.samples import ISSUER, terms, token
from tests.cli.trust_samples import ONLINE, ROOT, bundle, chain, permit

GOLDEN = """\
kind         licence, NOT verified
signed by    key ac6a8d4d3a8b2c0e
licence      acme-1
customer     acme
issuer       licd.example
product      sample, category moderate
valid from   2026-02-28T12:00:00Z, 1 d ago
valid until  2026-03-31T12:00:00Z, in 30 d
issued       2026-02-28T12:00:00Z, 1 d ago, revision 1
policy       p1
lineage      acme-1
permits      at most 2 targets at one time, cooling seats included
             at most 10 different targets in any 30 d
             targets only in DE, FR; established by number plan, declared
             only for the purposes example:serious-crime
             each lease names an authorisation, which runs at most 90 d ahead, and ends with it
             each lease attests that the target is no protected person
             a permit holds for 20 s (L)
             a system that hears nothing goes on for at most 5 min more (G)
             at most 1 system enrolled at one time
conditions   training
"""


def saved(tmp_path: Path, envelope: Envelope, name: str = "token", *, text: bool = True) -> str:
    file = tmp_path / name
    raw = envelope.SerializeToString()
    file.write_bytes(armour(raw).encode() if text else raw)
    return str(file)


@pytest.fixture
def trust(tmp_path: Path) -> str:
    return saved(tmp_path, bundle(), "bundle")


def changed(change: Callable[[pb.LicenceTerms], None]) -> Envelope:
    message = terms()
    change(message)
    return token(message)


def test_shows_a_licence_in_words(licctl: Licctl, tmp_path: Path) -> None:
    shown = licctl("token", "show", saved(tmp_path, token())).stdout
    assert shown == GOLDEN.replace("ac6a8d4d3a8b2c0e", ISSUER.key_id)


@pytest.mark.parametrize("text", [True, False])
def test_reads_armour_and_bytes_alike(licctl: Licctl, tmp_path: Path, text: bool) -> None:
    shown = licctl.json("token", "show", saved(tmp_path, token(), text=text))
    assert (shown["kind"], shown["payload"]["licence"]) == ("licence", "acme-1")
    assert shown["payload"]["constraints"][0] == {"concurrent_targets": {"limit": 2}}
    assert shown["key_ids"] == [ISSUER.key_id]


def test_shows_a_permit_lease_by_lease(licctl: Licctl, tmp_path: Path) -> None:
    shown = licctl("token", "show", saved(tmp_path, permit(NOW + 20 * SECOND, NOW + 5 * SECOND))).stdout
    assert f"permits    lease 1 on target {'00' * 32} until 2026-03-01T12:00:20Z, in 20 s\n" in shown
    assert f"           lease 2 on target {'01' * 32} until 2026-03-01T12:00:05Z, in 5 s\n" in shown


def test_shows_other_kinds_field_by_field(licctl: Licctl, tmp_path: Path) -> None:
    order = Directive(issuer="licd.example", licence="acme-1", epoch=4, kind=1, decided_ms=NOW)  # type: ignore[arg-type]
    shown = licctl("token", "show", saved(tmp_path, seal(Kind.DIRECTIVE, order.SerializeToString(), ONLINE))).stdout
    assert "decided    2026-03-01T12:00:00Z, now\n" in shown
    assert "SUSPEND\n" in shown


def test_shows_a_kind_it_has_no_words_for_by_its_size(licctl: Licctl, tmp_path: Path) -> None:
    evidence = MemorySigner(KeyPurpose.EVIDENCE, b"\x09" * 32)
    shown = licctl("token", "show", saved(tmp_path, seal(Kind.INQUIRY, b"12345", evidence))).stdout
    assert "5 bytes; this licctl has no words for a inquiry" in shown


def test_a_licence_that_holds_is_said_to_with_who_signed_it(licctl: Licctl, tmp_path: Path, trust: str) -> None:
    result = licctl("token", "verify", "--bundle", trust, saved(tmp_path, token()))
    assert result.exit_code == 0
    assert result.stdout.startswith("kind         licence, VALID at 2026-03-01T12:00:00Z\n")
    assert f"signed by    key {ISSUER.key_id}, licence-issuer of licd\n" in result.stdout
    assert "permits      at most 2 targets at one time" in result.stdout
    assert "not shown    whether it was suspended or replaced since it was signed: ask licd\n" in result.stdout


def test_verifying_asks_nobody(licctl: Licctl, tmp_path: Path, trust: str) -> None:
    licctl.bare("token", "verify", "--bundle", trust, saved(tmp_path, token()))
    assert licctl.licd.names() == []


def newer_reader(message: pb.LicenceTerms) -> None:
    message.min_reader_version = 2


def not_understood(message: pb.LicenceTerms) -> None:
    message.constraints.add()


def no_cap(message: pb.LicenceTerms) -> None:
    del message.constraints[0]


def other_issuer(message: pb.LicenceTerms) -> None:
    message.issuer = "licd.elsewhere"


def expired(message: pb.LicenceTerms) -> None:
    message.not_after_ms = NOW


def not_yet(message: pb.LicenceTerms) -> None:
    message.not_before_ms = NOW + 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (newer_reader, "TERMS_INVALID: min_reader_version: needs a reader of version 2"),
        (not_understood, "TERMS_INVALID: constraints[9]: a kind of constraint that this reader does not know"),
        (no_cap, "TERMS_INVALID: constraints: ConcurrentTargets is missing"),
        (other_issuer, "ISSUER_MISMATCH: issued by 'licd.elsewhere', this bundle is of licd.example"),
        (expired, "TOKEN_EXPIRED: "),
        (not_yet, "TOKEN_NOT_YET_VALID: "),
    ],
)
def test_a_licence_that_does_not_hold_is_refused_with_its_reason(
    licctl: Licctl, tmp_path: Path, trust: str, change: Callable[[pb.LicenceTerms], None], reason: str
) -> None:
    result = licctl("token", "verify", "--bundle", trust, saved(tmp_path, changed(change)))
    assert result.exit_code == 7
    assert f": {reason}" in result.stderr
    assert result.stdout == ""


def test_a_changed_byte_is_refused(licctl: Licctl, tmp_path: Path, trust: str) -> None:
    altered = token()
    altered.payload = altered.payload.replace(b"acme-1", b"acme-2")
    result = licctl("token", "verify", "--bundle", trust, saved(tmp_path, altered))
    assert result.exit_code == 7
    assert "SIGNATURE_INVALID" in result.stderr


def test_a_key_that_nobody_knows_is_refused(licctl: Licctl, tmp_path: Path, trust: str) -> None:
    forged = seal(Kind.LICENCE, token().payload, MemorySigner(KeyPurpose.LICENCE_ISSUER, b"\x66" * 32))
    shown = licctl.json("token", "verify", "--bundle", trust, saved(tmp_path, forged), exit_code=7)
    assert (shown["valid"], shown["reason"]) == (False, "KEY_UNKNOWN")


def test_a_withdrawn_key_is_refused(licctl: Licctl, tmp_path: Path) -> None:
    file = tmp_path / "bundles"
    file.write_bytes(chain(bundle(1), bundle(2, withdrawn=(ISSUER.key_id,))).SerializeToString())
    result = licctl("token", "verify", "--bundle", str(file), saved(tmp_path, token()))
    assert result.exit_code == 7
    assert "KEY_WITHDRAWN" in result.stderr


def test_a_permit_holds_until_its_last_hard_end(licctl: Licctl, tmp_path: Path, trust: str) -> None:
    file = saved(tmp_path, permit(NOW + 20 * SECOND))
    verify = ("token", "verify", "--bundle", trust, file)
    assert licctl(*verify).exit_code == 0
    assert "TOKEN_EXPIRED" in licctl(*verify, "--at", "2026-03-01T12:00:20Z").stderr


def test_a_permit_whose_columns_differ_is_refused(licctl: Licctl, tmp_path: Path, trust: str) -> None:
    crooked = Permit(header=ReplyHeader(issuer="licd.example"), leases=[1], hard_ends_ms=[NOW + DAY])
    file = saved(tmp_path, seal(Kind.PERMIT, crooked.SerializeToString(), ONLINE))
    assert "MALFORMED" in licctl("token", "verify", "--bundle", trust, file).stderr
    assert "cannot be told: 1 leases, 0 target bytes, 1 hard ends" in licctl("token", "show", file).stdout


def test_a_bundle_is_verified_by_its_roots(licctl: Licctl, tmp_path: Path, trust: str) -> None:
    shown = licctl.json("token", "verify", "--bundle", trust, trust)
    assert shown["signed_by"] == [{"key_id": ROOT.key_id, "purpose": "root", "owner": "licd"}]


def test_a_stale_bundle_is_not_believed(licctl: Licctl, tmp_path: Path) -> None:
    stale = saved(tmp_path, bundle(expires=NOW), "stale")
    result = licctl("token", "verify", "--bundle", stale, saved(tmp_path, token()))
    assert result.exit_code == 7
    assert "stale: FREEZE: " in result.stderr


def test_a_pin_must_match_the_first_bundle(licctl: Licctl, tmp_path: Path, trust: str) -> None:
    verify = ("token", "verify", "--bundle", trust, saved(tmp_path, token()), "--pin")
    assert licctl(*verify, hashlib.sha256(bundle().payload).hexdigest()).exit_code == 0
    result = licctl(*verify, "00" * 32)
    assert result.exit_code == 7
    assert "PIN_MISMATCH" in result.stderr


def test_a_chain_with_a_gap_is_refused(licctl: Licctl, tmp_path: Path) -> None:
    file = tmp_path / "bundles"
    file.write_bytes(chain(bundle(1), bundle(3)).SerializeToString())
    result = licctl("token", "verify", "--bundle", str(file), saved(tmp_path, token()))
    assert result.exit_code == 7
    assert "FAST_FORWARD" in result.stderr


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", 7),
        (b"hello", 7),
        (b"-----BEGIN LICD LICENCE-----\n???\n-----END LICD LICENCE-----\n", 7),
        (b"\x0a\x01\xff\x12\x29application/vnd.licd.licence.v1+proto\x00\x00\x00\x00", 7),
        (None, 2),
    ],
)
def test_what_is_no_token_is_refused_in_one_line(
    licctl: Licctl, tmp_path: Path, trust: str, data: bytes | None, code: int
) -> None:
    file = tmp_path / "data"
    if data is not None:
        file.write_bytes(data)
    for arguments in (("show",), ("verify", "--bundle", trust)):
        result = licctl("token", *arguments, str(file))
        assert result.exit_code == code
        assert result.stderr.startswith("licctl: ")
        assert result.stderr.count("\n") == 1
