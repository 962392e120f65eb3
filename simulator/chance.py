"""All chance in a simulation: one stream of numbers a name, each from the scenario's seed.

A stream depends on the seed and its own name alone. So neither the number of the other systems nor the order in which
they happen to run changes what one system chooses.

What is guaranteed, for one scenario and one seed, in runs against a real daemon in real time:
- What a system asks for as its n-th step (target, region, purpose, how many, whether it is brazen) is a function of the
  seed, its name and the answers that it got before. An honest system with several targets makes one such sequence for
  each target; how they interleave is not fixed.
- So a system whose licence nobody else shares, which no event touches and whose permits outlast the run, asks for the
  same and gets the same: with `steps` set, two runs have equal journals (tests/simulator/test_runs.py); without, one
  is the beginning of the other.
What is not: anything that depends on when something happens. Who is first at a shared cap, what an expiry, a
suspension, a cooling seat, a volume window or a lost frame meets, and how often something is sent again, differ from
run to run. What is on the wire differs as well: nonces, lease numbers, certificates.
"""

from random import Random  # noqa: TID251 -- seeded, and the only place of the simulator that makes a stream

__all__ = ["Random", "stream"]


def stream(seed: int, name: str) -> Random:
    """The stream of this name. A text seeds a Random by its SHA-512, the same on every machine and version."""
    return Random(f"licd-simulator-v1/{seed}/{name}")
