"""Terms as files and as short options: what is sent is what was said, and what is not understood is refused."""

from pathlib import Path

import pytest

from licd.cli.amendment import difference, draft_of
from licd.cli.failure import Stopped
from licd.cli.terms_file import read_terms, write_terms
from licd.cli.terms_words import NOT_UNDERSTOOD, constraint_words
from licd.core.time import DAY, SECOND
from licd.v1 import licence_pb2 as pb
from licd.v1 import licence_service_pb2 as licences
from tests.cli.conftest import NOW, Licctl
from tests.cli.samples import licence, terms

HEAD = 'product = "p"\ncategory = "c"\nnot_before = 2026-01-01\nnot_after = 2027-01-01T00:00:00Z\n'


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "terms.toml"
    file.write_text(text)
    return file


def test_terms_written_to_a_file_come_back_the_same(tmp_path: Path) -> None:
    every = terms()
    every.constraints.extend(
        [
            pb.Constraint(target_churn=pb.TargetChurn(limit=1, period_ms=DAY)),
            pb.Constraint(deployment_regions=pb.DeploymentRegions()),
            pb.Constraint(deployment_addresses=pb.DeploymentAddresses(ranges=["192.0.2.0/24"])),
            pb.Constraint(offences=pb.Offences(offences=["example:homicide"])),
            pb.Constraint(offences=pb.Offences(offences=[])),
            pb.Constraint(concurrent_targets=pb.ConcurrentTargets(limit=9)),
            pb.Constraint(overlay_required=pb.OverlayRequired(authority="export-qn")),
        ]
    )
    back = read_terms(written(tmp_path, write_terms(every)))
    assert difference(draft_of(every), back) == []
    assert len(back.constraints) == len(every.constraints)
    assert sorted(one.SerializeToString() for one in back.constraints) == sorted(
        one.SerializeToString() for one in every.constraints
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("product = ", "not TOML"),
        ('produkt = "x"', "produkt: no such key; there are category, constraints, not_after, not_before, product"),
        (HEAD, "constraints: must be there, and a table"),
        (HEAD.replace("2026-01-01", '"soon"') + "[constraints]", "not_before: 'soon' is no instant"),
        (HEAD.replace("2026-01-01", "2026-01-01T00:00:00") + "[constraints]", "not_before: must name its offset"),
        (
            HEAD + "[constraints]\ncap = 3",
            "constraints.cap: no such key; there are authorisation_required, concurrent_",
        ),
        (HEAD + "[constraints]\nconcurrent_targets = -1", "concurrent_targets: must be a whole number, 0 or more"),
        (HEAD + "[constraints]\nconcurrent_targets = true", "concurrent_targets: must be a whole number, 0 or more"),
        (HEAD + "[constraints]\npermit_length = 20", 'permit_length: must be there, and a text as "20s"'),
        (HEAD + '[constraints]\npermit_length = "20"', "permit_length: '20' is no duration"),
        (HEAD + '[constraints]\ntarget_regions = ["DE"]', "target_regions: must be a table with bases and regions"),
        (
            HEAD + '[constraints]\ntarget_regions = { regions = ["DE"], bases = ["guess"] }',
            "bases: 'guess' is no basis; there are number_plan, present_location, declared",
        ),
        (HEAD + "[constraints]\nprotected_person_attestation = false", "attestation: write true, or leave it out"),
        (HEAD + "[constraints]\ndeployments = " + "9" * 5000, "not TOML: "),
        (HEAD + "[constraints]\ndeployments = " + "[" * 3000, "not TOML: "),
        (HEAD + '[constraints]\npurposes = "x"', 'purposes: must be a list of texts, as ["DE", "FR"]'),
    ],
)
def test_a_file_that_is_not_right_is_refused_by_key(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(Stopped) as stopped:
        read_terms(written(tmp_path, text))
    assert why in str(stopped.value)
    assert stopped.value.exit == 2


def test_a_limit_that_is_not_understood_is_not_written_to_a_file() -> None:
    newer = terms()
    newer.constraints.add()
    with pytest.raises(Stopped, match="a limit that this licctl does not understand"):
        write_terms(newer)


def test_a_limit_that_is_not_understood_says_so_in_words() -> None:
    assert constraint_words(pb.Constraint()) == NOT_UNDERSTOOD


def test_an_empty_set_is_said_to_permit_nothing() -> None:
    assert constraint_words(pb.Constraint(purposes=pb.Purposes())) == "only for the purposes nothing: permits nothing"


def amended(licctl: Licctl, *options: str) -> licences.AmendLicenceRequest:
    licctl.licd.on("GetLicence", licences.GetLicenceResponse(licence=licence()))
    licctl.licd.on("AmendLicence", licences.AmendLicenceResponse(licence=licence()))
    result = licctl("licence", "amend", "acme-1", *options)
    assert result.exit_code == 0, result.output
    return licctl.licd.asked(licences.AmendLicenceRequest)


def test_an_amendment_sends_the_whole_terms_with_what_is_different(licctl: Licctl) -> None:
    sent = amended(licctl, "--cap", "1", "--regions", "FR", "--grace", "60s", "--permit-length", "10s")
    assert sent.version == 7
    changed = {one.WhichOneof("kind"): one for one in sent.terms.constraints}
    assert changed["concurrent_targets"].concurrent_targets.limit == 1
    assert list(changed["target_regions"].target_regions.regions) == ["FR"]
    assert len(changed["target_regions"].target_regions.bases) == 2
    assert changed["offline_grace"].offline_grace.grace_ms == 60 * SECOND
    assert changed["permit_length"].permit_length.length_ms == 10 * SECOND
    assert len(sent.terms.constraints) == len(terms().constraints)
    assert (sent.terms.product, sent.terms.not_after_ms) == ("sample", NOW + 30 * DAY)


def test_an_amendment_shows_what_goes_and_what_comes(licctl: Licctl) -> None:
    licctl.licd.on("GetLicence", licences.GetLicenceResponse(licence=licence()))
    licctl.licd.on("AmendLicence", licences.AmendLicenceResponse(licence=licence()))
    shown = licctl("licence", "amend", "acme-1", "--cap", "1", "--not-after", "2026-03-10").stdout
    assert shown.splitlines()[:4] == [
        "- valid until 2026-03-31T12:00:00Z",
        "+ valid until 2026-03-10T00:00:00Z",
        "- at most 2 targets at one time, cooling seats included",
        "+ at most 1 target at one time, cooling seats included",
    ]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ((), "say what shall change: --terms FILE, or one of --cap, --regions, --not-after …"),
        (("--cap", "2"), "acme-1 has these terms already: nothing to change"),
    ],
)
def test_an_amendment_that_changes_nothing_is_refused(licctl: Licctl, options: tuple[str, ...], why: str) -> None:
    licctl.licd.on("GetLicence", licences.GetLicenceResponse(licence=licence()))
    result = licctl("licence", "amend", "acme-1", *options)
    assert result.exit_code == 2
    assert result.stderr == f"licctl: {why}\n"


def test_a_short_option_does_not_guess_which_of_two_limits_is_meant(licctl: Licctl) -> None:
    doubled = licence()
    doubled.terms.constraints.add().concurrent_targets.limit = 9
    licctl.licd.on("GetLicence", licences.GetLicenceResponse(licence=doubled))
    result = licctl("licence", "amend", "acme-1", "--cap", "1")
    assert result.exit_code == 2
    assert "--cap: the licence has 2 limits of the kind concurrent_targets; say all terms with --terms" in result.stderr


def test_the_terms_of_a_licence_can_be_edited_and_sent_back(licctl: Licctl, tmp_path: Path) -> None:
    licctl.licd.on("GetLicence", licences.GetLicenceResponse(licence=licence()))
    licctl.licd.on("AmendLicence", licences.AmendLicenceResponse(licence=licence()))
    text = licctl("licence", "get", "acme-1", "--terms").stdout
    file = written(tmp_path, text.replace("concurrent_targets = 2", "concurrent_targets = 1"))
    assert licctl("licence", "amend", "acme-1", "--terms", str(file)).exit_code == 0
    sent = licctl.licd.asked(licences.AmendLicenceRequest).terms
    assert sent.constraints[0].concurrent_targets.limit == 1


def test_issues_from_a_template(licctl: Licctl) -> None:
    licctl.licd.on("IssueLicence", licences.IssueLicenceResponse(licence=licence()))
    issue = ("licence", "issue", "--customer", "acme", "--template", "moderate", "--licence", "acme-1")
    assert licctl(*issue, "--not-before", "2026-04-01").exit_code == 0
    sent = licctl.licd.asked(licences.IssueLicenceRequest)
    assert (sent.template, sent.licence, sent.not_before_ms) == (
        "moderate",
        "acme-1",
        NOW + 30 * DAY + 12 * 3600 * 1000,
    )


def test_issues_with_terms_from_a_file_and_saves_the_token(licctl: Licctl, tmp_path: Path) -> None:
    licctl.licd.on("IssueLicence", licences.IssueLicenceResponse(licence=licence()))
    file = written(tmp_path, write_terms(terms()))
    save = tmp_path / "acme-1.licence"
    assert licctl("licence", "issue", "--customer", "acme", "--terms", str(file), "--save", str(save)).exit_code == 0
    assert save.read_text().startswith("-----BEGIN LICD LICENCE-----")
    sent = licctl.licd.asked(licences.IssueLicenceRequest)
    assert sent.WhichOneof("source") == "terms"
    assert len(sent.terms.constraints) == len(terms().constraints)


def test_a_licence_is_issued_from_exactly_one_source(licctl: Licctl) -> None:
    result = licctl("licence", "issue", "--customer", "acme")
    assert (result.exit_code, result.stderr) == (2, "licctl: --template, --terms: give exactly one of the two\n")


def test_renews_at_the_version_that_was_seen(licctl: Licctl) -> None:
    licctl.licd.on("GetLicence", licences.GetLicenceResponse(licence=licence()))
    licctl.licd.on("RenewLicence", licences.RenewLicenceResponse(licence=licence()))
    assert licctl("licence", "renew", "acme-1", "--not-after", "2027-01-01").exit_code == 0
    assert licctl.licd.asked(licences.RenewLicenceRequest).version == 7
