"""How long a system can still act: the formulas of 02-protocol, and nothing else. All figures in milliseconds."""

from __future__ import annotations

from dataclasses import dataclass

from licd.core.time import SECOND, Instant, Millis

MILLION = 1_000_000
CLOCK_JUMP = 2 * SECOND
"""By how much the deciding machine's wall and boot clock may differ in their progress; beyond it nothing is granted."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Figures of the installation, not of a licence.

    rate_error_ppm bounds how wrong a system's clock rate may be; act is the time a system needs to stop working
    on a target; skew is the clock difference to expect between two deciding clocks at failover.
    """

    heartbeat: Millis = 5 * SECOND
    rpc_timeout: Millis = 3 * SECOND
    act: Millis = 1 * SECOND
    skew: Millis = 0
    poll: Millis = 1 * SECOND
    notify: Millis = 50
    network: Millis = 500
    reconnect: Millis = 2 * SECOND
    keepalive: Millis = 15 * SECOND
    rate_error_ppm: int = 200


def hard_end(decided: Instant, granted_at: Instant, length: Millis, grace: Millis, ends: Instant) -> Instant:
    """Decided + L + min(G, age of the lease), never past ends (licence, authorisation, overlay).

    A lease that seems younger than nothing (an operator has set the deciding clock back) has no grace.
    """
    age = max(decided - granted_at, 0)
    return min(decided + length + (min(grace, age)), ends)


def epsilon(length: Millis, grace: Millis, timing: Timing) -> Millis:
    """What a seat rests beyond the hard end: (L+G)ρ/(1−ρ) + act + skew, rounded up."""
    rho = timing.rate_error_ppm
    drift = -(-(length + grace) * rho // (MILLION - rho))
    return drift + timing.act + timing.skew


@dataclass(frozen=True, slots=True)
class StopBounds:
    """Worst-case time from suspend to last use, by what still reaches the system."""

    push: Millis
    pull: Millis
    unreachable: Millis


def stop_bounds(length: Millis, grace: Millis, systems: int, timing: Timing) -> StopBounds:
    """W_push, W_pull and W_unreachable of 02-protocol for a licence with L and G and so many systems to push to."""
    rho = timing.rate_error_ppm
    stretched = -(-(length + grace) * MILLION // (MILLION - rho))
    push = min(timing.notify, timing.poll) + (systems * 3 + 9) // 10 + timing.network + timing.act
    pull = -(-timing.heartbeat * (MILLION + rho) // MILLION) + timing.rpc_timeout + timing.act
    return StopBounds(push=push, pull=pull, unreachable=stretched + timing.act)
