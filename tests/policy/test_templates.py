import pytest

from licd.core.regions import expand
from licd.core.terms import (
    MANDATORY,
    AuthorisationRequired,
    Basis,
    Constraint,
    DeploymentAddresses,
    DeploymentRegions,
    Offences,
    OverlayRequired,
    ProtectedPersonAttestation,
    TargetRegions,
    Terms,
    check_terms,
    rights_of,
)
from licd.core.time import DAY, SECOND
from licd.policy import Policies, TermsTemplate
from licd.policy.limits import Volume
from tests.policy.folder import Folder

ALPS = "licences/alpine-forensics.toml"
RESCUE = "licences/coastal-rescue.toml"
TERROR = "licences/counter-terror-desk.toml"


def kinds(template: TermsTemplate) -> set[type[Constraint]]:
    return {type(constraint) for constraint in template.constraints()}


def test_reads_a_template(policies: Policies):
    template = policies.templates["alpine-forensics"]
    assert template.customer == "Eastern Alps Forensic Laboratory (fictional)"
    assert template.term == 180 * DAY
    assert template.limits.distinct_targets == Volume(40, 90 * DAY)
    assert template.limits.bases == {Basis.NUMBER_PLAN, Basis.PRESENT_LOCATION}
    assert template.target_regions == {"AT-7", "AT-8", "DE-BY", "IT-BZ", "CH"}
    assert template.deployment_addresses == frozenset(("192.0.2.0/24", "2001:db8:a1::/48"))
    assert template.authorisation_max_life == 60 * DAY


def test_a_scheme_of_offences_is_written_out(policies: Policies):
    offences = policies.templates["alpine-forensics"].offences
    assert offences is not None
    assert len(offences) == 16
    assert not [code for code in offences if "*" in code]


def test_what_is_absent_does_not_limit(policies: Policies):
    rescue = policies.templates["coastal-rescue"]
    assert rescue.offences is None
    assert rescue.deployment_addresses is None
    assert not kinds(rescue) & {Offences, DeploymentAddresses, AuthorisationRequired, ProtectedPersonAttestation}
    assert DeploymentRegions in kinds(rescue)


def test_a_template_can_demand_overlays(folder: Folder):
    folder.edit(ALPS, "conditions = [", 'overlays = ["export-at", "domestic-at"]\nconditions = [')
    template = folder.load().templates["alpine-forensics"]
    demanded = [each.authority for each in template.constraints() if isinstance(each, OverlayRequired)]
    assert demanded == ["export-at", "domestic-at"]


def test_every_template_gives_terms_that_core_accepts(policies: Policies):
    for template in policies.templates.values():
        terms = Terms(
            licence="L",
            customer="C",
            issuer="I",
            revision=1,
            issued_at=1,
            not_before=1,
            not_after=1 + template.term,
            product=template.product,
            category=template.category,
            policy_version=policies.version,
            lineage="L",
            constraints=template.constraints(),
            conditions=template.conditions,
        )
        check_terms(terms)
        rights = rights_of(terms)
        assert kinds(template) >= set(MANDATORY)
        assert rights.cap == template.limits.concurrent_targets
        assert rights.regions == template.target_regions
        assert rights.attestation is template.limits.attestation_required
        assert rights.length == template.limits.permit


def test_regions_are_plain_codes(policies: Policies):
    for template in policies.templates.values():
        targets = next(each for each in template.constraints() if isinstance(each, TargetRegions))
        assert expand(targets.regions) == targets.regions


def test_the_highest_category_has_no_grace_and_a_permit_of_seconds(policies: Policies):
    limits = policies.templates["counter-terror-desk"].limits
    assert limits.grace == 0
    assert limits.permit == 15 * SECOND


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        (ALPS, "term_days = 180", "term_days = 181", "term_days is beyond the ceiling of category elevated: 180"),
        (
            ALPS,
            "grace_seconds = 300",
            "grace_seconds = 301",
            "grace_seconds is beyond the ceiling of category elevated: 300",
        ),
        (ALPS, "concurrent_targets = 6", "concurrent_targets = 9", "concurrent_targets is beyond"),
        (ALPS, "{ limit = 40, period_days = 90 }", "{ limit = 40, period_days = 30 }", "distinct_targets is beyond"),
        (ALPS, "authorisation_required = true", "authorisation_required = false", "authorisation_required is beyond"),
        (TERROR, "grace_seconds = 0", "grace_seconds = 1", "grace_seconds is beyond the ceiling of category high: 0"),
        (TERROR, 'bases = ["present_location"]', 'bases = ["number_plan"]', "category high: present_location"),
        (TERROR, "permit_seconds = 15", "permit_seconds = 9", "permit_seconds must be at least 10"),
        (TERROR, "permit_seconds = 15", "permit_seconds = 8", "must be more than heartbeat + rpc_timeout"),
        (
            TERROR,
            '"aia2:terrorism"',
            '"eaw:terrorism"',
            "eaw:terrorism is from 3 years; category high asks for 4 or more",
        ),
        (TERROR, 'category = "high"', 'category = "hgih"', 'unknown category "hgih"; did you mean "high"?'),
        (TERROR, 'category = "high"', 'category = "unacceptable"', "no licence may be issued in category unacceptable"),
        (TERROR, "licd:terrorism", "licd:terorism", 'unknown purpose "licd:terorism"; did you mean "licd:terrorism"?'),
        (TERROR, "licd:terrorism", "licd:political-activity", "licd:political-activity is prohibited: Political"),
        (TERROR, "aia2:terrorism", "aia3:*", 'unknown offence "aia3:*"'),
        (
            TERROR,
            'target_regions = ["western-balkans"]',
            'target_regions = ["western-balkan"]',
            'mean "western-balkans"?',
        ),
        (TERROR, 'target_regions = ["western-balkans"]', 'target_regions = ["m49:001"]', 'unknown region "m49:001"'),
        (TERROR, 'target_regions = ["western-balkans"]', "target_regions = []", "an empty list permits nothing"),
        (TERROR, 'target_regions = ["western-balkans"]\n', "", "target_regions is missing"),
        (TERROR, 'offences = ["euud-il:terrorist-act", "aia2:terrorism"]\n', "", "needs an offence with each lease"),
        (TERROR, '"cooperation"', '"co-operation"', 'unknown condition "co-operation"; did you mean "cooperation"?'),
        (TERROR, "198.51.100.16/28", "198.51.100.16/27", "has host bits set"),
        (TERROR, "198.51.100.16/28", "198.51.100.16", 'write "198.51.100.16/32" for "198.51.100.16"'),
        (TERROR, "198.51.100.16/28", "2001:DB8::/32", 'write "2001:db8::/32" for "2001:DB8::/32"'),
        (TERROR, "198.51.100.16/28", "the office", "not an address range"),
        (RESCUE, 'deployment_regions = ["NO"]', "deployment_regions = []", "an empty list permits nothing"),
        (RESCUE, "deployments = 4", "deployments = 4\nsystems = 4", 'unknown key "systems"'),
        (RESCUE, 'product = "locator"', "", "product is missing"),
    ],
)
def test_refuses_a_template_beyond_its_category_or_the_vocabulary(
    folder: Folder, file: str, old: str, new: str, told: str
):
    line = folder.text(file).split(old)[0].count("\n") + 1
    folder.edit(file, old, new)
    problems = [problem for problem in folder.problems() if told in problem]
    assert len(problems) == 1
    place = int(problems[0].split(":")[1])
    assert problems[0].startswith(f"{file}:")
    if new:
        assert place == line + new.count("\n")


def test_a_template_is_named_by_its_file(folder: Folder):
    (folder.path / TERROR).rename(folder.path / "licences/Desk 9.toml")
    assert any('licences/Desk 9.toml:1: "Desk 9" must be small letters' in problem for problem in folder.problems())
