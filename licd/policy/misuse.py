"""policies/misuse.toml: what is suspected of what, what follows, and how far rules may go by themselves.

Rules
- A rule speaks of one kind of subject; facts that say nothing about it are refused.
- A rule that suspends names a reason of suspension.toml whose origin is a rule, and is not about licd itself.
- The windows of all rules together have a bounded number of steps: that bounds what is kept in memory and added up.
- judge = false stands alone: no rules, and nothing is judged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from licd.core.misuse import FACTS, MOST, USUAL, USUAL_WINDOWS, Brake, Outcome, Rule, Subject, step_of, unfit
from licd.core.time import DAY, HOUR, MINUTE, Millis
from licd.policy.conditions import ConditionRefused, Conditions
from licd.policy.problems import unknown
from licd.policy.reader import Reader
from licd.policy.suspension import SuspendCode

MOST_RULES: Final = 64
MOST_STEPS: Final = 12_000
LONGEST_WINDOW: Final[Millis] = 90 * DAY
LONGEST_QUIET: Final[Millis] = 90 * DAY
ORIGIN: Final = "rule"


@dataclass(frozen=True, slots=True)
class MisusePolicy:
    """The whole file. acknowledge is how long a signal may wait for a person. judges: False for judge = false."""

    judges: bool
    rules: tuple[Rule, ...]
    brake: Brake
    acknowledge: Millis


NOBODY: Final = MisusePolicy(judges=False, rules=(), brake=Brake(0, DAY), acknowledge=DAY)


def read_misuse(reader: Reader, codes: Mapping[str, SuspendCode]) -> MisusePolicy:
    """Reads the file. codes: the reasons for which policy knows a suspension."""
    if not reader.flag("judge", default=True):
        return NOBODY
    conditions = Conditions(FACTS)
    rules: list[Rule] = []
    steps = 0
    for name, table in reader.named("rule", default={}):
        if len(rules) == MOST_RULES:
            table.note(None, f"too expensive: there are more than {MOST_RULES} rules")
            break
        rule = _read_rule(name, table, conditions, codes)
        steps += _steps(rule)
        if steps > MOST_STEPS:
            table.note(
                None,
                f"too expensive: with this rule the windows have {steps} steps, at most {MOST_STEPS} are let through",
            )
            break
        rules.append(rule)
    brake, acknowledging = reader.table_at("brake"), reader.table_at("acknowledge")
    policy = MisusePolicy(
        judges=True,
        rules=tuple(rules),
        brake=Brake(brake.whole("most", most=1000), brake.span("period_hours", HOUR, most=31 * 24)),
        acknowledge=acknowledging.span("within_hours", HOUR, most=31 * 24),
    )
    brake.done()
    acknowledging.done()
    return policy


def _steps(rule: Rule) -> int:
    """How many steps its windows have: what is kept, and taken off again, for each subject."""
    windows = 1 + (1 + USUAL_WINDOWS if rule.names & USUAL.keys() else 0)
    return windows * rule.window // rule.step


def _read_rule(name: str, reader: Reader, conditions: Conditions, codes: Mapping[str, SuspendCode]) -> Rule:
    word = reader.text("subject", choices=[each.value for each in Subject])
    subject = next((each for each in Subject if each.value == word), Subject.LICENCE)
    word = reader.text("outcome", choices=[each.value for each in Outcome])
    outcome = next((each for each in Outcome if each.value == word), Outcome.ALERT)
    if subject is Subject.INSTALLATION and outcome is Outcome.CASE:
        reader.note("outcome", "a case is about a customer, not about licd itself")
    window = _read_window(reader)
    text = reader.text("when")
    names: frozenset[str] = frozenset()
    holds: Callable[[Mapping[str, int]], bool] = _never
    try:
        condition = conditions.compile(text)
        names, holds = condition.names, condition.holds
    except ConditionRefused as refused:
        if text:
            reader.note("when", f"when: {refused}")
    for each in sorted(names):
        if unfit(each, subject):
            reader.note("when", f"when: {each} says nothing about a {subject}")
    rule = Rule(
        name=reader.name(name),
        description=reader.text("description"),
        subject=subject,
        window=window,
        quiet=reader.span("quiet_hours", HOUR, most=LONGEST_QUIET // HOUR, default=24),
        outcome=outcome,
        code=_read_code(reader, subject, outcome, codes),
        when=text,
        names=names,
        holds=holds,
    )
    reader.done()
    return rule


def _never(facts: Mapping[str, int]) -> bool:
    """Stands for a condition that was refused; nothing built on it is used."""
    return len(facts) > MOST


def _read_window(reader: Reader) -> Millis:
    units = {"window_minutes": MINUTE, "window_hours": HOUR, "window_days": DAY}
    given = [key for key in units if reader.has(key)]
    if len(given) != 1:
        reader.note(None, f"give exactly one of {', '.join(units)}")
        return HOUR
    unit = units[given[0]]
    window = reader.span(given[0], unit, most=LONGEST_WINDOW // unit)
    step = step_of(window)
    if window % step:
        what = f"{step // MINUTE} minutes" if step < HOUR else f"{step // HOUR} hours"
        reader.note(given[0], f"{given[0]}: a window of this length is made of steps of {what}")
        return HOUR
    return window


def _read_code(reader: Reader, subject: Subject, outcome: Outcome, codes: Mapping[str, SuspendCode]) -> str:
    if outcome is not Outcome.SUSPEND:
        if reader.has("code"):
            reader.note("code", f"code is the reason of a suspension, and the outcome is {outcome}")
        return ""
    if subject is Subject.INSTALLATION:
        reader.note("outcome", "a rule about licd itself suspends nobody")
    code = reader.text("code")
    if code and code not in codes:
        reader.note("code", unknown("reason to suspend", code, codes), refers=True)
    elif code and codes[code].origin != ORIGIN:
        reader.note("code", f'{code} is a reason of origin "{codes[code].origin}", not "{ORIGIN}"', refers=True)
    return code
