"""licctl diligence: indicators, assessments and their pages, checklists, overrides, reviews."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from licd.cli import diligence_sources
from licd.cli.consent import widen
from licd.cli.desk import Desk
from licd.cli.diligence_file import evidence_of, read_opportunity
from licd.cli.diligence_page import page_of, state_of
from licd.cli.diligence_replay import replayed
from licd.cli.document import as_html, as_markdown, as_text
from licd.cli.failure import Exit, Stopped
from licd.cli.layout import terminal_width
from licd.cli.options import All, Detail, PageSize, PageToken, new_file
from licd.cli.paging import Page, show_pages
from licd.cli.printing import Columns
from licd.cli.times import iso, span
from licd.cli.verb import verb
from licd.keys.private_file import EVERYBODY, write_new
from licd.v1 import diligence_pb2
from licd.v1 import diligence_service_pb2 as pb
from licd.v1.diligence_service_pb2_grpc import DiligenceServiceStub

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Due diligence: what is known, and what it allows.",
)

Named = Annotated[str, typer.Argument(metavar="ASSESSMENT", help="Id of the assessment.")]
Item = Annotated[str, typer.Argument(metavar="ITEM", help="An item of its checklist.")]
OfCustomer = Annotated[str, typer.Option(metavar="CUSTOMER", help="Only of this one.")]
SavePage = Annotated[
    Path | None,
    typer.Option("--save", metavar="FILE", callback=new_file, help="Write the page there: a new .html or .md file."),
]

ASSESSMENTS: Columns = (
    ("ASSESSMENT", lambda one: one.assessment),
    ("CUSTOMER", lambda one: one.customer),
    ("PRODUCT", lambda one: one.product),
    ("COUNTRY", lambda one: one.country),
    ("CATEGORY", lambda one: one.category),
    ("FOR", lambda one: span(one.term_ms)),
    ("ASSESSED", lambda one: iso(one.assessed_at_ms)),
    ("REVIEW DUE", lambda one: iso(one.review_due_ms)),
    ("SUPERSEDED BY", lambda one: one.superseded_by or "-"),
)
REVIEWS: Columns = (
    ("REVIEW", lambda one: one.review),
    ("LICENCE", lambda one: one.licence),
    ("CUSTOMER", lambda one: one.customer),
    ("CAUSE", lambda one: one.cause),
    ("WHY", lambda one: one.detail),
    ("OPENED", lambda one: iso(one.opened_at_ms)),
    ("DUE", lambda one: iso(one.due_at_ms)),
    ("CLOSED BY", lambda one: one.closed_by or "-"),
)


class Publisher(StrEnum):
    """Whose file it is."""

    WGI = "wgi"
    CPI = "cpi"


def _stub(desk: Desk) -> Any:
    return DiligenceServiceStub(desk.channel)


@verb(app, "import")
def import_(
    desk: Desk,
    source: Annotated[Publisher, typer.Argument(help="wgi: World Bank; cpi: Transparency International.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The publisher's own spreadsheet, .xlsx.")],
    year: Annotated[int | None, typer.Option(metavar="YEAR", help="This year of it; else the latest.")] = None,
) -> None:
    """Read a publisher's own file, and say what in it gave no value. Nothing is guessed or filled in."""
    read = diligence_sources.read_file(desk, source.value, file, year)
    request = pb.ImportIndicatorsRequest(request_id=desk.request_id(), file=read)
    made = desk.ask(_stub(desk).ImportIndicators, request).indicators
    desk.printer.record(made, diligence_sources.import_pairs(made, desk.now))


@verb(app, "indicators")
def indicators(
    desk: Desk,
    name: Annotated[str, typer.Argument(metavar="[IMPORT]", help="One, with its values; else all.")] = "",
    *,
    country: Annotated[str, typer.Option(metavar="CC", help="Only its values.")] = "",
    page_size: PageSize = 50,
    page_token: PageToken = "",
    every: All = False,
) -> None:
    """List what was imported, or show the values of one import."""
    if not name:
        page = Page(page_size, page_token, every)
        method, columns = _stub(desk).ListIndicators, diligence_sources.COLUMNS
        show_pages(desk, method, pb.ListIndicatorsRequest(), page, name="indicators", columns=columns)
        return
    request = pb.GetIndicatorsRequest(indicators=name, country=country)
    found = desk.ask(_stub(desk).GetIndicators, request).indicators
    desk.printer.record(found, diligence_sources.import_pairs(found, desk.now))
    if not desk.printer.is_json:
        desk.printer.line()
        desk.printer.table(("COUNTRY", "INDICATOR", "VALUE"), diligence_sources.value_rows(found))


@verb(app, "assess")
def assess(
    desk: Desk,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Who, what for how long, answers, evidence: TOML.")],
    save: SavePage = None,
) -> None:
    """Judge an opportunity by the policy in force. Approves nothing: it says what a licence may be, and needs first."""
    request = read_opportunity(file)
    request.request_id = desk.request_id()
    _show(desk, desk.ask(_stub(desk).AssessCustomer, request).assessment, save)


@verb(app, "show")
def show(desk: Desk, assessment: Named, save: SavePage = None) -> None:
    """Explain an assessment: how its category was reached, what it allows, and what is in the way of a licence."""
    _show(desk, _ask(desk, assessment), save)


@verb(app, "list")
def list_(
    desk: Desk,
    *,
    customer: OfCustomer = "",
    superseded: Annotated[bool, typer.Option("--superseded", help="Those that others took the place of, too.")] = False,
    page_size: PageSize = 50,
    page_token: PageToken = "",
    every: All = False,
) -> None:
    """List assessments, newest first."""
    request = pb.ListAssessmentsRequest(customer=customer, superseded=superseded)
    page = Page(page_size, page_token, every)
    show_pages(desk, _stub(desk).ListAssessments, request, page, name="assessments", columns=ASSESSMENTS)


@verb(app, "complete")
def complete(
    desk: Desk,
    assessment: Named,
    item: Item,
    *,
    evidence: Annotated[Path, typer.Option(metavar="FILE", help="What shows it; only its hash is sent.")],
    note: Annotated[str, typer.Option(metavar="TEXT", help="Beside it; it is logged.")] = "",
) -> None:
    """Record that something on the checklist is done."""
    shown = evidence_of(item, evidence, note)
    request = pb.CompleteItemRequest(request_id=desk.request_id(), assessment=assessment, evidence=shown)
    _show_checklist(desk, desk.ask(_stub(desk).CompleteItem, request).assessment)


@verb(app, "refuse")
def refuse(desk: Desk, assessment: Named, item: Item, detail: Detail) -> None:
    """Record that something on the checklist will not be done, and why. It stays in the way of a licence."""
    request = pb.RefuseItemRequest(request_id=desk.request_id(), assessment=assessment, item=item, reason=detail)
    _show_checklist(desk, desk.ask(_stub(desk).RefuseItem, request).assessment)


@verb(app, "override")
def override(
    desk: Desk,
    assessment: Named,
    *,
    category: Annotated[str, typer.Option(metavar="CATEGORY", help="To take the place of the judged one.")],
    detail: Detail,
) -> None:
    """Put another category in the place of the judged one. Needs a second person, and a reason."""
    request = pb.OverrideAssessmentRequest(
        request_id=desk.request_id(), assessment=assessment, category=category, reason=detail
    )
    done = widen(desk, _stub(desk).OverrideAssessment, request).assessment
    _show(desk, _ask(desk, done.assessment), None)


@verb(app, "reviews")
def reviews(
    desk: Desk,
    *,
    customer: OfCustomer = "",
    closed: Annotated[bool, typer.Option("--closed", help="Those that are closed, too.")] = False,
    page_size: PageSize = 50,
    page_token: PageToken = "",
    every: All = False,
) -> None:
    """List what has to be looked at again, newest first. A newer assessment of customer and product closes it."""
    request = pb.ListReviewsRequest(customer=customer, closed=closed)
    show_pages(
        desk, _stub(desk).ListReviews, request, Page(page_size, page_token, every), name="reviews", columns=REVIEWS
    )


@verb(app, "replay")
def replay(
    desk: Desk,
    assessment: Named,
    policies: Annotated[Path, typer.Option(metavar="DIR", help="The policies it was judged by.")],
) -> None:
    """Judge the recorded facts again, on this machine, and say whether the same comes out."""
    found = _ask(desk, assessment)
    differences = replayed(found, policies)
    for line in differences:
        desk.printer.remark(line)
    if differences:
        raise Stopped(Exit.UNVERIFIED, f"{assessment}: {len(differences)} difference{'s' * (len(differences) > 1)}")
    desk.printer.line(f"{assessment}: {found.judged_category}, again, in the same {len(found.lines)} steps")


def _ask(desk: Desk, assessment: str) -> diligence_pb2.Assessment:
    request = pb.GetAssessmentRequest(assessment=assessment)
    found: diligence_pb2.Assessment = desk.ask(_stub(desk).GetAssessment, request).assessment
    return found


def _show(desk: Desk, found: diligence_pb2.Assessment, save: Path | None) -> None:
    page = page_of(found, desk.now)
    if desk.printer.is_json:
        desk.printer.record(found, ())
    else:
        desk.printer.text("\n".join(as_text(page, terminal_width())))
    if save is not None:
        text = as_markdown(page) if save.suffix == ".md" else as_html(page)
        write_new(save, text.encode(), EVERYBODY)
        desk.printer.remark(f"{save}: written")


def _show_checklist(desk: Desk, found: diligence_pb2.Assessment) -> None:
    pairs = [(item.item, state_of(item)) for item in found.checklist]
    pairs += [("in the way of a licence" if at == 0 else "", each) for at, each in enumerate(found.obstacles)]
    desk.printer.record(found, pairs)
