"""Policies under which a phase can be licensed: one category for it, its heartbeat, its permits; no templates."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Final

from simulator.clock import SECOND
from simulator.crowd.scenario import Phase

CATEGORY: Final = "exercise"
_CATEGORIES: Final = """
# What one licence of a simulated crowd may hold. EXAMPLE.
example = true

[category.exercise]
description = "Simulated systems, simulated targets"
rank = 1
shortest_permit_seconds = 1
least_penalty_years = 0
approvals = 2
review_interval_days = 180

[category.exercise.ceiling]
term_days = 30
concurrent_targets = {leases}
distinct_targets = {{ limit = {volume}, period_days = 30 }}
new_targets = {{ limit = {volume}, period_hours = 24 }}
deployments = {systems}
permit_seconds = {permit}
grace_seconds = {grace}
bases = ["number_plan", "present_location", "declared"]
authorisation_required = false
attestation_required = false

[category.highest]
description = "The highest category may have no grace; nobody is licensed under it here"
rank = 2
shortest_permit_seconds = 1
least_penalty_years = 0
approvals = 2
review_interval_days = 180

[category.highest.ceiling]
term_days = 1
concurrent_targets = 1
distinct_targets = {{ limit = 1, period_days = 30 }}
new_targets = {{ limit = 1, period_hours = 24 }}
deployments = 1
permit_seconds = 1
grace_seconds = 0
bases = ["declared"]
authorisation_required = false
attestation_required = false
"""


def write_policies(example: Path, folder: Path, phase: Phase) -> None:
    """Make a folder of policies from the examples, for this phase."""
    shutil.copytree(example, folder)
    for template in (folder / "licences").iterdir():
        template.unlink()
    leases = phase.leases // phase.licences
    (folder / "categories.toml").write_text(
        _CATEGORIES.format(
            leases=leases,
            volume=volume(phase),
            systems=phase.systems // phase.licences,
            permit=phase.permit // SECOND,
            grace=phase.grace // SECOND,
        )
    )
    (folder / "diligence.toml").write_text("example = true\nassess = false\n")
    _set(folder / "casework.toml", category='"exercise"')
    (folder / "misuse.toml").write_text("example = true\njudge = false\n")
    _set(folder / "defaults.toml", heartbeat_seconds=phase.heartbeat // SECOND, permit_seconds=phase.permit // SECOND)


def volume(phase: Phase) -> int:
    """Targets of one licence over its days: each lease, and each once more."""
    return 2 * phase.leases // phase.licences


def _set(file: Path, **values: int | str) -> None:
    text = file.read_text(encoding="utf-8")
    for key, value in values.items():
        text, found = re.subn(rf"(?m)^{key} = .*$", f"{key} = {value}", text)
        if found != 1:
            raise ValueError(f"{file.name} says {key} {found} times, not once")
    file.write_text(text, encoding="utf-8")
