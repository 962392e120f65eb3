"""Windows that slide over the log, what rules find at a tick, and when it is told: against a slow oracle."""

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from licd.core.happenings import Happening
from licd.core.history import History
from licd.core.misuse import EVIDENCE, MOST, TICK, Brake, Done, Finding, Outcome, Rule, Subject, is_news, step_of
from licd.core.rehearsal import Rehearsal
from licd.core.time import DAY, HOUR, MINUTE, Instant
from tests.core.misuse_rules import START, denied, granted, issued, numbered, of_system, rule

HELD_BACK = Brake(0, DAY)


def found(rules: Iterable[Rule], happenings: list[Happening], until: Instant) -> list[Finding]:
    history = History(tuple(rules))
    return [*history.follow(happenings), *history.reach(until)]


def at(finding: Finding) -> int:
    """Minutes after the start."""
    return (finding.tick - START) // MINUTE


def many_denied() -> Rule:
    return rule("denied", lambda facts: facts["denied"] >= 3)


# ------------------------------------------------------------------------------------------------------------ windows


def test_what_happened_in_the_window_counts_at_the_tick_after_it_and_no_longer():
    log = numbered(issued(), denied(0), denied(2 * MINUTE), denied(4 * MINUTE))
    ticks = [at(each) for each in found([many_denied()], log, START + 3 * HOUR)]
    assert ticks == list(range(5, 61, 5))


def test_what_happens_at_a_tick_belongs_to_the_window_after_it():
    log = numbered(issued(), denied(0), denied(1), denied(5 * MINUTE))
    assert at(found([many_denied()], log, START + HOUR)[0]) == 10


def test_nothing_is_found_before_time_is_known_to_have_passed():
    log = numbered(issued(), denied(0, times=10))
    assert found([many_denied()], log, START + 5 * MINUTE - 1) == []
    assert [at(each) for each in found([many_denied()], log, START + 5 * MINUTE)] == [5]


@settings(max_examples=60, deadline=None)
@given(
    events=st.lists(
        st.tuples(st.integers(0, 40), st.sampled_from(["a", "b"]), st.integers(1, 5), st.integers(0, 4)), max_size=25
    ),
    hours=st.sampled_from([HOUR, 2 * HOUR]),
)
def test_a_gauge_counts_what_counting_anew_counts(events: list[tuple[int, str, int, int]], hours: int):
    """The oracle counts everything at every tick."""
    events = sorted(events, key=lambda event: event[0])
    log = numbered(
        issued("a"),
        issued("b"),
        *[
            granted(ten * 10 * MINUTE, bytes([target]), licence)
            if times == 1
            else denied(ten * 10 * MINUTE, licence=licence, times=times)
            for ten, licence, times, target in events
        ],
    )
    asked = rule("denied granted distinct_targets", lambda _: True, window=hours)
    told = {(each.subject, each.tick): dict(each.facts) for each in found([asked], log, START + 10 * HOUR)}
    for tick in range(START + TICK, START + 10 * HOUR + 1, TICK):
        for licence in ("a", "b"):
            within = [each for each in log if each.licence == licence and tick - hours <= each.at < tick]
            grants = [each for each in within if each.kind == "lease.granted"]
            expected = {
                "denied": sum(each.times for each in within if each.kind.startswith("denied")),
                "granted": len(grants),
                "distinct_targets": len({each.target for each in grants}),
            }
            assert told.get((licence, tick), dict.fromkeys(expected, 0)) == expected


def test_a_count_beyond_all_is_told_as_the_most():
    [first, *_] = found([many_denied()], numbered(issued(), denied(0, times=10 * MOST)), START + HOUR)
    assert dict(first.facts) == {"denied": MOST}


@pytest.mark.parametrize(("window", "step"), [(HOUR, TICK), (DAY, TICK), (2 * DAY, HOUR), (30 * DAY, DAY)])
def test_long_windows_are_asked_less_often(window: int, step: int):
    assert step_of(window) == step
    log = numbered(issued(), denied(0, times=5))
    ticks = [each.tick for each in found([replace(many_denied(), window=window)], log, START + 2 * DAY)]
    assert ticks
    assert all(tick % step == 0 for tick in ticks)


# --------------------------------------------------------------------------------------------------- subjects, evidence


@pytest.mark.parametrize(
    ("subject", "name"),
    [(Subject.SYSTEM, "north-1/a"), (Subject.LICENCE, "north-1"), (Subject.CUSTOMER, "north")],
)
def test_a_rule_is_about_one_kind_of_subject(subject: Subject, name: str):
    asked = rule("denied", lambda facts: facts["denied"] >= 3, subject=subject)
    [first, *_] = found([asked], numbered(issued(), denied(0), denied(1), denied(2)), START + HOUR)
    assert (first.subject, first.evidence) == (name, (1, 2, 3))


def test_a_customers_licences_are_counted_together():
    asked = rule("denied", lambda facts: facts["denied"] >= 3, subject=Subject.CUSTOMER)
    log = numbered(
        issued("north-1"), issued("north-2"), denied(0), denied(1, licence="north-2"), denied(2, licence="north-2")
    )
    assert {each.subject for each in found([asked], log, START + HOUR)} == {"north"}


def test_licds_own_clock_is_a_subject():
    asked = rule("clock_accepted", lambda facts: facts["clock_accepted"] >= 1, subject=Subject.INSTALLATION)
    log = numbered(issued(), Happening(0, START + 1, "clock.accepted"))
    assert {(each.subject, each.licence) for each in found([asked], log, START + HOUR)} == {("licd", "")}


def test_evidence_is_the_newest_entries_that_count_and_the_terms_that_were_held_against_them():
    asked = rule("denied_concurrent_cap cap", lambda facts: facts["denied_concurrent_cap"] > facts["cap"])
    log = numbered(issued(cap=3), denied(0), *[denied(each * TICK, "CONCURRENT_CAP") for each in range(60)])
    last = found([asked], log, START + 5 * HOUR)[-1]
    assert dict(last.facts) == {"cap": 3, "denied_concurrent_cap": 12}
    assert last.evidence == (0, *range(50, 62))
    flood = numbered(issued(cap=3), *[denied(0, "CONCURRENT_CAP") for _ in range(500)])
    [first, *_] = found([asked], flood, START + HOUR)
    assert first.evidence == (0, *range(493, 501))
    assert len(first.evidence) <= EVIDENCE + 1
    assert first.size == 501


# ------------------------------------------------------------------------------------------------------ limits, usual


def test_the_smallest_limit_that_covers_the_window_counts_and_none_is_the_most():
    asked = rule("denied distinct_limit churn_limit", lambda _: True)
    [first, *_] = found(
        [asked], numbered(issued(distinct=[(7, DAY), (9, HOUR), (4, MINUTE)]), denied(0)), START + 10 * MINUTE
    )
    assert dict(first.facts) == {"denied": 1, "distinct_limit": 7, "churn_limit": MOST}


def test_an_amendments_limits_take_the_place_of_the_old_ones():
    asked = rule("denied cap", lambda _: True)
    log = numbered(issued(cap=5), replace(issued(cap=2), kind="licence.amended", at=START + MINUTE), denied(2 * MINUTE))
    [first, *_] = found([asked], log, START + 10 * MINUTE)
    assert (dict(first.facts)["cap"], first.evidence) == (2, (1, 2))


def test_usual_is_the_mean_of_the_windows_before():
    asked = rule("granted usual_granted usual_known", lambda _: True)
    before = [granted(each * 20 * MINUTE, b"t") for each in range(12)]  # three an hour
    log = numbered(issued(), *before, *[granted(4 * HOUR + each * MINUTE, b"t") for each in range(9)])
    facts = {at(each): dict(each.facts) for each in found([asked], log, START + 5 * HOUR)}
    assert facts[60] == {"granted": 3, "usual_granted": 0, "usual_known": 0}
    assert facts[120] == {"granted": 3, "usual_granted": 3, "usual_known": 1}
    assert facts[300] == {"granted": 9, "usual_granted": 3, "usual_known": 4}


# ------------------------------------------------------------------------------------------------- how things stand


def test_silence_counts_from_the_last_sign_of_life_of_who_may_work():
    asked = rule("silent_minutes", lambda facts: facts["silent_minutes"] >= 60, subject=Subject.SYSTEM)
    log = numbered(
        issued(), of_system(0, "deployment.enrolled"), of_system(1, "session.opened"), of_system(HOUR, "chain.head")
    )
    [first, *_] = found([asked], log, START + 3 * HOUR)
    assert (at(first), first.evidence) == (120, (3,))


@pytest.mark.parametrize(
    "more",
    [
        (),
        (of_system(1, "session.opened"), of_system(2, "licence.suspended", epoch=2)),
        (of_system(1, "session.opened"), of_system(2, "licence.terminated", epoch=2)),
        (of_system(1, "session.opened"), of_system(2, "deployment.revoked")),
        (of_system(1, "session.opened"), of_system(2, "deployment.fenced")),
        (of_system(1, "session.opened"), of_system(2, "deployment.reinvited")),
    ],
    ids=["never-connected", "suspended", "terminated", "revoked", "fenced", "reinvited"],
)
def test_who_may_not_work_may_be_silent(more: tuple[Happening, ...]):
    asked = rule("silent_minutes", lambda facts: facts["silent_minutes"] > 0, subject=Subject.SYSTEM)
    log = numbered(issued(), of_system(0, "deployment.enrolled"), *more)
    assert found([asked], log, START + 3 * HOUR)[1:] == []


STOPPED = (of_system(0, "deployment.enrolled"), of_system(HOUR, "licence.suspended", epoch=4, system=""))


@pytest.mark.parametrize("subject", [Subject.SYSTEM, Subject.LICENCE])
def test_a_stop_that_is_not_acknowledged_stays_open_until_it_is(subject: Subject):
    asked = rule("unacknowledged_minutes", lambda facts: facts["unacknowledged_minutes"] >= 30, subject=subject)
    earlier = of_system(2 * HOUR, "directive.acknowledged", epoch=3)
    right = of_system(3 * HOUR, "directive.acknowledged", epoch=4)
    findings = found([asked], numbered(issued(), *STOPPED, earlier, right), START + 5 * HOUR)
    assert [at(each) for each in findings] == list(range(90, 181, 5))
    assert findings[0].evidence == (2,)


def test_one_more_stop_does_not_make_the_silence_about_the_first_shorter():
    asked = rule("unacknowledged_minutes", lambda facts: facts["unacknowledged_minutes"] >= 150, subject=Subject.SYSTEM)
    again = of_system(3 * HOUR, "licence.suspended", epoch=5, system="")
    first_alone = of_system(3 * HOUR + 1, "directive.acknowledged", epoch=4)
    findings = found([asked], numbered(issued(), *STOPPED, again, first_alone), START + 4 * HOUR)
    assert at(findings[0]) == 210


def test_a_reinstatement_ends_what_was_open():
    asked = rule("unacknowledged_minutes", lambda facts: facts["unacknowledged_minutes"] >= 1, subject=Subject.SYSTEM)
    back = of_system(2 * HOUR, "licence.reinstated", epoch=5, system="")
    findings = found([asked], numbered(issued(), *STOPPED, back), START + 4 * HOUR)
    assert at(findings[-1]) == 120


# ------------------------------------------------------------------------------------------------------- determinism


@settings(max_examples=40, deadline=None)
@given(
    events=st.lists(st.tuples(st.integers(0, 600), st.integers(1, 3)), min_size=1, max_size=30), cut=st.integers(0, 40)
)
def test_who_begins_in_the_middle_finds_what_who_listened_from_the_start_finds(events: list[tuple[int, int]], cut: int):
    log = numbered(issued(), *[denied(minute * MINUTE, times=times) for minute, times in sorted(events)])
    rules = (many_denied(), rule("silent_minutes", lambda facts: facts["silent_minutes"] > 90, subject=Subject.SYSTEM))
    end = START + 12 * HOUR
    whole = found(rules, log, end)
    since = START + cut * TICK
    late = History(rules, asked_after=since)
    rest = [*late.follow(log), *late.reach(end)]
    assert rest == [each for each in whole if each.tick > since]


def test_a_clock_that_goes_back_in_the_log_counts_as_the_time_before():
    log = numbered(issued(), denied(20 * MINUTE), denied(0), denied(1))
    assert at(found([many_denied()], log, START + HOUR)[0]) == 25


# --------------------------------------------------------------------------------------------------- what is told


def rehearsed(rules: Iterable[Rule], brake: Brake, log: list[Happening], hours: int) -> list[tuple[str, int, Done]]:
    rehearsal = Rehearsal(tuple(rules), brake, START, START + hours * HOUR)
    return [(each.finding.subject, at(each.finding), each.done) for each in rehearsal.over(log)]


def test_what_goes_on_is_told_again_when_it_has_been_quiet_long_enough():
    log = numbered(issued(), *[denied(each * 10 * MINUTE) for each in range(30)])
    told = rehearsed([replace(many_denied(), quiet=2 * HOUR)], HELD_BACK, log, 6)
    assert told == [("north-1", 25, Done.ALERTED), ("north-1", 145, Done.ALERTED), ("north-1", 265, Done.ALERTED)]


def test_news_is_what_was_not_told_within_the_quiet_time():
    [first, *_] = found([many_denied()], numbered(issued(), denied(0, times=3)), START + HOUR)
    assert is_news(first, 0)
    assert not is_news(first, first.tick - first.rule.quiet + 1)
    assert is_news(first, first.tick - first.rule.quiet)


def suspending(**changes: object) -> Rule:
    return replace(many_denied(), outcome=Outcome.SUSPEND, code="rule_region", **changes)  # type: ignore[arg-type]


def flood(*licences: str, customer: str = "north") -> list[Happening]:
    return numbered(
        *[issued(each, customer) for each in licences], *[denied(0, licence=each, times=3) for each in licences]
    )


def test_rules_suspend_until_the_brake_holds_them():
    told = rehearsed([suspending()], Brake(2, DAY), flood("a", "b", "c"), 1)
    assert [(name, done) for name, _, done in told] == [
        ("a", Done.SUSPENDED),
        ("b", Done.SUSPENDED),
        ("c", Done.BRAKED),
    ]


def test_a_customer_with_more_licences_than_the_brake_lets_through_is_left_to_a_person():
    rules = [suspending(subject=Subject.CUSTOMER)]
    assert rehearsed(rules, Brake(1, DAY), flood("a", "b"), 1) == [("north", 5, Done.BRAKED)]
    assert rehearsed(rules, Brake(2, DAY), flood("a", "b"), 1) == [("north", 5, Done.SUSPENDED)]


def test_the_brake_lets_go_when_its_period_is_over():
    log = numbered(issued("a"), issued("b"), denied(0, licence="a", times=3), denied(3 * HOUR, licence="b", times=3))
    assert [done for _, _, done in rehearsed([suspending()], Brake(1, 2 * HOUR), log, 4)] == [Done.SUSPENDED] * 2
    assert [done for _, _, done in rehearsed([suspending()], Brake(1, 4 * HOUR), log, 4)][1] is Done.BRAKED


def test_what_was_before_a_reinstatement_counts_no_more_and_what_comes_after_is_news():
    log = numbered(
        issued(),
        denied(0, times=3),
        of_system(10 * MINUTE, "licence.suspended", epoch=2, system="", code="rule_region"),
        of_system(20 * MINUTE, "licence.reinstated", epoch=3, system=""),
        denied(21 * MINUTE, times=2),
        denied(40 * MINUTE),
    )
    told = rehearsed([replace(many_denied(), quiet=DAY, window=2 * HOUR)], HELD_BACK, log, 2)
    assert told == [("north-1", 5, Done.ALERTED), ("north-1", 45, Done.ALERTED)]


def test_a_reinstatement_of_one_licence_leaves_the_others_counts():
    log = numbered(
        issued("north-1"),
        issued("north-2"),
        denied(0, times=3),
        denied(0, licence="north-2", times=3),
        of_system(2 * MINUTE, "licence.suspended", epoch=2, system=""),
        of_system(3 * MINUTE, "licence.reinstated", epoch=3, system=""),
    )
    assert {each.subject for each in found([many_denied()], log, START + HOUR)} == {"north-2"}


@pytest.mark.parametrize(("code", "done"), [("rule_region", Done.STANDS), ("media", Done.SUSPENDED)])
def test_what_is_suspended_for_the_same_reason_is_not_suspended_again(code: str, done: Done):
    stopped = of_system(0, "licence.suspended", epoch=2, system="", code=code)
    log = numbered(issued(), stopped, denied(1, times=3))
    assert rehearsed([suspending()], Brake(5, DAY), log, 1) == [("north-1", 5, done)]


def test_what_has_ended_is_not_suspended():
    log = numbered(issued(), of_system(0, "licence.terminated", epoch=2, system=""), denied(1, times=3))
    assert rehearsed([suspending()], Brake(5, DAY), log, 1) == [("north-1", 5, Done.STANDS)]
