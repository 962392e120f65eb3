"""licctl report: built of a log as it was exported, whole or not at all, and naming nobody."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from licd.cli.failure import Exit
from licd.cli.report_form import Report
from licd.evidence.entry import SALT_SIZE, seal
from licd.evidence.export import entry_line, header_line
from tests.cli.conftest import NOW, Licctl

PERIOD = ("--from", "2026-01-01", "--to", "2026-04-01")


def log(folder: Path, *entries: dict[str, str]) -> Path:
    """A log of these entries, as `log export` writes it."""
    lines = [header_line("licd.example/licd/log")]
    for index, entry in enumerate(entries):
        fields = [(name, text.encode()) for name, text in {"at": str(NOW), **entry}.items()]
        sealed = seal(fields, bytes(SALT_SIZE * len(fields)))
        lines.append(entry_line(index, sealed.leaf_hash, sealed.encoded))
    path = folder / "log.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def test_a_report_counts_the_log_and_names_nobody(licctl: Licctl, tmp_path: Path):
    path = log(
        tmp_path,
        {"kind": "licence.issued", "licence": "north-1", "customer": "north"},
        {"kind": "licence.suspended", "licence": "north-1", "customer": "north", "code": "report_external"},
        {"kind": "denied.counted", "licence": "north-1", "reason": "CONCURRENT_CAP", "count": "12"},
        {"kind": "case.opened", "case": "C-1", "customer": "north"},
        {"kind": "case.determined", "case": "C-1", "customer": "north", "determination": "inconclusive"},
    )
    text = licctl("report", "build", *PERIOD, "--log", str(path)).stdout
    report = Report.model_validate_json(text)
    assert report.log_entries == 5
    assert (report.totals["licences_suspended"], report.totals["cases_determined"]) == (1, 1)
    assert report.standing_at_end["licences_suspended"] == 1
    assert report.breakdowns["denials_by_reason"].cells == {"CONCURRENT_CAP": 12}
    few = report.breakdowns["suspensions_by_reason"]
    assert (few.cells, few.others, few.left_out) == ({}, 1, "small_cell")
    assert not any(word in text for word in ("north", "C-1", "report_external", "inconclusive"))
    assert licctl.licd.requests == []


def test_it_goes_into_a_new_file(licctl: Licctl, tmp_path: Path):
    path = log(tmp_path, {"kind": "licence.issued", "licence": "north-1"})
    saved = tmp_path / "report.json"
    licctl("report", "build", *PERIOD, "--log", str(path), "--save", str(saved))
    assert Report.model_validate_json(saved.read_text()).totals["licences_issued"] == 1
    assert licctl("report", "build", *PERIOD, "--log", str(path), "--save", str(saved)).exit_code == Exit.USAGE


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda report: report["totals"].pop("licences_suspended"), "licences_suspended is missing"),
        (lambda report: report["totals"].update(glory=1), "glory is no figure"),
        (lambda report: report["ages"].popitem(), "is missing"),
        (lambda report: report["breakdowns"]["determinations"].update(others=3), "has a reason"),
        (lambda report: report.update(customer="north"), "customer"),
    ],
)
def test_a_report_that_lost_or_grew_a_figure_does_not_pass(licctl: Licctl, tmp_path: Path, change: Any, why: str):
    path = log(tmp_path, {"kind": "licence.issued", "licence": "north-1"})
    report = json.loads(licctl("report", "build", *PERIOD, "--log", str(path)).stdout)
    change(report)
    with pytest.raises(ValidationError, match=why):
        Report.model_validate_json(json.dumps(report))


def test_the_schema_names_every_part(licctl: Licctl):
    schema = json.loads(licctl("report", "schema").stdout)
    assert set(schema["required"]) == set(Report.model_fields)


def test_a_period_ends_after_it_begins_and_a_log_is_a_log(licctl: Licctl, tmp_path: Path):
    backwards = licctl("report", "build", "--from", "2026-04-01", "--to", "2026-01-01", "--log", "x")
    assert backwards.exit_code == Exit.USAGE
    path = tmp_path / "no.log"
    path.write_text("nonsense\n")
    assert licctl("report", "build", *PERIOD, "--log", str(path)).exit_code == Exit.UNVERIFIED
