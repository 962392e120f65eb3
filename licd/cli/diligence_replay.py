"""The same judgement made again, on another machine, from what was recorded: does the same come out?"""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path

from licd.core.diligence import judge
from licd.policy import load
from licd.v1 import diligence_pb2 as pb
from licd.wire.diligence import facts_from_message, judgement_message


def replayed(found: pb.Assessment, folder: Path) -> list[str]:
    """Each difference in words; none: the record holds. Raises PolicyError for a folder that cannot be read."""
    policies = load(folder)
    differences = []
    if policies.version != found.policy_version:
        differences.append(f"these policies are of version {policies.version}, it was judged by {found.policy_version}")
    readings, answers = facts_from_message(found.facts)
    again = judgement_message(judge(policies.diligence.rules, readings, answers), {})
    if again.category != found.judged_category:
        differences.append(f"recorded is {found.judged_category}, and this comes to {again.category}")
    for at, (one, other) in enumerate(zip_longest(found.lines, again.lines), start=1):
        if _words(one) != _words(other):
            differences.append(f"step {at}: recorded is {_words(one)}, and this comes to {_words(other)}")
    return differences


def _words(line: pb.JudgementLine | None) -> str:
    return f"{line.subject}: {line.found}: {line.effect}: {line.category}" if line else "nothing"
