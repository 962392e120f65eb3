"""licctl allegation: what anybody has reported. What people wrote is opened here, with a key that licd never has."""

from pathlib import Path
from typing import Annotated, Any, Final

import typer
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from licd.cli.consent import widen
from licd.cli.desk import Desk
from licd.cli.failure import Exit, Stopped
from licd.cli.operator_request import new_passphrase
from licd.cli.options import All, PageSize, PageToken
from licd.cli.paging import Page, show_pages
from licd.cli.printing import Columns, Pairs
from licd.cli.times import iso, when
from licd.cli.verb import verb
from licd.core.time import Instant
from licd.keys.letter import LetterRefused, Part, is_protected, make_letter_key, open_letter, read_letter_key
from licd.v1 import allegation_pb2
from licd.v1 import allegation_service_pb2 as pb
from licd.v1.allegation_service_pb2_grpc import AllegationServiceStub

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Allegations that anybody has filed: acknowledged, answered, taken into cases.",
)

Named = Annotated[str, typer.Argument(metavar="ALLEGATION", help="As `allegation list` shows it.")]
OfficeKey = Annotated[
    Path | None, typer.Option("--key", metavar="FILE", help="The head of compliance's key; it never leaves here.")
]
SEALED: Final = "sealed; --key FILE opens it"


def _word(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).lower().replace("_", "-")


def _state(one: allegation_pb2.Allegation) -> str:
    return _word(allegation_pb2.AllegationState.Name(one.state), "ALLEGATION_STATE_")


def _side(one: allegation_pb2.AllegationMessage) -> str:
    return _word(allegation_pb2.AllegationSide.Name(one.side), "ALLEGATION_SIDE_")


def _due(one: allegation_pb2.Allegation) -> str:
    if one.state == allegation_pb2.ALLEGATION_STATE_RECEIVED:
        return f"acknowledge by {iso(one.acknowledge_by_ms)}"
    return f"answer by {iso(one.answer_by_ms)}" if not one.answer else f"answered: {one.answer}"


COLUMNS: Columns = (
    ("ALLEGATION", lambda one: one.allegation),
    ("STATE", _state),
    ("FILED", lambda one: iso(one.filed_at_ms)),
    ("DUE", _due),
    ("REPORTER", lambda one: "sealed" if one.identified else "unnamed"),
)


def _stub(desk: Desk) -> Any:
    return AllegationServiceStub(desk.channel)


def _key(desk: Desk, path: Path | None) -> X25519PrivateKey | None:
    if path is None:
        return None
    passphrase = desk.passphrase(f"Passphrase of {path}: ") if is_protected(path) else None
    return read_letter_key(path, passphrase)


@verb(app, "create-key")
def create_key(
    desk: Desk,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the key goes; FILE.pub is for licd.")],
    *,
    no_passphrase: Annotated[
        bool, typer.Option("--no-passphrase", help="Leave it unprotected: for development.")
    ] = False,
) -> None:
    """Make the key that opens what is reported. Keep it away from licd; licd gets FILE.pub alone."""
    passphrase = None if no_passphrase else new_passphrase(desk, file)
    make_letter_key(file, passphrase)
    if desk.printer.is_json:
        desk.printer.value({"key": str(file), "public_key": f"{file}.pub"})
        return
    desk.printer.pairs([("key", str(file)), ("for licd", f"{file}.pub: compliance_key of [intake] in licd.toml")])


@verb(app, "list")
def list_(
    desk: Desk,
    *,
    answered: Annotated[bool, typer.Option("--answered", help="Those that were answered, too.")] = False,
    page_size: PageSize = 50,
    page_token: PageToken = "",
    every: All = False,
) -> None:
    """List allegations, newest first."""
    request = pb.ListAllegationsRequest(answered=answered)
    page = Page(page_size, page_token, every)
    show_pages(desk, _stub(desk).ListAllegations, request, page, name="allegations", columns=COLUMNS)


@verb(app, "show")
def show(desk: Desk, allegation: Named, *, key: OfficeKey = None) -> None:
    """Show an allegation; with the key what was written. Never who wrote it: `permit` and `disclose` do."""
    opener = _key(desk, key)
    found = desk.ask(_stub(desk).GetAllegation, pb.GetAllegationRequest(allegation=allegation)).allegation
    desk.printer.record(found, [*_pairs(found, desk.now), *_words(found, opener, desk.now)])


@verb(app, "acknowledge")
def acknowledge(desk: Desk, allegation: Named) -> None:
    """Say that it was read; its reporter sees so."""
    request = pb.AcknowledgeAllegationRequest(request_id=desk.request_id(), allegation=allegation)
    _show(desk, desk.ask(_stub(desk).AcknowledgeAllegation, request).allegation)


@verb(app, "answer")
def answer(
    desk: Desk,
    allegation: Named,
    words: Annotated[str, typer.Argument(metavar="ANSWER", help="Which text of policies/allegations.toml.")],
) -> None:
    """Answer an allegation, once. The reporter sees it when everybody would see his."""
    request = pb.AnswerAllegationRequest(request_id=desk.request_id(), allegation=allegation, answer=words)
    _show(desk, desk.ask(_stub(desk).AnswerAllegation, request).allegation)


@verb(app, "write")
def write(
    desk: Desk,
    allegation: Named,
    *,
    text: Annotated[str, typer.Option(metavar="TEXT", help="What is asked. It names no customer.")],
) -> None:
    """Write to the reporter, who reads it with his tracking code. It is not logged, but its hash is."""
    request = pb.WriteMessageRequest(request_id=desk.request_id(), allegation=allegation, text=text)
    written = desk.ask(_stub(desk).WriteMessage, request).message
    desk.printer.record(written, [("message", str(written.number)), ("written", when(written.written_at_ms, desk.now))])


@verb(app, "open-case")
def open_case(
    desk: Desk,
    allegation: Named,
    *,
    reason: Annotated[str, typer.Option("--reason", metavar="CODE", help="Reason code; policies/ lists them.")],
    summary: Annotated[str, typer.Option("--summary", metavar="TEXT", help="What is suspected; it is logged.")],
    customer: Annotated[str, typer.Option(metavar="CUSTOMER", help="About whom.")] = "",
    licence: Annotated[str, typer.Option(metavar="LICENCE", help="Only about this one of his.")] = "",
) -> None:
    """Open a case from an allegation. It may be in several, each about one customer."""
    request = pb.OpenCaseFromRequest(
        request_id=desk.request_id(),
        allegation=allegation,
        customer=customer,
        licence=licence,
        code=reason,
        summary=summary,
    )
    case = desk.ask(_stub(desk).OpenCaseFrom, request).case
    desk.printer.record(case, [("case", case.case), ("customer", case.customer), ("allegation", allegation)])


@verb(app, "join-case")
def join_case(
    desk: Desk, allegation: Named, case: Annotated[str, typer.Argument(metavar="CASE", help="As `case list` shows it.")]
) -> None:
    """Say that an allegation belongs to a case that there is."""
    request = pb.JoinCaseRequest(request_id=desk.request_id(), allegation=allegation, case=case)
    found = desk.ask(_stub(desk).JoinCase, request).case
    desk.printer.record(found, [("case", found.case), ("customer", found.customer), ("allegation", allegation)])


@verb(app, "permit")
def permit(
    desk: Desk,
    allegation: Named,
    *,
    purpose: Annotated[str, typer.Option(metavar="PURPOSE", help="One of policies/allegations.toml.")],
    detail: Annotated[str, typer.Option("--detail", metavar="WHY", help="Why; it is logged.")],
) -> None:
    """Ask to look at who reported. A second person permits it, for a time."""
    request = pb.PermitDisclosureRequest(
        request_id=desk.request_id(), allegation=allegation, purpose=purpose, detail=detail
    )
    found = widen(desk, _stub(desk).PermitDisclosure, request).disclosure
    desk.printer.record(found, _permitted(found))


@verb(app, "disclose")
def disclose(
    desk: Desk,
    disclosure: Annotated[str, typer.Argument(metavar="DISCLOSURE", help="As `allegation show` shows it.")],
    *,
    key: Annotated[Path, typer.Option("--key", metavar="FILE", help="The head of compliance's key.")],
) -> None:
    """Look at who reported, once. Every look is logged, with its purpose."""
    opener = _key(desk, key)  # a key that cannot be read is no look
    request = pb.DiscloseIdentityRequest(request_id=desk.request_id(), disclosure=disclosure)
    found = desk.ask(_stub(desk).DiscloseIdentity, request)
    identity = allegation_pb2.ReporterIdentity()
    if opener is not None:
        identity.ParseFromString(_opened(opener, Part.IDENTITY, found.tracking, found.sealed))
    desk.printer.record(
        identity,
        [
            ("name", identity.name),
            ("contact", identity.contact),
            *_permitted(found.disclosure),
        ],
    )


def _opened(key: X25519PrivateKey, part: Part, tracking: bytes, sealed: bytes) -> bytes:
    try:
        return open_letter(key, part, tracking, sealed)
    except LetterRefused as error:
        raise Stopped(Exit.UNVERIFIED, f"what is sealed was not opened: {error}") from error


def _show(desk: Desk, found: allegation_pb2.Allegation) -> None:
    desk.printer.record(found, _pairs(found, desk.now))


def _permitted(one: allegation_pb2.Disclosure) -> Pairs:
    return [
        ("disclosure", f"{one.disclosure}, of {one.allegation}"),
        ("purpose", f"{one.purpose}: {one.detail}"),
        ("permitted", f"to {one.actor} until {iso(one.expires_at_ms)}"),
        ("looks", str(one.looks)),
    ]


def _pairs(one: allegation_pb2.Allegation, now: Instant) -> Pairs:
    read = f"by {one.acknowledged_by}, {when(one.acknowledged_at_ms, now)}"
    told = f"{one.answer}, by {one.answered_by}, {when(one.answered_at_ms, now)}; shows {when(one.visible_at_ms, now)}"
    looks = [
        f"{each.disclosure}: {each.actor}, {each.purpose}, {each.looks} looks, until {iso(each.expires_at_ms)}"
        for each in one.disclosures
    ]
    return [
        ("allegation", one.allegation),
        ("state", _state(one)),
        ("filed", when(one.filed_at_ms, now)),
        ("acknowledged", read if one.acknowledged_at_ms else f"by nobody; due {when(one.acknowledge_by_ms, now)}"),
        ("answered", told if one.answer else f"not yet; due {when(one.answer_by_ms, now)}"),
        ("reporter", "sealed apart" if one.identified else "did not say who he is"),
        *[("case" if at == 0 else "", case) for at, case in enumerate(one.cases)],
        *[("same number" if at == 0 else "", other) for at, other in enumerate(one.same_number)],
        *[("looked at" if at == 0 else "", words) for at, words in enumerate(looks)],
    ]


def _words(one: allegation_pb2.Allegation, key: X25519PrivateKey | None, now: Instant) -> Pairs:
    if key is None:
        return [("words", f"{SEALED}; {len(one.messages)} messages")]
    body = allegation_pb2.AllegationBody.FromString(_opened(key, Part.BODY, one.tracking, one.body))
    messages = [
        (
            f"{_side(each)}, {when(each.written_at_ms, now)}",
            _opened(key, Part.MESSAGE_TO_OFFICE, one.tracking, each.sealed).decode(),
        )
        for each in one.messages
    ]
    told = (("account", body.account), ("about", body.about), ("period", body.period), ("number", body.number))
    return [*[(name, text) for name, text in told if text], *messages]
