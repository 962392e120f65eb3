"""The log: what licd hands out is proved before it is shown, and a whole export is checked without licd."""

from pathlib import Path

import pytest

from licd.core.time import DAY
from licd.evidence import merkle
from licd.evidence.note import VerifierKey
from licd.keys.armour import armour
from licd.v1 import key_service_pb2
from licd.v1 import log_service_pb2 as pb
from licd.verify.main import main
from tests.cli.conftest import NOW, Licctl
from tests.cli.test_token import saved
from tests.cli.trust_samples import (
    EVIDENCE,
    ORIGIN,
    bundle,
    chain,
    log_lines,
    sealed_entries,
    signed_checkpoint,
)

LEAVES = [one.leaf_hash for one in sealed_entries(5)]


@pytest.fixture
def trust(tmp_path: Path) -> str:
    return saved(tmp_path, bundle(), "bundle")


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    file = tmp_path / "log.jsonl"
    file.write_text("".join(f"{line}\n" for line in log_lines(5)))
    return file


def entry_answer(index: int) -> pb.GetEntryResponse:
    one = sealed_entries(5)[index]
    fields = [pb.LogField(name="kind", value="grant"), pb.LogField(name="number", value=str(index))]
    return pb.GetEntryResponse(
        entry=pb.LogEntry(index=index, entry=one.encoded, leaf_hash=one.leaf_hash, fields=fields),
        inclusion_proof=merkle.inclusion_proof(LEAVES, index, 5),
        checkpoint=signed_checkpoint(LEAVES),
    )


def test_exports_the_log_as_it_comes(licctl: Licctl, tmp_path: Path, exported: Path) -> None:
    lines = log_lines(5)
    licctl.licd.on_stream("ExportLog", pb.ExportLogResponse(lines=lines[:3]), pb.ExportLogResponse(lines=lines[3:]))
    file = tmp_path / "copy"
    assert licctl.json("log", "export", "--save", str(file))["lines"] == 7
    assert file.read_text() == exported.read_text()


def test_a_whole_log_verifies_without_licd(licctl: Licctl, trust: str, exported: Path) -> None:
    result = licctl.bare("log", "verify", "--bundle", trust, str(exported))
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0] == f"{exported}: whole, and signed"
    shown = licctl.json("log", "verify", "--bundle", trust, str(exported))
    assert (shown["valid"], shown["origin"], shown["size"]) == (True, ORIGIN, 5)


def test_a_log_verifies_by_a_verifier_key_too(licctl: Licctl, exported: Path) -> None:
    key = VerifierKey(ORIGIN, EVIDENCE.public_key).encode()
    assert licctl("log", "verify", "--key", key, str(exported)).exit_code == 0


def test_one_must_say_by_which_keys(licctl: Licctl, exported: Path) -> None:
    result = licctl("log", "verify", str(exported))
    assert result.exit_code == 2
    assert result.stderr.startswith("licctl: --bundle, --key: say by which keys")


@pytest.mark.parametrize(
    ("line", "replacement", "why"),
    [
        (3, None, "line 4, entry 2: entry 2 is missing"),
        (6, None, "the log does not end in a signed checkpoint"),
        (0, "{}", "line 1: the file does not begin as an exported log does"),
        (2, "not json", "line 3, entry 1: the line is not ASCII JSON"),
    ],
)
def test_an_altered_log_is_refused_at_its_line(
    licctl: Licctl, trust: str, exported: Path, *, line: int, replacement: str | None, why: str
) -> None:
    lines = exported.read_text().splitlines()
    lines[line : line + 1] = [] if replacement is None else [replacement]
    exported.write_text("".join(f"{one}\n" for one in lines))
    result = licctl("log", "verify", "--bundle", trust, str(exported))
    assert result.exit_code == 7
    assert why in result.stderr
    assert result.stdout == ""


def test_a_log_cut_shorter_than_a_kept_checkpoint_is_refused(
    licctl: Licctl, tmp_path: Path, trust: str, exported: Path
) -> None:
    held = tmp_path / "kept"
    held.write_text(signed_checkpoint([one.leaf_hash for one in sealed_entries(6)]))
    verify = ("log", "verify", "--bundle", trust, str(exported), "--held")
    result = licctl(*verify, str(held))
    assert result.exit_code == 7
    assert "the log ends here, but a checkpoint of size 6 is held" in result.stderr
    held.write_text(signed_checkpoint(LEAVES[:3]))
    assert licctl(*verify, str(held)).exit_code == 0


def test_the_keys_of_another_installation_do_not_verify_a_log(licctl: Licctl, trust: str, exported: Path) -> None:
    exported.write_text(exported.read_text().replace("licd.example/licd/log", "licd.elsewhere/licd/log"))
    result = licctl("log", "verify", "--bundle", trust, str(exported))
    assert result.exit_code == 7
    assert "the log is of licd.elsewhere/licd/log, the bundle of licd.example" in result.stderr


def test_a_withdrawn_evidence_key_does_not_verify_a_log(licctl: Licctl, tmp_path: Path, exported: Path) -> None:
    file = tmp_path / "bundles"
    file.write_bytes(chain(bundle(1), bundle(2, withdrawn=(EVIDENCE.key_id,))).SerializeToString())
    assert licctl("log", "verify", "--bundle", str(file), str(exported)).exit_code == 7


def test_a_log_is_checked_by_a_bundle_that_has_expired_since_and_that_is_said(
    licctl: Licctl, tmp_path: Path, exported: Path
) -> None:
    stale = saved(tmp_path, bundle(expires=NOW), "stale")
    result = licctl("log", "verify", "--bundle", stale, str(exported))
    assert result.exit_code == 0
    assert "a key withdrawn since is not known here" in result.stderr


def test_an_entry_is_shown_with_what_proves_it(licctl: Licctl, trust: str) -> None:
    licctl.licd.on("GetEntry", entry_answer(2))
    shown = licctl("log", "get", "2").stdout
    assert "number  2\n" in shown
    assert f"in the tree of 5 entries of {ORIGIN}; its signature was not checked" in shown
    assert "its signature holds" in licctl("log", "get", "2", "--bundle", trust).stdout


@pytest.mark.parametrize("fault", ["entry", "leaf", "proof", "index"])
def test_an_entry_that_is_not_proved_is_not_shown(licctl: Licctl, fault: str) -> None:
    answer = entry_answer(2)
    match fault:
        case "entry":
            answer.entry.entry = sealed_entries(5)[3].encoded
        case "leaf":
            answer.entry.CopyFrom(entry_answer(3).entry)
            answer.entry.index = 2
        case "proof":
            answer.inclusion_proof[0] = b"\0" * 32
        case _:
            answer.entry.index = 3
    licctl.licd.on("GetEntry", answer)
    result = licctl("log", "get", "2")
    assert (result.exit_code, result.stdout) == (7, "")


def test_a_checkpoint_is_kept_and_the_next_one_proved_to_extend_it(licctl: Licctl, tmp_path: Path, trust: str) -> None:
    kept = tmp_path / "kept"
    licctl.licd.on("GetCheckpoint", pb.GetCheckpointResponse(checkpoint=signed_checkpoint(LEAVES[:3])))
    printed = licctl("log", "checkpoint", "--save", str(kept)).stdout
    assert printed == kept.read_text()
    proof = merkle.consistency_proof(LEAVES, 3, 5)
    answer = pb.GetCheckpointResponse(checkpoint=signed_checkpoint(LEAVES), consistency_proof=proof)
    licctl.licd.on("GetCheckpoint", answer)
    result = licctl("log", "checkpoint", "--old", str(kept), "--bundle", trust)
    assert result.stderr == f"2 entries were added to the 3 of {kept}\n"
    answer.consistency_proof[0] = b"\0" * 32
    licctl.licd.on("GetCheckpoint", answer)
    assert licctl("log", "checkpoint", "--old", str(kept), "--bundle", trust).exit_code == 7


def test_exports_the_trust_bundle_with_its_pin(licctl: Licctl, tmp_path: Path, exported: Path) -> None:
    licctl.licd.on("ExportTrustBundle", key_service_pb2.ExportTrustBundleResponse(trust=chain(bundle(1), bundle(2))))
    file = tmp_path / "out"
    shown = licctl.json("key", "bundle", "--save", str(file))
    assert (shown["version"], shown["trust_domain"]) == (2, "licd.example")
    verify = ("log", "verify", "--bundle", str(file), "--pin", shown["pin"], str(exported))
    assert licctl.bare(*verify).exit_code == 0


def test_the_keys_of_the_log_are_written_for_licd_verify(licctl: Licctl, tmp_path: Path, exported: Path) -> None:
    licctl.licd.on("ExportTrustBundle", key_service_pb2.ExportTrustBundleResponse(trust=chain(bundle(1), bundle(2))))
    keys = tmp_path / "keys"
    licctl("key", "bundle", "--save", str(tmp_path / "out"), "--verifier-keys", str(keys))
    assert main(["log", str(exported), "--key", f"@{keys}"]) == 0


def test_a_chain_that_does_not_hold_is_not_exported(licctl: Licctl, tmp_path: Path) -> None:
    licctl.licd.on("ExportTrustBundle", key_service_pb2.ExportTrustBundleResponse(trust=chain(bundle(1), bundle(3))))
    assert licctl("key", "bundle", "--save", str(tmp_path / "out")).exit_code == 7
    assert not (tmp_path / "out").exists()


def test_the_next_bundle_is_shown_and_published_only_when_one_says_yes(licctl: Licctl, tmp_path: Path) -> None:
    licctl.licd.on("ExportTrustBundle", key_service_pb2.ExportTrustBundleResponse(trust=chain(bundle(1))))
    published = key_service_pb2.TrustPublication(version=2, published_at_ms=NOW, known_at_ms=NOW + DAY)
    licctl.licd.on("PublishTrustBundle", key_service_pb2.PublishTrustBundleResponse(publication=published))
    file = tmp_path / "bundle-2"
    file.write_text(armour(bundle(2, withdrawn=(EVIDENCE.key_id,)).SerializeToString()))
    shown = licctl("key", "publish", str(file))
    assert shown.exit_code == 2
    assert f"WITHDRAW  evidence {EVIDENCE.key_id}" in shown.stdout
    assert "PublishTrustBundleRequest" not in licctl.licd.names()
    assert licctl.json("key", "publish", str(file), "--yes")["version"] == 2
    assert licctl.licd.asked(key_service_pb2.PublishTrustBundleRequest).bundle == bundle(
        2, withdrawn=(EVIDENCE.key_id,)
    )


def test_a_bundle_that_does_not_follow_is_not_sent(licctl: Licctl, tmp_path: Path) -> None:
    licctl.licd.on("ExportTrustBundle", key_service_pb2.ExportTrustBundleResponse(trust=chain(bundle(1))))
    file = tmp_path / "bundle-3"
    file.write_text(armour(bundle(3).SerializeToString()))
    refused = licctl("key", "publish", str(file), "--yes")
    assert refused.exit_code == 7
    assert "FAST_FORWARD" in refused.stderr


def test_a_file_of_authorities_is_not_written_where_the_bundle_names_none(licctl: Licctl, tmp_path: Path) -> None:
    licctl.licd.on("ExportTrustBundle", key_service_pb2.ExportTrustBundleResponse(trust=chain(bundle(1))))
    assert licctl("key", "bundle", "--authorities", str(tmp_path / "ca.pem")).exit_code != 0
    assert not (tmp_path / "ca.pem").exists()  # this bundle names none


def test_an_exported_log_becomes_static_files(licctl: Licctl, tmp_path: Path, exported: Path) -> None:
    key = VerifierKey(ORIGIN, EVIDENCE.public_key).encode()
    folder = tmp_path / "tiles"
    result = licctl.bare("log", "tiles", str(exported), "--key", key, "--save", str(folder), "--output", "json")
    assert result.exit_code == 0, result.output
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert files == ["checkpoint", "tile/0/000.p/5", "tile/entries/000.p/5"]
    assert main(["tiles", str(folder), "--key", key]) == 0
    assert licctl.bare("log", "tiles", str(exported), "--key", key, "--save", str(folder)).exit_code == 2
    exported.write_text(exported.read_text()[:-200])
    other = tmp_path / "other"
    assert licctl.bare("log", "tiles", str(exported), "--key", key, "--save", str(other)).exit_code == 7
    assert not other.exists()


def test_an_entry_is_written_with_its_proof_and_only_what_may_be_seen(licctl: Licctl, tmp_path: Path, capsys) -> None:
    licctl.licd.on("GetEntry", entry_answer(3))
    key = VerifierKey(ORIGIN, EVIDENCE.public_key).encode()
    whole, some = tmp_path / "whole.tlog-proof", tmp_path / "some.tlog-proof"
    assert licctl("log", "get", "3", "--proof", str(whole)).exit_code == 0
    assert licctl("log", "get", "3", "--proof", str(some), "--disclose", "kind").exit_code == 0
    for file, number in ((whole, "3"), (some, "(hidden)")):
        assert main(["entry", str(file), "--key", key]) == 0
        shown = capsys.readouterr().out
        assert "holds: entry 3 is in the log of 5 entries, and says this\n" in shown
        assert f"field kind: grant\nfield number: {number}\n" in shown
    some.write_bytes(some.read_bytes().replace(b"index 3", b"index 2"))
    assert main(["entry", str(some), "--key", key]) == 1
    assert "the proof for leaf 2 of 5 leads to another root" in capsys.readouterr().err


def test_what_cannot_be_disclosed_is_said_and_nothing_is_written(licctl: Licctl, tmp_path: Path) -> None:
    licctl.licd.on("GetEntry", entry_answer(3))
    file = tmp_path / "proof"
    assert licctl("log", "get", "3", "--disclose", "kind").exit_code == 2
    refused = licctl("log", "get", "3", "--proof", str(file), "--disclose", "kinds")
    assert refused.exit_code == 7
    assert "the entry has no field 'kinds'" in refused.stderr
    assert not file.exists()
