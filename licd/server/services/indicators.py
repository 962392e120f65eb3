"""DiligenceService, the country indicators: import, get, list; and the reviews that follow from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from licd.core.errors import Invalid, NotFound
from licd.core.time import Instant
from licd.ledger import tables
from licd.ledger.queries import Page, listed
from licd.ledger.records import Review, StoredIndicators
from licd.ledger.rows import INDICATORS, REVIEWS
from licd.ledger.verbs.diligence import ImportIndicators
from licd.policy.diligence import is_country
from licd.policy.indicators.sources import SOURCES, Source
from licd.server.caller import Caller
from licd.server.changes import Changes, checked_text
from licd.server.country import year_of
from licd.server.reader import Reader
from licd.v1 import diligence_pb2, operator_pb2
from licd.v1 import diligence_service_pb2 as pb

HASH_BYTES: Final = 32
FIRST_YEAR: Final = 1990
MOST_VALUES: Final = 10_000


class Indicators:
    """What publishers say of countries."""

    def __init__(self, reader: Reader, changes: Changes, wall: Callable[[], Instant]) -> None:
        self._reader: Final = reader
        self._changes: Final = changes
        self._wall: Final = wall

    async def import_indicators(
        self, request: pb.ImportIndicatorsRequest, caller: Caller
    ) -> pb.ImportIndicatorsResponse:
        """Keeps what was read out of a file, with where it came from."""
        file = diligence_pb2.Indicators()
        file.CopyFrom(request.file)
        source = SOURCES.get(file.source)
        if source is None:
            raise Invalid(f"{file.source[:60]!r} is none of {', '.join(SOURCES)}", field="file.source")
        self._refuse_unsound(file, source)
        file.publisher, file.title, file.terms = source.publisher, source.title, source.terms
        return await self._changes.once(request, caller, ImportIndicators(file, caller.operator().operator), _imported)

    def _refuse_unsound(self, file: diligence_pb2.Indicators, source: Source) -> None:
        """What licctl reads right; somebody else may have sent it."""
        if len(file.file_sha256) != HASH_BYTES:
            raise Invalid("the SHA-256 of the publisher's file, 32 bytes", field="file.file_sha256")
        if not FIRST_YEAR <= file.year <= year_of(self._wall()):
            raise Invalid(f"from {FIRST_YEAR} to this year", field="file.year")
        if not file.values or len(file.values) > MOST_VALUES:
            raise Invalid(f"from 1 to {MOST_VALUES}", field="file.values")
        if file.taken != len(file.values) or file.rows < file.taken:
            raise Invalid("as many as there are values, and at most the rows", field="file.taken")
        seen: set[tuple[str, str]] = set()
        pairs = [(each.country, each.dimension) for each in file.values]
        pairs += [(each.country, each.dimension) for each in file.missing]
        for country, dimension in pairs:
            _refuse_unknown(country, dimension, source)
            if (country, dimension) in seen:
                raise Invalid(f"{dimension} of {country} is there twice", field="file.values")
            seen.add((country, dimension))
        for value in file.values:
            if not source.least <= value.thousandths <= source.most:
                raise Invalid(f"{value.dimension} of {value.country} is beyond the scale", field="file.values")
        for economy in file.unmapped:
            checked_text(economy.name, "file.unmapped.name", limit=200, required=False)
            checked_text(economy.code, "file.unmapped.code", limit=200, required=False)
        checked_text(file.read_by, "file.read_by", limit=200)

    async def get_indicators(self, request: pb.GetIndicatorsRequest, caller: Caller) -> pb.GetIndicatorsResponse:
        """With values. Raises NotFound."""
        found = await self._reader.run(lambda connection: INDICATORS.get(connection, request.indicators))
        if found is None:
            raise NotFound(f"there is no import {request.indicators}", field="indicators")
        message = diligence_pb2.Indicators.FromString(found.body)
        if request.country:
            values = [each for each in message.values if each.country == request.country]
            missing = [each for each in message.missing if each.country == request.country]
            del message.values[:], message.missing[:]
            message.values.extend(values)
            message.missing.extend(missing)
        return pb.GetIndicatorsResponse(indicators=message)

    async def list_indicators(self, request: pb.ListIndicatorsRequest, caller: Caller) -> pb.ListIndicatorsResponse:
        """Newest first."""
        page = Page.of(request.page.page_size, request.page.page_token)
        wanted = [tables.indicators.c.source == request.source] if request.source else []
        found, token = await self._reader.run(
            lambda connection: listed(connection, INDICATORS, page, wanted, descending=True)
        )
        return pb.ListIndicatorsResponse(
            indicators=[_brief(each) for each in found], page=operator_pb2.PageInfo(next_page_token=token)
        )

    async def list_reviews(self, request: pb.ListReviewsRequest, caller: Caller) -> pb.ListReviewsResponse:
        """Newest first."""
        page = Page.of(request.page.page_size, request.page.page_token)
        column = tables.review.c
        wanted = [column.customer == request.customer] if request.customer else []
        if not request.closed:
            wanted.append(column.closed_at == 0)
        found, token = await self._reader.run(
            lambda connection: listed(connection, REVIEWS, page, wanted, descending=True)
        )
        return pb.ListReviewsResponse(
            reviews=[_review_message(each) for each in found], page=operator_pb2.PageInfo(next_page_token=token)
        )


def _refuse_unknown(country: str, dimension: str, source: Source) -> None:
    if dimension not in source.dimensions:
        raise Invalid(f"{dimension[:60]!r} is none of {', '.join(source.dimensions)}", field="file.values")
    if not is_country(country):
        raise Invalid(f"want two letters of ISO 3166-1, got {country[:60]!r}", field="file.values")


def _brief(stored: StoredIndicators) -> diligence_pb2.Indicators:
    message = diligence_pb2.Indicators.FromString(stored.body)
    del message.values[:]
    return message


def _imported(stored: StoredIndicators) -> pb.ImportIndicatorsResponse:
    return pb.ImportIndicatorsResponse(indicators=_brief(stored))


def _review_message(review: Review) -> diligence_pb2.Review:
    return diligence_pb2.Review(
        review=review.id,
        licence=review.licence,
        customer=review.customer,
        assessment=review.assessment,
        cause=review.cause,
        detail=review.detail,
        opened_at_ms=review.opened_at,
        due_at_ms=review.due_at,
        closed_at_ms=review.closed_at,
        closed_by=review.closed_by,
    )
