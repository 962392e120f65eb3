"""licctl diligence: files read where they lie, opportunities from a file, pages that explain, judgements made again."""

import re
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest

from licd.cli.failure import Exit
from licd.core.diligence import Reading, judge
from licd.core.errors import IllegalTransition
from licd.core.time import DAY
from licd.policy import load
from licd.v1 import diligence_pb2, licence_service_pb2, operator_pb2
from licd.v1 import diligence_service_pb2 as pb
from licd.v1.policy_service_pb2 import GetPolicyResponse, PolicyFile
from licd.wire.diligence import facts_message, judgement_message
from tests.cli.conftest import NOW, Licctl
from tests.policy.make_example_indicators import FOLDER
from tests.policy.workbook import wgi_file, wgi_row

POLICIES = Path(__file__).parents[2] / "policies"
ANSWERS = {
    "relationship": "none",
    "end-user": "documented",
    "authorisation": "court",
    "law": "gaps",
    "opinion": "no",
    "defenders": "no",
    "remedy": "yes",
    "product-class": "narrow",
    "duration": "year",
}
PENDING, REFUSED = diligence_pb2.CHECKLIST_ITEM_STATE_PENDING, diligence_pb2.CHECKLIST_ITEM_STATE_REFUSED
HOSTILE = "<script>alert(1)</script> **[x](http://evil.example)** | \x1b[31m"


def assessment(**changes: object) -> diligence_pb2.Assessment:
    """As licd gives it, judged by the policies that come along."""
    policies = load(POLICIES)
    rules = policies.diligence.rules
    values = dict.fromkeys(rules.floors, 1500) | {"cpi": 55_000}
    readings = [Reading(name, value, 2025, "I-1") for name, value in values.items()]
    judged = judge(rules, readings, ANSWERS)
    words = {factor.name: factor.question for factor in rules.factors}
    found = diligence_pb2.Assessment(
        assessment="D-1",
        customer="north",
        product="locator",
        country="QN",
        category=judged.category,
        judged_category=judged.category,
        term_ms=270 * DAY,
        policy_version=policies.version,
        assessed_at_ms=NOW - DAY,
        assessed_by="anna",
        review_due_ms=NOW + 90 * DAY,
        facts=facts_message(readings, {"I-1": b"f" * 32}, ANSWERS, "locator", 270 * DAY),
        lines=judgement_message(judged, words).lines,
        approvals=2,
        ladder=rules.ladder,
        ceiling=diligence_pb2.CategoryCeiling(term_ms=270 * DAY, concurrent_targets=15, bases=["present_location"]),
        checklist=[diligence_pb2.ChecklistItem(item="survey", description="A survey", state=PENDING)],
        obstacles=["survey is not done"],
    )
    found.MergeFrom(diligence_pb2.Assessment(**changes))  # type: ignore[arg-type]
    return found


def in_force(licctl: Licctl) -> None:
    text = (POLICIES / "diligence.toml").read_text()
    licctl.licd.on("GetPolicy", GetPolicyResponse(files=[PolicyFile(path="diligence.toml", text=text)]))


# ----------------------------------------------------------------------------------------------------------- import


def test_a_publishers_file_is_read_and_its_hash_sent(licctl: Licctl):
    in_force(licctl)
    made = diligence_pb2.Indicators(indicators="I-7", title="Worldwide Governance Indicators", year=2025, rows=24)
    made.unmapped.add(name="GLOBAL AVARAGE")
    made.missing.add(country="QW", dimension="va")
    licctl.licd.on("ImportIndicators", pb.ImportIndicatorsResponse(indicators=made))
    file = FOLDER / "wgi-made-up.xlsx"
    result = licctl("diligence", "import", "wgi", str(file))
    assert result.exit_code == Exit.OK, result.output
    sent = licctl.licd.asked(pb.ImportIndicatorsRequest).file
    assert (sent.source, sent.year, sent.rows, sent.taken) == ("wgi", 2025, 24, 17)
    assert sent.file_sha256 == sha256(file.read_bytes()).digest()
    assert [(each.country, each.dimension) for each in sent.missing] == [("QW", "va")]
    assert [each.code for each in sent.unmapped] == ["QXX"]
    assert {each.country for each in sent.values} == {"QN", "QS", "QW"}
    assert re.search(r"no value +QW va\n", result.output)
    assert re.search(r"no country we know +\(no code\) GLOBAL AVARAGE\n", result.output)


def test_another_year_of_it_can_be_named(licctl: Licctl):
    in_force(licctl)
    licctl.licd.on("ImportIndicators", pb.ImportIndicatorsResponse())
    licctl("diligence", "import", "cpi", str(FOLDER / "cpi-made-up.xlsx"), "--year", "2024")
    sent = licctl.licd.asked(pb.ImportIndicatorsRequest).file
    assert (sent.year, {each.country: each.thousandths for each in sent.values}) == (2024, {"QN": 80_000, "QS": 49_000})


def test_codes_are_mapped_by_the_policy_in_force_and_no_other(licctl: Licctl):
    licctl.licd.on("GetPolicy", GetPolicyResponse(files=[PolicyFile(path="diligence.toml", text="assess = false")]))
    result = licctl("diligence", "import", "wgi", str(FOLDER / "wgi-made-up.xlsx"))
    assert (result.exit_code, licctl.licd.names()) == (Exit.USAGE, ["GetPolicyRequest"])
    assert "no value of 2025 in it" in result.output


def test_what_is_no_publishers_file_is_said_in_one_line_and_nothing_is_sent(licctl: Licctl, tmp_path: Path):
    in_force(licctl)
    file = tmp_path / "odd.xlsx"
    file.write_bytes(wgi_file(wgi_row("NOR", "Norway", 2023, "cc", 97.0)))
    result = licctl("diligence", "import", "wgi", str(file))
    assert result.exit_code == Exit.USAGE
    assert result.output == f"licctl: {file}: row 2: cc of NOR is 97.0, and the scale is -4 to 4\n"
    assert "ImportIndicatorsRequest" not in licctl.licd.names()


def test_an_installation_without_the_policy_says_so(licctl: Licctl):
    licctl.licd.on("GetPolicy", GetPolicyResponse())
    result = licctl("diligence", "import", "wgi", str(FOLDER / "wgi-made-up.xlsx"))
    assert (result.exit_code, "no diligence.toml" in result.output) == (Exit.CONFLICT, True)


def test_values_are_shown_as_their_publisher_writes_them(licctl: Licctl):
    found = diligence_pb2.Indicators(indicators="I-7")
    found.values.add(country="QN", dimension="rl", thousandths=-1_292)
    licctl.licd.on("GetIndicators", pb.GetIndicatorsResponse(indicators=found))
    assert re.search(r"QN +rl +-1\.292\n", licctl("diligence", "indicators", "I-7", "--country", "QN").output)
    assert licctl.licd.asked(pb.GetIndicatorsRequest).country == "QN"


# ----------------------------------------------------------------------------------------------------------- assess


def test_an_opportunity_is_sent_with_the_hashes_of_its_evidence(licctl: Licctl):
    licctl.licd.on("AssessCustomer", pb.AssessCustomerResponse(assessment=assessment()))
    result = licctl("diligence", "assess", str(FOLDER / "north.toml"))
    assert result.exit_code == Exit.OK, result.output
    sent = licctl.licd.asked(pb.AssessCustomerRequest)
    assert (sent.customer, sent.country, sent.product, sent.term_ms) == ("north", "QN", "locator", 270 * DAY)
    assert {each.factor: each.option for each in sent.answers}["remedy"] == "partly"
    shown = {each.item: each for each in sent.evidence}
    assert shown["clause-suspension"].sha256 == sha256((FOLDER / "clause-suspension.txt").read_bytes()).digest()
    assert shown["user-questionnaire"].note == "answered in person, with an interpreter"


PLAIN = 'customer = "north"\ncountry = "QN"\nproduct = "locator"\nlicence_days = 90\n'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("customer = ", "not TOML"),
        (PLAIN.replace("90", "0"), "licence_days: must be a whole number of days, from 1 to 3660"),
        (PLAIN.replace("90", "true"), "licence_days: must be a whole number"),
        (PLAIN.replace('"QN"', "7"), "country: must be a text"),
        (PLAIN + "colour = 1\n", "colour: no such key; there are customer, country"),
        (PLAIN + "answers = 1\n", "answers: must be a table, [answers]"),
        (PLAIN + "[answers]\nlaw = true\n", "answers.law: must be a text"),
        (PLAIN + "[evidence]\nsurvey = 3\n", "evidence.survey: must be a file, or {"),
        (PLAIN + '[evidence]\nsurvey = { note = "x" }\n', "evidence.survey: must be a file, or {"),
        (PLAIN + '[evidence]\nsurvey = "gone.txt"\n', "gone.txt: No such file or directory"),
    ],
)
def test_a_file_that_describes_no_opportunity_is_refused_by_its_key(
    licctl: Licctl, tmp_path: Path, text: str, told: str
):
    file = tmp_path / "north.toml"
    file.write_text(text)
    result = licctl("diligence", "assess", str(file))
    assert (result.exit_code, told in result.output) == (Exit.USAGE, True), result.output
    assert licctl.licd.names() == []


def test_a_page_tells_every_step_and_what_is_in_the_way(licctl: Licctl):
    licctl.licd.on("GetAssessment", pb.GetAssessmentResponse(assessment=assessment()))
    output = licctl("diligence", "show", "D-1").output
    assert output.startswith("north: elevated\nDue diligence for locator in QN, for 270 d.\n")
    assert "low  moderate  [elevated]  high  unacceptable\n" in output
    assert "It went: low → moderate → elevated.\n" in output
    assert re.search(r"cpi +55 \(2025\) +reaches the floor of moderate, 42 +moderate\n", output)
    assert re.search(r"A survey +pending", output)
    assert "survey is not done\n" in output
    assert f"I-1     2025  {b'f'.hex() * 32}\n" in output


class Tags(HTMLParser):
    """Every tag, and every attribute that could fetch or run something."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.reaching: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.reaching += [name for name, _ in attrs if name in {"src", "href", "action"} or name.startswith("on")]


def hostile() -> diligence_pb2.Assessment:
    item = diligence_pb2.ChecklistItem(item="x", description=HOSTILE, note=HOSTILE, state=REFUSED, actor=HOSTILE)
    more = assessment(customer=HOSTILE, override_reason=HOSTILE, overridden_by="anna", obstacles=[HOSTILE])
    more.checklist.append(item)
    more.lines[0].found = HOSTILE
    return more


def test_the_html_page_stands_alone_and_runs_nothing_whoever_is_quoted_in_it(licctl: Licctl, tmp_path: Path):
    licctl.licd.on("GetAssessment", pb.GetAssessmentResponse(assessment=hostile()))
    page = tmp_path / "north.html"
    assert licctl("diligence", "show", "D-1", "--save", str(page)).exit_code == Exit.OK
    text = page.read_text()
    found = Tags()
    found.feed(text)
    assert found.tags & {"script", "link", "img", "iframe", "a", "form"} == set()
    assert found.reaching == []
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "default-src 'none'" in text
    assert "\x1b" not in text
    assert 'aria-current="true">elevated' in text


def test_the_markdown_page_is_text_whoever_is_quoted_in_it(licctl: Licctl, tmp_path: Path):
    licctl.licd.on("GetAssessment", pb.GetAssessmentResponse(assessment=hostile()))
    page = tmp_path / "north.md"
    licctl("diligence", "show", "D-1", "--save", str(page))
    text = page.read_text()
    assert "<script" not in text.replace("\\<", "")
    assert "\\[x\\]" in text
    assert "low → moderate → **elevated** → high → unacceptable" in text


def test_an_existing_file_is_not_overwritten(licctl: Licctl, tmp_path: Path):
    page = tmp_path / "north.html"
    page.write_text("mine")
    result = licctl("diligence", "show", "D-1", "--save", str(page))
    assert (result.exit_code, page.read_text(), licctl.licd.names()) == (Exit.USAGE, "mine", [])


def test_programs_get_the_whole_record(licctl: Licctl):
    licctl.licd.on("GetAssessment", pb.GetAssessmentResponse(assessment=assessment()))
    found = licctl.json("diligence", "show", "D-1")
    assert found["category"] == "elevated"
    assert found["lines"][0]["kind"] == "INDICATOR"
    assert found["facts"]["readings"][0]["thousandths"] == 1_500


# ------------------------------------------------------------------------------------------------ what becomes of it


def test_something_done_is_recorded_by_the_hash_of_what_shows_it(licctl: Licctl, tmp_path: Path):
    file = tmp_path / "survey.pdf"
    file.write_bytes(b"%PDF made up")
    licctl.licd.on("CompleteItem", pb.CompleteItemResponse(assessment=assessment()))
    result = licctl("diligence", "complete", "D-1", "survey", "--evidence", str(file), "--note", "by the desk")
    sent = licctl.licd.asked(pb.CompleteItemRequest)
    assert (sent.evidence.item, sent.evidence.note) == ("survey", "by the desk")
    assert sent.evidence.sha256 == sha256(b"%PDF made up").digest()
    assert "survey is not done" in result.output


def test_something_refused_has_a_reason(licctl: Licctl):
    licctl.licd.on("RefuseItem", pb.RefuseItemResponse(assessment=assessment()))
    licctl("diligence", "refuse", "D-1", "survey", "--detail", "no budget")
    assert licctl.licd.asked(pb.RefuseItemRequest).reason == "no budget"
    assert licctl("diligence", "refuse", "D-1", "survey").exit_code == Exit.USAGE


def test_lists_show_what_there_is(licctl: Licctl):
    review = diligence_pb2.Review(review="R-1", licence="north-1", cause="indicators", detail="low has become high")
    licctl.licd.on("ListReviews", pb.ListReviewsResponse(reviews=[review]))
    licctl.licd.on("ListAssessments", pb.ListAssessmentsResponse(assessments=[assessment()]))
    licctl.licd.on("ListIndicators", pb.ListIndicatorsResponse(indicators=[diligence_pb2.Indicators(year=2025)]))
    assert re.search(r"R-1 +north-1 .*indicators +low has become high", licctl("diligence", "reviews").output)
    assert re.search(r"D-1 +north +locator +QN +elevated +270 d", licctl("diligence", "list").output)
    assert "2025" in licctl("diligence", "indicators").output


def test_a_drill_says_which_epoch_is_to_be_acknowledged(licctl: Licctl):
    drilled = operator_pb2.Licence(licence="north-1", epoch=4)
    licctl.licd.on("DrillLicence", licence_service_pb2.DrillLicenceResponse(licence=drilled))
    result = licctl("licence", "drill", "north-1")
    assert "who has acknowledged epoch 4: licctl deployment get DEPLOYMENT\n" in result.output


def test_a_closed_gate_is_told_with_all_that_is_in_the_way(licctl: Licctl):
    words = "the gate is closed: survey is not done: licctl diligence complete D-1 survey; a review is open"
    licctl.licd.on("IssueLicence", IllegalTransition(words, field="diligence"))
    result = licctl("licence", "issue", "--customer", "north", "--template", "river-police")
    assert result.exit_code == Exit.CONFLICT
    assert words in result.output


# ----------------------------------------------------------------------------------------------------------- replay


def test_the_recorded_facts_come_to_the_same_again(licctl: Licctl):
    licctl.licd.on("GetAssessment", pb.GetAssessmentResponse(assessment=assessment()))
    result = licctl("diligence", "replay", "D-1", "--policies", str(POLICIES))
    assert (result.exit_code, result.output) == (Exit.OK, "D-1: elevated, again, in the same 16 steps\n")


def test_a_record_that_was_changed_is_found_out(licctl: Licctl):
    changed = assessment(judged_category="low")
    changed.facts.readings[0].thousandths = -3_000
    licctl.licd.on("GetAssessment", pb.GetAssessmentResponse(assessment=changed))
    result = licctl("diligence", "replay", "D-1", "--policies", str(POLICIES))
    assert result.exit_code == Exit.UNVERIFIED
    assert "recorded is low, and this comes to unacceptable" in result.output
    assert "step 1: recorded is cc: 1.5 (2025)" in result.output


def test_other_policies_than_it_was_judged_by_are_named(licctl: Licctl):
    licctl.licd.on("GetAssessment", pb.GetAssessmentResponse(assessment=assessment(policy_version="ab" * 32)))
    result = licctl("diligence", "replay", "D-1", "--policies", str(POLICIES))
    assert (result.exit_code, f"it was judged by {'ab' * 32}" in result.output) == (Exit.UNVERIFIED, True)
