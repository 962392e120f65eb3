"""What a customer needs before he gets a licence: indicators of a country that does not exist, answers, and evidence.

Nothing here is checked by the simulator: licd judges it by the policy in force, and its gate asks for it.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from licd.v1 import diligence_pb2 as pb
from licd.v1 import diligence_service_pb2 as service_pb
from simulator.clock import Millis

COUNTRY: Final = "QN"
"""Northland, which is made up: ISO 3166-1 leaves its code to users."""
ANSWERS: Final = {
    "relationship": "none",
    "end-user": "documented",
    "authorisation": "court",
    "law": "complete",
    "opinion": "no",
    "defenders": "no",
    "remedy": "partly",
}
ITEMS: Final = (
    "clause-suspension",
    "clause-cooperation",
    "clause-human-rights",
    "user-questionnaire",
    "adverse-information",
    "legal-review",
    "mitigation-plan",
    "outside-firm",
    "expert-opinion",
    "board-decision",
)
_DIMENSIONS: Final = {"wgi": ("cc", "ge", "pv", "rl", "rq", "va"), "cpi": ("cpi",)}
_VALUES: Final = {"wgi": 1_500, "cpi": 81_000}


def indicators(source: str, year: int) -> pb.Indicators:
    """What licctl would read out of a publisher's file with this one country in it."""
    dimensions = _DIMENSIONS[source]
    return pb.Indicators(
        source=source,
        year=year,
        file_sha256=sha256(f"made up: {source} {year}".encode()).digest(),
        rows=len(dimensions),
        taken=len(dimensions),
        values=[pb.IndicatorValue(country=COUNTRY, dimension=each, thousandths=_VALUES[source]) for each in dimensions],
        read_by="simulator",
    )


def opportunity(customer: str, product: str, term: Millis) -> service_pb.AssessCustomerRequest:
    """A request for an assessment, without an id."""
    return service_pb.AssessCustomerRequest(
        customer=customer,
        country=COUNTRY,
        product=product,
        term_ms=term,
        answers=[pb.FactorAnswer(factor=factor, option=option) for factor, option in ANSWERS.items()],
        evidence=[
            service_pb.ItemEvidence(item=item, sha256=sha256(f"made up: {item}".encode()).digest(), note="simulated")
            for item in ITEMS
        ],
    )
