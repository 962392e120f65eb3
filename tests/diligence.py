"""What a licence needs before it is issued where policy puts the gate: made-up indicators, answers and evidence."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from licd.core.time import DAY
from licd.v1 import diligence_pb2
from licd.v1 import diligence_service_pb2 as pb

if TYPE_CHECKING:
    from tests.office import Operator

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples" / "diligence"
WGI = ("cc", "ge", "pv", "rl", "rq", "va")
# Economies that are made up, under codes that ISO 3166-1 leaves to users: strong, middling, weak, below every floor.
ECONOMIES: Mapping[str, tuple[int, int]] = {"QN": (1_500, 80), "QS": (200, 50), "QW": (-900, 25), "QZ": (-2_000, 8)}
ANSWERS: Mapping[str, str] = {
    "relationship": "none",
    "end-user": "documented",
    "authorisation": "court",
    "law": "complete",
    "opinion": "no",
    "defenders": "no",
    "remedy": "yes",
}
CLAUSES = ("clause-suspension", "clause-cooperation", "clause-human-rights")


def hash_of(data: bytes) -> bytes:
    return sha256(data).digest()


def evidence(*more: str) -> list[pb.ItemEvidence]:
    """The clauses of the example policy, an answered questionnaire, and a made-up file for each item that is named."""
    files = {name: (EXAMPLES / f"{name}.txt").read_bytes() for name in CLAUSES}
    files |= {name: f"a file that shows {name}".encode() for name in ("user-questionnaire", *more)}
    return [pb.ItemEvidence(item=name, sha256=hash_of(data), note="made up") for name, data in files.items()]


def wgi_file(
    economies: Mapping[str, int] | None = None,
    *,
    year: int,
    label: str = "made up",
    missing: Sequence[tuple[str, str]] = (),
) -> diligence_pb2.Indicators:
    """What licctl would read out of a file of the World Bank with one figure for all dimensions of an economy."""
    found = {name: figures[0] for name, figures in ECONOMIES.items()} if economies is None else economies
    values = [
        diligence_pb2.IndicatorValue(country=country, dimension=dimension, thousandths=value)
        for country, value in found.items()
        for dimension in WGI
        if (country, dimension) not in missing
    ]
    return diligence_pb2.Indicators(
        source="wgi",
        year=year,
        file_sha256=hash_of(f"wgi {year} {label}".encode()),
        rows=len(values) + len(missing),
        taken=len(values),
        values=values,
        missing=[diligence_pb2.IndicatorGap(country=country, dimension=each) for country, each in missing],
        read_by="tests",
    )


def cpi_file(scores: Mapping[str, int] | None = None, *, year: int, label: str = "made up") -> diligence_pb2.Indicators:
    """What licctl would read out of a file of Transparency International."""
    found = {name: figures[1] for name, figures in ECONOMIES.items()} if scores is None else scores
    values = [
        diligence_pb2.IndicatorValue(country=country, dimension="cpi", thousandths=score * 1_000)
        for country, score in found.items()
    ]
    return diligence_pb2.Indicators(
        source="cpi",
        year=year,
        file_sha256=hash_of(f"cpi {year} {label}".encode()),
        rows=len(values),
        taken=len(values),
        values=values,
        read_by="tests",
    )


def year_at(operator: Operator) -> int:
    """The calendar year of the daemon's clock."""
    return 1970 + int(operator.daemon.clock.wall() / (365.2425 * DAY))


def gate_stands(operator: Operator) -> bool:
    """Whether the daemon's policy asks for an assessment."""
    text = (operator.daemon.state.root / "policies" / "diligence.toml").read_text(encoding="utf-8")
    return bool(tomllib.loads(text).get("gate", {"issue": False})["issue"])


def import_file(operator: Operator, file: diligence_pb2.Indicators) -> diligence_pb2.Indicators:
    request = pb.ImportIndicatorsRequest(file=file)
    answer = operator.call("DiligenceService.ImportIndicators", request)
    return cast("diligence_pb2.Indicators", answer.indicators)


def import_indicators(operator: Operator) -> None:
    """The made-up economies of last year, unless they were imported before."""
    found = operator.call("DiligenceService.ListIndicators", pb.ListIndicatorsRequest())
    known = {each.file_sha256 for each in found.indicators}
    year = year_at(operator) - 1
    for file in (wgi_file(year=year), cpi_file(year=year)):
        if file.file_sha256 not in known:
            import_file(operator, file)


def wanted(customer: str, **more: Any) -> pb.AssessCustomerRequest:
    """The request for an assessment by which the example policy's lowest category is found."""
    answers = {**ANSWERS, **more.pop("answers", {})}
    asked: dict[str, Any] = {
        "customer": customer,
        "country": "QN",
        "product": "locator",
        "term_ms": 366 * DAY,
        "answers": [diligence_pb2.FactorAnswer(factor=name, option=answers[name]) for name in sorted(answers)],
        "evidence": evidence(),
    }
    return pb.AssessCustomerRequest(**(asked | more))


def assess(operator: Operator, customer: str, **more: Any) -> diligence_pb2.Assessment:
    """Assesses a customer for a locator, everything done; see wanted()."""
    import_indicators(operator)
    answer = operator.call("DiligenceService.AssessCustomer", wanted(customer, **more))
    return cast("diligence_pb2.Assessment", answer.assessment)
