"""Lists come in pages; a command shows one, or all of them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from licd.cli.desk import Desk
from licd.cli.printing import Columns
from licd.v1.operator_pb2 import PageRequest

if TYPE_CHECKING:
    import grpc

Q = TypeVar("Q", bound=Any)
R = TypeVar("R", bound=Any)


@dataclass(frozen=True, slots=True)
class Page:
    """Which page is wanted, or all."""

    size: int
    token: str
    every: bool


def show_pages(
    desk: Desk, method: "grpc.UnaryUnaryMultiCallable[Q, R]", request: Q, page: Page, *, name: str, columns: Columns
) -> None:
    """Asks for the page, or for all, and shows what came in the response's field `name`."""
    request.page.CopyFrom(PageRequest(page_size=page.size, page_token=page.token))
    response = desk.ask(method, request)
    found = list(getattr(response, name))
    while page.every and response.page.next_page_token:
        request.page.page_token = response.page.next_page_token
        response = desk.ask(method, request)
        found += getattr(response, name)
    desk.printer.records(name, found, columns, response.page.next_page_token)
