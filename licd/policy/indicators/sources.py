"""Who publishes country indicators, what each one measures, and on which scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from licd.core.diligence import Thousandths


@dataclass(frozen=True, slots=True)
class Source:
    """A publisher's set of indicators. dimensions: name → what it measures; a higher value is always better.

    least and most bound what the publisher's scale can hold, in thousandths: a value beyond them was not published.
    """

    name: str
    publisher: str
    title: str
    terms: str
    dimensions: Mapping[str, str]
    least: Thousandths
    most: Thousandths


SOURCES: Final[Mapping[str, Source]] = {
    "wgi": Source(
        name="wgi",
        publisher="World Bank",
        title="Worldwide Governance Indicators",
        terms="CC BY 4.0",
        dimensions={
            "cc": "control of corruption",
            "ge": "government effectiveness",
            "pv": "political stability and absence of violence",
            "rl": "rule of law",
            "rq": "regulatory quality",
            "va": "voice and accountability",
        },
        # Estimates are of standard normal units, "about −2.5 to 2.5" and a little beyond (2023: −2.75).
        least=-4_000,
        most=4_000,
    ),
    "cpi": Source(
        name="cpi",
        publisher="Transparency International",
        title="Corruption Perceptions Index",
        terms="CC BY-ND 4.0",
        dimensions={"cpi": "perceived corruption of the public sector"},
        least=0,
        most=100_000,
    ),
}
