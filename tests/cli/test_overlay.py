"""licctl authority, overlay, licence rights: keys made and overlays signed without licd; what is sent and shown."""

from pathlib import Path

import pytest

from licd.cli.failure import Exit
from licd.cli.request_words import message_pairs
from licd.core.time import DAY
from licd.keys.armour import dearmour
from licd.keys.envelope import parse_envelope, verify
from licd.keys.file_signer import create_key_file, read_key_file
from licd.keys.keyring import Keyring
from licd.keys.kinds import KeyPurpose, Kind
from licd.keys.signer import MemorySigner
from licd.keys.verification_key import VerificationKey, key_id_of
from licd.v1 import denial_pb2, licence_pb2, overlay_pb2
from licd.v1 import overlay_service_pb2 as pb
from licd.v1.envelope_pb2 import Envelope
from tests.cli.conftest import NOW, Licctl

SAID = """
authority = "export-qn"
overlay = "EX-2026-114"
revision = 1
audience = "licd.example"
customer = "north"
licence = "north-1"
not_before = 2026-03-01T00:00:00Z
not_after = 2026-09-01T00:00:00Z
statement = "for one operation"
[constraints]
concurrent_targets = 2
target_regions = { regions = ["DE"], bases = ["number_plan"] }
"""


def overlay(**changes: object) -> overlay_pb2.Overlay:
    terms = overlay_pb2.OverlayTerms(
        authority="export-qn",
        overlay="EX-1",
        audience="licd.example",
        revision=2,
        not_before_ms=NOW - DAY,
        not_after_ms=NOW + DAY,
        effect=overlay_pb2.OVERLAY_EFFECT_PERMIT,
        customer="north",
    )
    found = overlay_pb2.Overlay(
        overlay="export-qn/EX-1",
        status=overlay_pb2.OVERLAY_STATUS_IN_FORCE,
        terms=terms,
        lodged_at_ms=NOW - DAY,
        lodged_by="anna",
    )
    found.MergeFrom(overlay_pb2.Overlay(**changes))  # type: ignore[arg-type]
    return found


@pytest.fixture
def key(licctl: Licctl) -> Path:
    path = licctl.folder / "authority.key"
    assert licctl("authority", "key", str(path), "--no-passphrase").exit_code == Exit.OK
    return path


@pytest.fixture
def said(licctl: Licctl) -> Path:
    path = licctl.folder / "overlay.toml"
    path.write_text(SAID)
    return path


# ----------------------------------------------------------------------------------------------------- authorities
def test_an_authoritys_key_is_made_on_its_own_machine_and_says_what_is_told_of_it(licctl: Licctl):
    path = licctl.folder / "mine.key"
    licctl.secrets = ["long enough", "long enough"]
    result = licctl("authority", "key", str(path))
    assert result.exit_code == Exit.OK, result.output
    made = read_key_file(path, b"long enough")
    assert made.purpose is KeyPurpose.OVERSEER
    assert made.public_key.hex() in result.output
    assert made.key_id in result.output
    assert path.stat().st_mode & 0o777 == 0o600
    assert licctl("authority", "key", str(path), "--no-passphrase").exit_code != Exit.OK
    assert licctl.licd.requests == []


def test_who_an_authority_is_is_sent_with_its_key(licctl: Licctl):
    made = overlay_pb2.Authority(
        authority="export-qn", name="Office of Exports", kind=overlay_pb2.AUTHORITY_KIND_EXPORT, jurisdiction="DE"
    )
    licctl.licd.on("RegisterAuthority", pb.RegisterAuthorityResponse(authority=made))
    wanted = ["--name", "Office of Exports", "--kind", "export", "--jurisdiction", "DE", "--public-key", "ab" * 32]
    result = licctl("authority", "register", "export-qn", *wanted)
    assert result.exit_code == Exit.OK, result.output
    sent = licctl.licd.asked(pb.RegisterAuthorityRequest)
    assert (sent.authority, sent.kind, sent.public_key) == (
        "export-qn",
        overlay_pb2.AUTHORITY_KIND_EXPORT,
        b"\xab" * 32,
    )
    assert "Office of Exports, export authority in DE" in result.output
    wrong = [*wanted[:-1], "no hex"]
    assert licctl("authority", "register", "export-qn", *wrong).exit_code == Exit.USAGE


def test_a_withdrawn_authority_is_shown_with_why(licctl: Licctl):
    done = overlay_pb2.Authority(
        authority="export-qn",
        withdrawn_at_ms=NOW,
        withdrawn_why="its key is lost",
        kind=overlay_pb2.AUTHORITY_KIND_DOMESTIC,
    )
    licctl.licd.on("WithdrawAuthority", pb.WithdrawAuthorityResponse(authority=done))
    result = licctl("authority", "withdraw", "export-qn", "--detail", "its key is lost")
    assert "its key is lost" in result.output
    licctl.licd.on("ListAuthorities", pb.ListAuthoritiesResponse(authorities=[done]))
    listed = licctl("authority", "list")
    assert "domestic" in listed.output


# ------------------------------------------------------------------------------------------------------- overlays
def test_an_overlay_is_signed_from_a_file_without_licd(licctl: Licctl, key: Path, said: Path):
    token = licctl.folder / "overlay.txt"
    result = licctl("overlay", "sign", str(said), "--key", str(key), "--save", str(token))
    assert result.exit_code == Exit.OK, result.output
    assert "licence north-1 of north" in result.output
    assert licctl.licd.requests == []
    signer = read_key_file(key, None)
    known = VerificationKey.of(KeyPurpose.OVERSEER, signer.public_key, not_before_ms=0, not_after_ms=1 << 62)
    envelope = parse_envelope(dearmour(token.read_bytes()).raw)
    verify(envelope, Kind.OVERLAY, Keyring([known]), NOW)
    message = overlay_pb2.OverlayTerms.FromString(envelope.payload)
    assert (message.overlay, message.issued_at_ms, len(message.constraints)) == ("EX-2026-114", NOW, 2)
    shown = licctl("token", "show", str(token))
    assert "at most 2 targets at one time" in shown.output
    assert "EX-2026-114 of export-qn, revision 1" in shown.output


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("revision = 1", "revision = 0"), "revision: must be a whole number, 1 or more"),
        (('customer = "north"', ""), "customer: must be there, and a text"),
        (("concurrent_targets", "concurrent_target"), "constraints.concurrent_target: no such key"),
        (("2026-09-01", "2026-01-01"), "not_after: must be later than not_before"),
        (('["DE"]', '["Atlantis"]'), "Atlantis"),
        (("statement", "effect"), "effect: must be one of permit, withdraw, lift"),
        (("revision = 1", "revision ="), "not TOML"),
        (("revision = 1", 'revision = 1\nsubject = "x"'), "subject: no such key"),
    ],
)
def test_what_is_no_overlay_is_not_signed(licctl: Licctl, key: Path, said: Path, change: tuple[str, str], words: str):
    said.write_text(SAID.replace(*change))
    result = licctl("overlay", "sign", str(said), "--key", str(key))
    assert result.exit_code == Exit.USAGE
    assert words in result.output


def test_an_operators_key_signs_no_overlay(licctl: Licctl, said: Path):
    path = licctl.folder / "operator.key"
    create_key_file(path, KeyPurpose.OPERATOR, passphrase=None, randomness=lambda size: b"o" * size)
    result = licctl("overlay", "sign", str(said), "--key", str(path))
    assert result.exit_code == Exit.USAGE
    assert "is a key for operator, not an authority's" in result.output


def test_the_very_bytes_that_were_signed_are_lodged(licctl: Licctl, key: Path, said: Path):
    token = licctl.folder / "overlay.txt"
    licctl("overlay", "sign", str(said), "--key", str(key), "--save", str(token))
    licctl.licd.on("LodgeOverlay", pb.LodgeOverlayResponse(overlay=overlay()))
    result = licctl("overlay", "lodge", str(token))
    assert result.exit_code == Exit.OK, result.output
    sent = licctl.licd.asked(pb.LodgeOverlayRequest).overlay
    assert sent.SerializeToString() == dearmour(token.read_bytes()).raw
    assert "export-qn/EX-1, revision 2" in result.output
    assert "what the terms permit, and no more" in result.output


def test_another_signed_file_is_not_lodged(licctl: Licctl):
    path = licctl.folder / "token"
    path.write_bytes(Envelope(payload=b"", payload_type=Kind.LICENCE.payload_type).SerializeToString())
    result = licctl("overlay", "lodge", str(path))
    assert result.exit_code == Exit.USAGE
    assert "this is a licence, not an overlay" in result.output


def test_a_withdrawal_is_shown_first_and_done_with_yes(licctl: Licctl):
    withdrawn = overlay(status=overlay_pb2.OVERLAY_STATUS_WITHDRAWN, ended_at_ms=NOW, ended_why="by letter")
    licctl.licd.on("GetOverlay", pb.GetOverlayResponse(overlay=overlay()))
    licctl.licd.on("WithdrawOverlay", pb.WithdrawOverlayResponse(overlay=withdrawn))
    wanted = ["export-qn/EX-1", "--reason", "export_authority", "--detail", "by letter"]
    result = licctl("overlay", "withdraw", *wanted)
    assert licctl.licd.names() == ["GetOverlayRequest"]
    assert "nothing was done" in result.output
    result = licctl("overlay", "withdraw", *wanted, "--yes")
    assert licctl.licd.names() == ["GetOverlayRequest", "WithdrawOverlayRequest"]
    assert "withdrawn" in result.output
    assert "by letter" in result.output


def test_overlays_are_listed_and_one_is_shown(licctl: Licctl):
    licctl.licd.on("ListOverlays", pb.ListOverlaysResponse(overlays=[overlay()]))
    result = licctl("overlay", "list", "--customer", "north", "--authority", "export-qn")
    assert "every licence of north" in result.output
    sent = licctl.licd.asked(pb.ListOverlaysRequest)
    assert (sent.customer, sent.authority) == ("north", "export-qn")
    licctl.licd.on("GetOverlay", pb.GetOverlayResponse(overlay=overlay()))
    assert licctl.json("overlay", "show", "export-qn/EX-1")["overlay"] == "export-qn/EX-1"


def test_a_right_is_shown_with_who_narrowed_what(licctl: Licctl):
    narrowing = overlay_pb2.Narrowing(
        overlay="export-qn/EX-1",
        status=overlay_pb2.OVERLAY_STATUS_IN_FORCE,
        not_after_ms=NOW + DAY,
        respects=["cap", "not_after"],
    )
    found = overlay_pb2.Rights(
        licence="north-1",
        epoch=4,
        not_after_ms=NOW + DAY,
        constraints=[licence_pb2.Constraint(concurrent_targets=licence_pb2.ConcurrentTargets(limit=2))],
        narrowed=[narrowing],
    )
    licctl.licd.on("GetRights", pb.GetRightsResponse(rights=found))
    result = licctl("licence", "rights", "north-1")
    assert "may be used" in result.output
    assert "at most 2 targets at one time" in result.output
    assert "by export-qn/EX-1 (in force, until" in result.output
    assert "in: targets at one time, when it ends" in " ".join(result.output.split())
    found.denial.CopyFrom(denial_pb2.Denial(detail="overlay export-qn/EX-1 was withdrawn"))
    licctl.licd.on("GetRights", pb.GetRightsResponse(rights=found))
    assert "overlay export-qn/EX-1 was withdrawn" in licctl("licence", "rights", "north-1").output


def test_who_agrees_to_an_overlay_sees_what_its_authority_says(licctl: Licctl, key: Path, said: Path):
    token = licctl.folder / "overlay.txt"
    licctl("overlay", "sign", str(said), "--key", str(key), "--save", str(token))
    envelope = parse_envelope(dearmour(token.read_bytes()).raw)
    pairs = dict(message_pairs(pb.LodgeOverlayRequest(overlay=envelope), NOW))
    assert pairs["overlay.overlay"] == "EX-2026-114"
    assert pairs["overlay.constraints[0]"].startswith("at most 2 targets")
    signer = MemorySigner(KeyPurpose.OVERSEER, b"k" * 32)
    words = dict(message_pairs(pb.RegisterAuthorityRequest(public_key=signer.public_key), NOW))["public_key"]
    assert f"as an authority's: key {key_id_of(KeyPurpose.OVERSEER, signer.public_key)}" in words
