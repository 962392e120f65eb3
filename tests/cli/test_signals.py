"""licctl signal and licctl rules: what is shown, what is sent, and rules tried over a log."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from licd.core.time import DAY, HOUR, MINUTE
from licd.evidence.entry import seal
from licd.evidence.export import LogInvalid, entries_of, entry_line, header_line
from licd.v1 import signal_pb2
from licd.v1 import signal_service_pb2 as pb
from licd.v1.log_service_pb2 import ExportLogResponse
from licd.v1.policy_service_pb2 import GetPolicyResponse, PolicyFile
from tests.cli.conftest import NOW, Licctl
from tests.policy.folder import SHIPPED

SIGNAL = signal_pb2.Signal(
    signal="G-1",
    rule="region-attempts",
    policy_version="ab" * 32,
    subject_kind="licence",
    subject="north-1",
    licence="north-1",
    outcome="suspend",
    done="suspended",
    code="rule_region",
    window_end_ms=NOW - HOUR,
    window_ms=DAY,
    facts=[signal_pb2.SignalFact(name="denied_region_unknown", value=41)],
    evidence=[signal_pb2.SignalEvidence(index=17, leaf_hash=b"\xab" * 32)],
    log_size=99,
    description="outside \x1b[31m",
    condition="denied_region_unknown\n  >= 40",
    raised_at_ms=NOW - HOUR,
    suspension="S-1",
    due_at_ms=NOW + DAY,
    way_back=["users-interviewed: talk", "licctl licence reinstate north-1 --reason comfort_full --detail WHY"],
)


def test_signals_are_listed_with_what_came_of_them(licctl: Licctl):
    licctl.licd.on("ListSignals", pb.ListSignalsResponse(signals=[SIGNAL]))
    result = licctl("signal", "list", "--licence", "north-1", "--rule", "region-attempts")
    assert result.exit_code == 0
    for word in ("G-1", "region-attempts", "north-1", "suspended", "denied_region_unknown = 41"):
        assert word in result.stdout
    asked = licctl.licd.asked(pb.ListSignalsRequest)
    assert (asked.licence, asked.rule, asked.acknowledged) == ("north-1", "region-attempts", False)


def test_a_signal_is_shown_with_its_evidence_and_the_way_back(licctl: Licctl):
    licctl.licd.on("GetSignal", pb.GetSignalResponse(signal=SIGNAL))
    shown = licctl("signal", "show", "G-1").stdout
    for words in (
        "denied_region_unknown >= 40",
        "entry 17",
        "ab" * 32,
        "S-1, rule_region",
        "by nobody; due",
        "reinstate",
    ):
        assert words in shown
    assert "\x1b" not in shown
    assert licctl.json("signal", "show", "G-1")["signal"] == "G-1"


def test_acknowledging_takes_a_note(licctl: Licctl):
    seen = signal_pb2.Signal()
    seen.CopyFrom(SIGNAL)
    seen.acknowledged_by, seen.acknowledged_at_ms, seen.note = "anna", NOW, "a drill"
    licctl.licd.on("AcknowledgeSignal", pb.AcknowledgeSignalResponse(signal=seen))
    assert licctl("signal", "acknowledge", "G-1").exit_code == 2
    result = licctl("signal", "acknowledge", "G-1", "--note", "a drill")
    assert "by anna" in result.stdout
    asked = licctl.licd.asked(pb.AcknowledgeSignalRequest)
    assert (asked.signal, asked.note) == ("G-1", "a drill")
    assert asked.request_id


# --------------------------------------------------------------------------------------------------------------- rules


def test_rules_and_the_cases_beside_them_are_checked_without_licd(licctl: Licctl):
    result = licctl.bare("rules", "test", str(SHIPPED / "misuse.toml"))
    assert (result.exit_code, result.stderr) == (0, "")
    assert "right; " in result.stdout
    assert licctl.licd.names() == []


def copied(tmp_path: Path, rules: str, cases: str) -> Path:
    """A file of rules under a name of its own, with its cases, beside the shipped reasons to suspend."""
    (tmp_path / "suspension.toml").write_text((SHIPPED / "suspension.toml").read_text())
    (tmp_path / "draft.toml").write_text(rules)
    (tmp_path / "draft.test.toml").write_text(cases)
    return tmp_path / "draft.toml"


RULES = """
example = true
brake = { most = 1, period_hours = 24 }
acknowledge = { within_hours = 24 }
[rule.any]
description = "any denial"
subject = "licence"
window_hours = 1
when = "denied >= 2"
outcome = "suspend"
code = "rule_region"
"""
CASE = (
    '[[case]]\nname = "one"\ngiven = { hours = 1, events = [{ minute = 0, denied = "REGION_UNKNOWN", times = 2 }] }\n'
)


def test_a_draft_is_tried_by_its_own_cases(licctl: Licctl, tmp_path: Path):
    file = copied(tmp_path, RULES, CASE + 'expect = ["any licence-1 suspended"]\n')
    assert licctl.bare("rules", "test", str(file)).exit_code == 0
    file = copied(tmp_path, RULES, CASE + "expect = []\n")
    result = licctl.bare("rules", "test", str(file))
    assert result.exit_code == 7
    assert f"{tmp_path / 'draft.test.toml'}:4: one: expected [], got" in result.stdout


@pytest.mark.parametrize(
    ("old", "new", "line", "reason"),
    [
        ("denied >= 2", "denied >", 9, "when: column"),
        ("denied >= 2", "denied * denied * denied > 1", 9, "multiplies once"),
        ("rule_region", "whim", 11, "unknown reason to suspend"),
        ("[rule.any]", "[rule.any", 5, "not TOML"),
    ],
)
def test_a_bad_file_is_refused_by_line(licctl: Licctl, tmp_path: Path, old: str, new: str, line: int, reason: str):
    file = copied(tmp_path, RULES.replace(old, new), CASE + "expect = []\n")
    result = licctl.bare("rules", "test", str(file))
    assert result.exit_code == 7
    assert any(each.startswith(f"{file}:{line}: ") and reason in each for each in result.stdout.splitlines())


def test_facts_are_listed(licctl: Licctl):
    shown = licctl.bare("rules", "facts").stdout
    assert "distinct_targets" in shown
    assert "silent_minutes" in shown
    names = [each["name"] for each in licctl.json("rules", "facts")["facts"]]
    assert "denied_concurrent_cap" in names


# ------------------------------------------------------------------------------------------------------------- dry run


def log_lines(denials: Iterable[int]) -> list[str]:
    """An export without checkpoints: denials at these instants."""
    lines = [header_line("licd.example/licd/log")]
    for index, at in enumerate(denials):
        fields = {"kind": "denied", "at": str(at), "licence": "north-1", "system": "a", "reason": "REGION_UNKNOWN"}
        sealed = seal([(name, value.encode()) for name, value in fields.items()], bytes(16 * len(fields)))
        lines.append(entry_line(index, sealed.leaf_hash, sealed.encoded))
    return lines


DENIALS = [NOW - 3 * DAY, NOW - 3 * DAY + MINUTE, NOW - HOUR, NOW - HOUR + 1]


def exported(tmp_path: Path, denials: Iterable[int]) -> Path:
    file = tmp_path / "log.jsonl"
    file.write_text("".join(f"{line}\n" for line in log_lines(denials)))
    return file


def test_a_dry_run_says_what_rules_would_have_done(licctl: Licctl, tmp_path: Path):
    rules, log = copied(tmp_path, RULES, ""), exported(tmp_path, DENIALS)
    found = licctl.json("rules", "dry-run", str(rules), "--log", str(log))
    assert [(each["rule"], each["subject"], each["done"]) for each in found["signals"]] == [
        ("any", "north-1", "stands"),
        ("any", "north-1", "stands"),
    ]
    assert [each["evidence"] for each in found["signals"]] == [[0, 1], [2, 3]]
    assert found["to_ms"] - found["from_ms"] == 91 * DAY
    shown = licctl.bare("rules", "dry-run", str(rules), "--log", str(log), "--from", "2026-03-01")
    assert (shown.exit_code, licctl.licd.names()) == (0, [])
    assert "1 rules from 2026-03-01T00:00:00Z until 2026-03-01T12:00:00Z: 1 stands" in shown.stdout
    assert "denied = 2 within 1 h; the rule says: denied >= 2" in " ".join(shown.stdout.split())


def test_the_same_log_and_the_same_rules_come_to_the_same(licctl: Licctl, tmp_path: Path):
    rules, log = copied(tmp_path, RULES, ""), exported(tmp_path, DENIALS)
    asked = ("rules", "dry-run", str(rules), "--log", str(log), "--output", "json")
    assert licctl.bare(*asked).stdout == licctl.bare(*asked).stdout


def test_without_a_file_the_rules_in_force_are_tried_over_licds_own_log(licctl: Licctl):
    texts = {"misuse.toml": RULES, "suspension.toml": (SHIPPED / "suspension.toml").read_text()}
    files = [PolicyFile(path=path, text=text) for path, text in texts.items()]
    licctl.licd.on("GetPolicy", GetPolicyResponse(version="v", files=files))
    licctl.licd.on_stream("ExportLog", ExportLogResponse(lines=log_lines(DENIALS)))
    assert len(licctl.json("rules", "dry-run")["signals"]) == 2


def test_a_time_that_ends_before_it_begins_is_refused(licctl: Licctl):
    result = licctl.bare("rules", "dry-run", "--from", "2026-02-02", "--to", "2026-02-01")
    assert result.exit_code == 2
    assert "is not before" in result.stderr


def test_a_log_that_is_none_is_refused(licctl: Licctl, tmp_path: Path):
    rules, log = copied(tmp_path, RULES, ""), tmp_path / "log.jsonl"
    log.write_text("{}\n")
    assert licctl.bare("rules", "dry-run", str(rules), "--log", str(log)).exit_code != 0
    lines = log_lines(DENIALS)
    with pytest.raises(LogInvalid, match="entry 1 is missing"):
        list(entries_of([*lines[:2], lines[3]]))
