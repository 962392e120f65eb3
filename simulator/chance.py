"""All chance in a simulation: one stream of numbers a name, each from the scenario's seed.

A stream depends on the seed and its own name alone. So neither the number of the other systems nor the order in which
they happen to run changes what one system chooses.
"""

from random import Random  # noqa: TID251 -- seeded, and the only place of the simulator that makes a stream

__all__ = ["Random", "stream"]


def stream(seed: int, name: str) -> Random:
    """The stream of this name. A text seeds a Random by its SHA-512, the same on every machine and version."""
    return Random(f"licd-simulator-v1/{seed}/{name}")
