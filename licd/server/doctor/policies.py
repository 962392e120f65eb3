"""The policies that a daemon would load."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from licd.policy import check, load
from licd.policy.problems import PolicyError
from licd.server.doctor.finding import Finding, fail, ok, warn
from licd.server.doctor.patient import Patient

SHOWN: Final = 3


def check_policies(patient: Patient) -> Iterator[Finding]:
    """Whether they can be read, whether their own tests hold, and whether they are still the examples."""
    folder = patient.state.root / patient.config().policies
    todo = f"licctl policy check {folder}"
    try:
        policies = load(folder)
    except PolicyError as error:
        yield fail(_listed([str(each) for each in error.problems]), f"licd does not start on them; {todo}")
        return
    failing = [str(each) for each in check(folder)]
    if failing:
        yield warn(_listed(failing), todo)
    if policies.examples:
        what = f"example figures in {_listed(list(policies.examples), ', ')}"
        yield warn(what, f"put your own figures into {folder} and set example = false there")
    if not failing and not policies.examples:
        yield ok(f"version {policies.version[:12]}, and their tests hold")


def _listed(words: list[str], between: str = "; ") -> str:
    more = f" and {len(words) - SHOWN} more" if len(words) > SHOWN else ""
    return between.join(words[:SHOWN]) + more
