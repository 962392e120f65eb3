"""What is let through as a condition has a value for all facts; what is not is refused with the reason."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from licd.core.misuse import FACTS, MOST
from licd.policy.conditions import TEXT_LIMIT, Condition, ConditionRefused, Conditions

CONDITIONS = Conditions(FACTS)


def compiled(text: str) -> Condition:
    return CONDITIONS.compile(text)


@pytest.mark.parametrize(
    ("text", "facts", "holds"),
    [
        ("granted > 3", {"granted": 4}, True),
        ("granted > 3", {"granted": 3}, False),
        ("granted > 10 * cap && !(denied == 0)", {"granted": 51, "cap": 5, "denied": 1}, True),
        ("granted > 10 * cap && !(denied == 0)", {"granted": 51, "cap": 5, "denied": 0}, False),
        ("granted - denied < -2 || denied != 7", {"granted": 1, "denied": 7}, True),
        ("granted\n  >= cap", {"granted": 5, "cap": 5}, True),
    ],
)
def test_a_condition_is_cel_over_facts(text: str, facts: dict[str, int], holds: bool):
    assert compiled(text).holds(facts) is holds
    assert compiled(text).names == facts.keys()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("granted >", "column 10: Syntax error"),
        ("granted > 1 &&\n cap", "no matching overload for '_&&_'"),
        ("granted", "it is a number; compare it"),
        ("true", "it speaks of no fact"),
        ("grantet > 3", 'unknown fact "grantet"; did you mean "granted"?'),
        ("granted / 2 > 1", "'/' is not part of a condition"),
        ("granted % 2 == 1", "'%' is not part of a condition"),
        ("granted > 1 ? true : false", "'?' is not part of a condition"),
        ("[granted].all(x, x > 1)", "'[' is not part of a condition"),
        ("granted > 'a'", '"\'" is not part of a condition'),
        ("granted > 1.5", "'.' is not part of a condition"),
        ("granted > 1 // 2", "'/' is not part of a condition"),
        ("granted > 1000001", "1000001 is no whole number up to 1000000"),
        ("granted > 0x7", "0x7 is no whole number"),
        ("granted > 1u", "1u is no whole number"),
        ("granted > 99999999999999999999999999", "is no whole number"),
        ("granted * cap * cap > 1", "multiplies once at most"),
        ("(granted * cap + 1) * cap > 1", "multiplies once at most"),
        ("granted > 1" + " " * TEXT_LIMIT, "too expensive"),
        ("(" * 200 + "granted" + ")" * 200 + " > 1", "nested too deeply"),
        ("matches(granted) > 1", 'unknown fact "matches"'),
    ],
)
def test_what_is_no_condition_is_refused_with_the_reason(text: str, reason: str):
    with pytest.raises(ConditionRefused) as refused:
        compiled(text)
    assert reason.lower() in str(refused.value).lower()


SUMS = st.recursive(
    st.sampled_from([*sorted(FACTS)[:6], "0", "1", str(MOST)]),
    lambda sides: st.tuples(sides, st.sampled_from(["+", "-"]), sides).map(lambda each: f"({' '.join(each)})"),
    max_leaves=6,
)
SIDES = st.one_of(SUMS, st.tuples(SUMS, SUMS).map(" * ".join))
COMPARED = st.tuples(SIDES, st.sampled_from(["<", "<=", "==", "!=", ">=", ">"]), SIDES).map(" ".join)
ANYTHING = st.recursive(
    COMPARED,
    lambda parts: st.one_of(
        st.tuples(parts, st.sampled_from(["&&", "||"]), parts).map(lambda each: f"({' '.join(each)})"),
        parts.map(lambda part: f"!({part})"),
    ),
    max_leaves=4,
)


@settings(max_examples=150, deadline=None)
@given(text=ANYTHING, value=st.sampled_from([0, 1, MOST]), other=st.integers(0, MOST))
def test_what_is_let_through_has_a_value_for_whatever_facts_there_are(text: str, value: int, other: int):
    try:
        condition = compiled(text)
    except ConditionRefused as refused:
        assert any(why in str(refused) for why in ("no fact", "too expensive"))
        return
    facts = {name: value if index % 2 else other for index, name in enumerate(sorted(FACTS))}
    python = text.replace("&&", " and ").replace("||", " or ").replace("!(", " not (")
    # The same condition by the interpreter that runs this test, of which every character was made above.
    assert condition.holds(facts) is eval(python, {"__builtins__": {}}, dict(facts))  # noqa: S307


def test_the_largest_that_is_let_through_stays_within_64_bits():
    terms = " + ".join(["cap"] * 20)
    assert compiled(f"({terms}) * ({terms}) == 400 * {MOST} && cap < 0 || cap > 1").holds({"cap": MOST})
    assert compiled(f"({terms}) * ({terms}) >= 1").holds({"cap": MOST})
