"""policies/defaults.toml: the protocol's figures, from which every bound on stopping is computed."""

from __future__ import annotations

from dataclasses import dataclass

from licd.core.bounds import Timing
from licd.core.terms import GRACE_CEILING, PERMIT_CEILING
from licd.core.time import HOUR, SECOND, Millis
from licd.policy.reader import Reader

_HOUR_SECONDS = HOUR // SECOND


@dataclass(frozen=True, slots=True)
class Defaults:
    """Figures of the installation, and the L and G of a licence that says nothing else."""

    timing: Timing
    permit: Millis
    grace: Millis


def read_defaults(reader: Reader) -> Defaults:
    """Reads the file."""
    defaults = Defaults(
        timing=_read_timing(reader),
        permit=reader.span("permit_seconds", SECOND, most=PERMIT_CEILING // SECOND),
        grace=reader.span("grace_seconds", SECOND, least=0, most=GRACE_CEILING // SECOND),
    )
    if reader.sound() and defaults.permit <= shortest_useful_permit(defaults.timing):
        reader.note("permit_seconds", "permit_seconds must be more than heartbeat_seconds + rpc_timeout_seconds")
    return defaults


def shortest_useful_permit(timing: Timing) -> Millis:
    """A permit must outlast one heartbeat and one call that times out, or a single lost reply stops everything."""
    return timing.heartbeat + timing.rpc_timeout


def _read_timing(reader: Reader) -> Timing:
    return Timing(
        heartbeat=reader.span("heartbeat_seconds", SECOND, most=_HOUR_SECONDS),
        rpc_timeout=reader.span("rpc_timeout_seconds", SECOND, most=_HOUR_SECONDS),
        act=reader.span("act_milliseconds", 1, least=0, most=HOUR),
        skew=reader.span("skew_milliseconds", 1, least=0, most=HOUR),
        poll=reader.span("poll_milliseconds", 1, most=HOUR),
        notify=reader.span("notify_milliseconds", 1, least=0, most=HOUR),
        network=reader.span("network_milliseconds", 1, least=0, most=HOUR),
        reconnect=reader.span("reconnect_milliseconds", 1, least=0, most=HOUR),
        keepalive=reader.span("keepalive_seconds", SECOND, most=_HOUR_SECONDS),
        rate_error_ppm=reader.whole("clock_rate_error_ppm", most=100_000),
    )
