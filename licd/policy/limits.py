"""The figures in which more is more right: what a category bounds and a licence template asks for."""

from __future__ import annotations

from dataclasses import dataclass

from licd.core.terms import GRACE_CEILING, PERMIT_CEILING, TERM_CEILING, Basis
from licd.core.time import DAY, HOUR, SECOND, Millis
from licd.policy.reader import Reader

BASES = {basis.name.lower(): basis for basis in Basis}

# How a person finds each field of Limits in a file.
KEYS = {
    "term": "term_days",
    "concurrent_targets": "concurrent_targets",
    "distinct_targets": "distinct_targets",
    "new_targets": "new_targets",
    "deployments": "deployments",
    "permit": "permit_seconds",
    "grace": "grace_seconds",
    "bases": "bases",
    "authorisation_required": "authorisation_required",
    "attestation_required": "attestation_required",
}


@dataclass(frozen=True, slots=True)
class Volume:
    """At most so many in any window of the period."""

    limit: int
    period: Millis

    def fits(self, ceiling: Volume) -> bool:
        """Whether keeping to this volume keeps to the ceiling, whatever the windows.

        A window of the ceiling is covered by as many of ours as it takes, and each of them may be full.
        """
        windows = -(-ceiling.period // self.period)
        return self.limit * windows <= ceiling.limit


@dataclass(frozen=True, slots=True)
class Limits:
    """One set of limits. Durations in milliseconds; permit is L, grace is G."""

    term: Millis
    concurrent_targets: int
    distinct_targets: Volume
    new_targets: Volume
    deployments: int
    permit: Millis
    grace: Millis
    bases: frozenset[Basis]
    authorisation_required: bool
    attestation_required: bool


def read_limits(reader: Reader) -> Limits:
    """Reads a table of limits, to its end."""
    limits = Limits(
        term=reader.span("term_days", DAY, most=TERM_CEILING // DAY),
        concurrent_targets=reader.whole("concurrent_targets", least=1),
        distinct_targets=_read_volume(reader.table_at("distinct_targets"), "period_days", DAY),
        new_targets=_read_volume(reader.table_at("new_targets"), "period_hours", HOUR),
        deployments=reader.whole("deployments", least=1),
        permit=reader.span("permit_seconds", SECOND, most=PERMIT_CEILING // SECOND),
        grace=reader.span("grace_seconds", SECOND, least=0, most=GRACE_CEILING // SECOND),
        bases=read_bases(reader, "bases"),
        authorisation_required=reader.flag("authorisation_required"),
        attestation_required=reader.flag("attestation_required"),
    )
    reader.done()
    return limits


def read_bases(reader: Reader, key: str) -> frozenset[Basis]:
    """Reads the ways in which a region may be established."""
    return frozenset(BASES[name] for name in reader.texts(key, choices=BASES) if name in BASES)


def exceeded(asked: Limits, ceiling: Limits) -> tuple[str, ...]:
    """The fields in which asked goes beyond the ceiling, in the order of the class."""
    beyond = {
        "term": asked.term > ceiling.term,
        "concurrent_targets": asked.concurrent_targets > ceiling.concurrent_targets,
        "distinct_targets": not asked.distinct_targets.fits(ceiling.distinct_targets),
        "new_targets": not asked.new_targets.fits(ceiling.new_targets),
        "deployments": asked.deployments > ceiling.deployments,
        "permit": asked.permit > ceiling.permit,
        "grace": asked.grace > ceiling.grace,
        "bases": not asked.bases <= ceiling.bases,
        "authorisation_required": ceiling.authorisation_required and not asked.authorisation_required,
        "attestation_required": ceiling.attestation_required and not asked.attestation_required,
    }
    return tuple(field for field, wider in beyond.items() if wider)


def _read_volume(reader: Reader, period_key: str, unit: Millis) -> Volume:
    volume = Volume(reader.whole("limit", least=1), reader.span(period_key, unit))
    reader.done()
    return volume
