"""What came of a run, for people and for programs: the same figures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from simulator.clock import SECOND
from simulator.run import Result

SCHEMA: Final = 1
"""Grows when a key is removed or changes its meaning; new keys may come at any time."""
VIOLATIONS_SHOWN: Final = 20


def figures(result: Result) -> dict[str, Any]:
    """Every figure, by names that stay."""
    verdict = result.verdict
    return {
        "schema": SCHEMA,
        "scenario": result.scenario.title,
        "seed": result.scenario.seed,
        "duration_ms": result.scenario.duration,
        "verdict": "ok" if verdict.sound else "violated",
        "violations": [
            {
                "rule": each.rule.name,
                "licence": each.licence,
                "system": each.system,
                "detail": each.detail,
                "permit": each.permit.hex() if each.permit else "",
                "lease": each.lease or 0,
            }
            for each in verdict.violations
        ],
        "permits": verdict.permits,
        "grants": verdict.grants,
        "denials": dict(verdict.denials),
        "attempts": {
            each.name: {"attempts": tried.attempts, "through": tried.through}
            for each, tried in verdict.attempts.items()
        },
        "acts": {
            "covered": verdict.covered_acts,
            "wrong": verdict.wrong_acts,
            "bypass": sum(count for kinds in verdict.bypass_acts.values() for count in kinds.values()),
        },
        "bypass_by_kind": {
            kind: {each.name: count for each, count in counts.items()} for kind, counts in verdict.bypass_acts.items()
        },
        "stopping": {
            reach.name: {
                "systems": each.systems,
                "median_ms": each.median,
                "longest_ms": each.longest,
                "bound_ms": each.bound,
                "beyond_bound": each.beyond,
            }
            for reach, each in verdict.latencies.items()
        },
        "systems": [
            {
                "name": each.name,
                "kind": each.kind,
                "licence": each.licence,
                "honest": each.honest,
                "outcomes": dict(sorted(each.journal.outcomes.items())),
            }
            for each in result.systems
        ],
        "events": [{"at_ms": each.at, "words": each.words, "trouble": each.trouble} for each in result.told],
        "unmet": list(result.unmet),
    }


def to_json(result: Result) -> str:
    """The figures as a JSON text."""
    return json.dumps(figures(result), indent=2) + "\n"


def in_words(result: Result) -> str:
    """The figures for people."""
    return "\n".join(_lines(result))


def _lines(result: Result) -> Iterator[str]:
    verdict = result.verdict
    kinds = {system.kind for system in result.systems}
    yield f"{len(result.systems)} systems of {len(kinds)} kinds, {verdict.permits} permits"
    yield ""
    yield f"grants   {verdict.grants}"
    yield f"denials  {sum(verdict.denials.values())}"
    for reason, count in verdict.denials.items():
        yield f"  {count:7}  {reason}"
    yield ""
    yield "beyond the licence       attempts  got through"
    for beyond, tried in verdict.attempts.items():
        yield f"  {beyond:22} {tried.attempts:8}  {tried.through or 'none':>11}"
    yield ""
    yield from _stopping_lines(result)
    yield from _act_lines(result)
    yield from _verdict_lines(result)


def _stopping_lines(result: Result) -> Iterator[str]:
    yield "from a suspension to the last act on a target"
    yield "                               systems    median   longest     bound"
    for reach, each in result.verdict.latencies.items():
        spans = "".join(f"{span / SECOND:8.2f} s" for span in (each.median, each.longest, each.bound))
        late = f"  {each.beyond} took longer than the bound" if each.beyond else ""
        yield f"  {reach:28} {each.systems:7}{spans}{late}"
    if not result.verdict.latencies:
        yield "  nobody was at work when one was decided"
    yield "  bound: W of who can be reached (push or pull), W = (L + min(G, age))/(1−ρ) + act of who cannot"
    yield ""


def _act_lines(result: Result) -> Iterator[str]:
    verdict = result.verdict
    yield "acts on targets"
    yield f"  {verdict.covered_acts:7}  under a permit"
    yield f"  {verdict.wrong_acts:7}  of these under a permit that was wrongly valid"
    bypass = sum(count for counts in verdict.bypass_acts.values() for count in counts.values())
    yield f"  {bypass:7}  past any permit: no licence server can stop these"
    for kind, counts in verdict.bypass_acts.items():
        for how, count in counts.items():
            yield f"  {count:11}  {kind}: {how}"
    yield ""


def _verdict_lines(result: Result) -> Iterator[str]:
    violations = result.verdict.violations
    for violation in violations[:VIOLATIONS_SHOWN]:
        where = " ".join(word for word in (violation.licence, violation.system) if word)
        yield f"VIOLATION {violation.rule.name}: {violation.rule}"
        yield f"          {where}: {violation.detail}"
    if len(violations) > VIOLATIONS_SHOWN:
        yield f"          and {len(violations) - VIOLATIONS_SHOWN} more"
    for trouble in (each.words for each in result.told if each.trouble):
        yield f"TROUBLE: {trouble}"
    for unmet in result.unmet:
        yield f"NOT SHOWN: {unmet}"
    if result.verdict.sound:
        yield "The oracle found no violation."
    else:
        yield f"The oracle found {len(violations)} violations. Run again: --seed {result.scenario.seed}"
