"""licctl case: what is sent, what is shown, what is refused before anything is sent."""

from hashlib import sha256
from pathlib import Path

from licd.v1 import case_pb2
from licd.v1 import case_service_pb2 as pb
from tests.cli.conftest import NOW, Licctl

CASE = case_pb2.Case(
    case="C-1",
    customer="north",
    licence="north-1",
    code="media",
    summary="a newspaper",
    signal="G-1",
    state=case_pb2.CASE_STATE_MORE_INFORMATION,
    state_since_ms=NOW,
    opened_at_ms=NOW,
    opened_by="anna",
    acknowledge_by_ms=NOW,
    round=2,
    steps=[
        case_pb2.CaseStep(step="interviews", mandatory=True, state=case_pb2.CASE_STEP_STATE_PENDING),
        case_pb2.CaseStep(
            step="journal",
            mandatory=True,
            state=case_pb2.CASE_STEP_STATE_DONE,
            evidence=b"\xab" * 32,
            actor="anna",
            note="\x1b[31mseen",
        ),
        case_pb2.CaseStep(step="advice", state=case_pb2.CASE_STEP_STATE_REFUSED, actor="anna", note="no time"),
    ],
    determination=case_pb2.DETERMINATION_NO_MISUSE,
    reasons="nothing there",
    determined_at_ms=NOW,
    remedies=[case_pb2.CaseRemedy(remedy="terminate", licence="north-1")],
    obstacles=["interviews is neither done nor refused"],
)


def test_a_case_is_shown_with_its_steps(licctl: Licctl):
    licctl.licd.on("GetCase", pb.GetCaseResponse(case=CASE))
    shown = licctl("case", "show", "C-1").stdout
    told = (
        "C-1, round 2",
        "more-information",
        "journal: done by anna, evidence abab",
        "advice (optional): refused by anna",
    )
    assert all(words in shown for words in (*told, "interviews is neither", "no-misuse", "terminate: licence north-1"))
    assert "\x1b" not in shown
    assert licctl.json("case", "show", "C-1")["case"] == "C-1"


def test_cases_are_listed(licctl: Licctl):
    licctl.licd.on("ListCases", pb.ListCasesResponse(cases=[CASE]))
    shown = licctl("case", "list", "--customer", "north", "--ended").stdout
    assert "more-information" in shown
    asked = licctl.licd.asked(pb.ListCasesRequest)
    assert (asked.customer, asked.ended) == ("north", True)


def test_a_case_is_opened_for_a_signal(licctl: Licctl):
    licctl.licd.on("OpenCase", pb.OpenCaseResponse(case=CASE))
    assert licctl("case", "open", "--signal", "G-1", "--reason", "media", "--summary", "s").exit_code == 0
    asked = licctl.licd.asked(pb.OpenCaseRequest)
    assert (asked.signal, asked.code, asked.summary) == ("G-1", "media", "s")


def test_a_case_is_moved_by_the_state_s_word(licctl: Licctl):
    licctl.licd.on("MoveCase", pb.MoveCaseResponse(case=CASE))
    assert licctl("case", "move", "C-1", "more-information", "--note", "asked him").exit_code == 0
    asked = licctl.licd.asked(pb.MoveCaseRequest)
    assert (asked.state, asked.note) == (case_pb2.CASE_STATE_MORE_INFORMATION, "asked him")
    assert licctl("case", "move", "C-1", "guilty", "--note", "n").exit_code == 2


def test_of_evidence_the_hash_alone_is_sent(licctl: Licctl, tmp_path: Path):
    file = tmp_path / "minutes.txt"
    file.write_text("what was said")
    licctl.licd.on("CompleteStep", pb.CompleteStepResponse(case=CASE))
    assert licctl("case", "complete", "C-1", "interviews", "--evidence", str(file)).exit_code == 0
    assert licctl.licd.asked(pb.CompleteStepRequest).evidence == sha256(b"what was said").digest()


def test_a_step_is_refused_and_a_case_reopened_with_a_reason(licctl: Licctl):
    licctl.licd.on("RefuseStep", pb.RefuseStepResponse(case=CASE))
    licctl.licd.on("ReopenCase", pb.ReopenCaseResponse(case=CASE))
    licctl("case", "refuse", "C-1", "interviews", "--detail", "he left")
    licctl("case", "reopen", "C-1", "--detail", "new facts")
    assert licctl.licd.asked(pb.RefuseStepRequest).reason == "he left"
    assert licctl.licd.asked(pb.ReopenCaseRequest).reason == "new facts"


def test_a_determination_says_what_follows_for_which_licence(licctl: Licctl):
    licctl.licd.on("DetermineCase", pb.DetermineCaseResponse(case=CASE))
    asked = ("case", "determine", "C-1", "misuse", "--detail", "shown", "--remedy")
    assert licctl(*asked, "terminate:north-1").exit_code == 0
    request = licctl.licd.asked(pb.DetermineCaseRequest)
    assert (request.determination, request.reasons) == (case_pb2.DETERMINATION_MISUSE, "shown")
    assert [(each.remedy, each.licence) for each in request.remedies] == [("terminate", "north-1")]
    result = licctl(*asked, "terminate")
    assert result.exit_code == 2
    assert "want REMEDY:LICENCE" in result.stderr
