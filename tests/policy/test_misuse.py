"""policies/misuse.toml: what is read, and what is refused by line with the reason."""

import pytest

from licd.core.misuse import Brake, Outcome, Subject
from licd.core.time import DAY, HOUR
from licd.policy import Policies
from licd.policy.misuse import MOST_RULES
from tests.policy.folder import Folder

FILE = "misuse.toml"
RULE = """
[rule.{name}]
description = "one more"
subject = "{subject}"
window_{unit} = {window}
when = "{when}"
outcome = "{outcome}"
"""


def one_more(name: str = "more", **changes: object) -> str:
    given = {"subject": "licence", "unit": "hours", "window": 24, "when": "denied > 3", "outcome": "alert"}
    return RULE.format(name=name, **{**given, **changes})


def test_reads_rules_windows_and_the_brake(policies: Policies):
    misuse = policies.misuse
    assert (misuse.judges, misuse.brake, misuse.acknowledge) == (True, Brake(3, DAY), DAY)
    region = next(rule for rule in misuse.rules if rule.name == "region-attempts")
    assert (region.subject, region.window, region.quiet) == (Subject.LICENCE, DAY, DAY)
    assert (region.outcome, region.code) == (Outcome.SUSPEND, "rule_region")
    assert region.names == {"denied_region_not_permitted", "denied_region_unknown"}
    assert region.holds({"denied_region_not_permitted": 30, "denied_region_unknown": 10})


def test_every_signal_that_the_log_can_give_has_a_rule(policies: Policies):
    names = frozenset().union(*(rule.names for rule in policies.misuse.rules))
    assert names >= {
        *("denied_region_not_permitted", "denied_region_unknown", "denied_region_bases_disagree"),
        *("denied_concurrent_cap", "denied_distinct_cap", "denied_churn_limit", "denied_purpose_not_permitted"),
        *("denied_licence_suspended", "denied_licence_expired", "distinct_targets", "distinct_limit"),
        *("forks", "clock_accepted", "silent_minutes", "unacknowledged_minutes", "usual_granted", "cap"),
    }


def test_judge_false_stands_alone(folder: Folder):
    folder.write(FILE, "example = false\njudge = false\n")
    assert folder.load().misuse.rules == ()
    folder.write(FILE, "example = false\njudge = false\n[brake]\nmost = 1\n")
    assert any('unknown key "brake"' in each for each in folder.problems())


@pytest.mark.parametrize(
    ("changes", "key", "reason"),
    [
        ({"when": "denied >"}, "when", "when: column"),
        ({"when": "denied_cap > 1"}, "when", 'unknown fact "denied_cap"'),
        ({"when": "denied * denied * denied > 1"}, "when", "multiplies once at most"),
        ({"when": "denied > 1" + " " * 700}, "when", "too expensive"),
        ({"subject": "everybody"}, "subject", 'unknown subject "everybody"'),
        ({"subject": "customer", "when": "denied > cap"}, "when", "cap says nothing about a customer"),
        ({"subject": "installation", "when": "silent_minutes > 1"}, "when", "says nothing about a installation"),
        ({"outcome": "terminate"}, "outcome", 'unknown outcome "terminate"'),
        ({"outcome": "suspend"}, None, "code is missing"),
        ({"window": 0}, "window_hours", "must be a whole number from 1"),
        ({"unit": "days", "window": 91}, "window_days", "must be a whole number from 1 to 90"),
        ({"unit": "minutes", "window": 7}, "window_minutes", "made of steps of 5 minutes"),
        ({"unit": "minutes", "window": 1450}, "window_minutes", "made of steps of 1 hours"),
    ],
)
def test_a_bad_rule_is_refused_at_its_line(folder: Folder, changes: dict[str, object], key: str | None, reason: str):
    folder.append(FILE, one_more("more", **changes))
    line = folder.line(FILE, "rule", "more", *([key] if key else []))
    assert any(each.startswith(f"{FILE}:{line}: ") and reason in each for each in folder.problems())


def test_a_rule_has_a_name_of_small_letters(folder: Folder):
    folder.append(FILE, one_more("Grand"))
    assert any(each.startswith(f"{FILE}:") and "must be small letters" in each for each in folder.problems())


def test_exactly_one_window(folder: Folder):
    folder.append(FILE, one_more() + "window_days = 1\n")
    [problem] = folder.problems()
    assert "give exactly one of window_minutes, window_hours, window_days" in problem


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("whim", 'unknown reason to suspend "whim"'),
        ("media", 'media is a reason of origin "report", not "rule"'),
    ],
)
def test_a_rule_suspends_for_a_reason_of_rules(folder: Folder, code: str, reason: str):
    folder.append(FILE, one_more(outcome="suspend") + f'code = "{code}"\n')
    assert [each for each in folder.problems() if reason in each]


def test_a_code_without_a_suspension_is_refused(folder: Folder):
    folder.append(FILE, one_more() + 'code = "rule_region"\n')
    assert any("code is the reason of a suspension" in each for each in folder.problems())


def test_nobody_suspends_licd_itself(folder: Folder):
    text = one_more(subject="installation", when="clock_restarts > 1", outcome="suspend")
    folder.append(FILE, text + 'code = "clock"\n')
    assert any("a rule about licd itself suspends nobody" in each for each in folder.problems())


def test_more_rules_than_can_be_asked_are_too_expensive(folder: Folder):
    folder.append(FILE, "".join(one_more(f"more-{number}", window=1) for number in range(MOST_RULES)))
    [problem] = folder.problems()
    assert f"too expensive: there are more than {MOST_RULES} rules" in problem


def test_windows_of_more_steps_than_can_be_kept_are_too_expensive(folder: Folder):
    when = "usual_known > 1 && granted > usual_granted"
    folder.append(FILE, "".join(one_more(f"more-{number}", when=when) for number in range(10)))
    [problem] = folder.problems()
    assert "too expensive: with this rule the windows have" in problem
    assert problem.startswith(f"{FILE}:{folder.line(FILE, 'rule', 'more-4')}: ")


def test_a_case_that_does_not_come_true_is_told(folder: Folder):
    folder.edit("misuse.test.toml", 'expect = ["region-attempts licence-1 suspended"]', "expect = []")
    [problem] = folder.problems()
    assert 'expected [], got ["region-attempts licence-1 suspended"]' in problem


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ('{ minute = 0, denied = "WHIM" }', 'unknown denied "WHIM"'),
        ('{ minute = 0, kind = "lease.stolen" }', 'unknown kind "lease.stolen"'),
        ('{ minute = 0, granted = "old" }', 'unknown granted "old"'),
        ('{ minute = 0, granted = "new", often = 3 }', 'unknown key "often"'),
        ('{ minute = 0, granted = "new", times = 100001 }', "times must be a whole number"),
    ],
)
def test_a_case_that_tells_of_nothing_is_refused(folder: Folder, event: str, reason: str):
    case = f'\n[[case]]\nname = "odd"\ngiven = {{ hours = 1, events = [{event}] }}\nexpect = []\n'
    folder.append("misuse.test.toml", case)
    assert any(reason in each for each in folder.problems())


def test_a_quiet_time_is_a_day_where_none_is_said(folder: Folder):
    folder.append(FILE, one_more())
    assert next(each.quiet for each in folder.load().misuse.rules if each.name == "more") == 24 * HOUR
