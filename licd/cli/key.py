"""licctl key."""

from pathlib import Path
from typing import Annotated

import typer

from licd.cli.consent import widen
from licd.cli.desk import Desk
from licd.cli.failure import Exit, Stopped
from licd.cli.input_file import read_input
from licd.cli.json_form import as_json, enum_word
from licd.cli.options import All, PageSize, PageToken, new_file
from licd.cli.times import iso, when
from licd.cli.trust_file import Trust, trust_of
from licd.cli.verb import verb
from licd.evidence.checkpoint import log_origin
from licd.evidence.note import VerifierKey
from licd.keys.armour import dearmour
from licd.keys.bundle_update import advance
from licd.keys.ceremony import told
from licd.keys.chain_file import write_chain
from licd.keys.envelope import parse_envelope
from licd.keys.private_file import EVERYBODY, replace, write_new
from licd.v1 import key_service_pb2 as pb
from licd.v1.key_service_pb2_grpc import KeyServiceStub
from licd.v1.operator_pb2 import PageRequest
from licd.v1.trust_pb2 import Key

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Keys and the trust bundle.")


@verb(app, "list")
def list_(desk: Desk, page_size: PageSize = 50, page_token: PageToken = "", every: All = False) -> None:
    """List the keys of the newest trust bundle, and those withdrawn before their time."""
    method = KeyServiceStub(desk.channel).ListKeys
    found = desk.ask(method, pb.ListKeysRequest(page=PageRequest(page_size=page_size, page_token=page_token)))
    while every and found.page.next_page_token:
        more = desk.ask(method, pb.ListKeysRequest(page=PageRequest(page_token=found.page.next_page_token)))
        found.keys.extend(more.keys)
        found.page.CopyFrom(more.page)
    if desk.printer.is_json:
        shown = {name: value for name, value in as_json(found).items() if name != "page"}
        desk.printer.value(shown | {"next_page_token": found.page.next_page_token})
        return
    withdrawn = set(found.withdrawn_key_ids)
    rows = [_row(key, "WITHDRAWN" if key.key_id in withdrawn else "") for key in found.keys]
    desk.printer.table(["KEY", "PURPOSE", "OWNER", "SIGNS FROM", "SIGNS UNTIL", ""], rows)
    for key_id in sorted(withdrawn - {key.key_id for key in found.keys}):
        desk.printer.line(f"{key_id}  WITHDRAWN")
    if found.page.next_page_token:
        desk.printer.remark(f"there are more: --page-token {found.page.next_page_token}, or --all")


@verb(app, "bundle")
def bundle(
    desk: Desk,
    save: Annotated[
        Path | None, typer.Option("--save", metavar="FILE", callback=new_file, help="Write it there; else print it.")
    ] = None,
    authorities: Annotated[
        Path | None,
        typer.Option("--authorities", metavar="FILE", help="Write its TLS authorities there: what licctl's ca names."),
    ] = None,
    verifier_keys: Annotated[
        Path | None,
        typer.Option(
            "--verifier-keys", metavar="FILE", help="Write its log's keys there: for `licd-verify --key @FILE`."
        ),
    ] = None,
) -> None:
    """Export the chain of trust bundles: what anybody needs to check what this licd signs."""
    response = desk.ask(KeyServiceStub(desk.channel).ExportTrustBundle, pb.ExportTrustBundleRequest())
    trust = trust_of(list(response.trust.bundles), "the exported chain", "", desk.now)
    text = write_chain(response.trust)
    if trust.refusal is not None:
        desk.printer.remark(str(trust.refusal))
    if authorities is not None:
        if not trust.newest.tls_authorities_pem:
            raise Stopped(Exit.NOT_FOUND, f"bundle {trust.newest.version} names no TLS authority")
        replace(authorities, "".join(trust.newest.tls_authorities_pem).encode("ascii"), EVERYBODY)
    if verifier_keys is not None:
        replace(verifier_keys, _verifier_keys(trust).encode("ascii"), EVERYBODY)
    if save is None:
        desk.printer.text(text)
        return
    write_new(save, text.encode("ascii"), EVERYBODY)
    newest = trust.newest
    if desk.printer.is_json:
        desk.printer.value({"version": newest.version, "trust_domain": newest.trust_domain, "pin": trust.pin})
        return
    desk.printer.pairs(
        [
            ("written", str(save)),
            ("trust domain", newest.trust_domain),
            ("version", str(newest.version)),
            ("good until", when(newest.expires_at_ms, desk.now)),
            ("pin", trust.pin),
        ]
    )


def _verifier_keys(trust: Trust) -> str:
    """The keys by which the log's checkpoints are signed, a line each; those withdrawn are remarks."""
    origin = log_origin(trust.newest.trust_domain)
    lines = [VerifierKey(origin, each).encode() for each in trust.evidence_keys]
    lines += [f"# withdrawn: {VerifierKey(origin, each).encode()}" for each in trust.withdrawn_evidence_keys]
    return "".join(f"{line}\n" for line in lines)


@verb(app, "publish")
def publish(
    desk: Desk,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="As `licd ceremony combine` wrote it.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without this it is only shown.")] = False,
) -> None:
    """Put the next trust bundle in force. By one person: the holders of the root keys have signed it.

    New keys are to lie on licd's machine before that. Systems are told at once.
    """
    stub = KeyServiceStub(desk.channel)
    chain = list(desk.ask(stub.ExportTrustBundle, pb.ExportTrustBundleRequest()).trust.bundles)
    current = trust_of(chain, "the exported chain", "", desk.now).newest
    envelope = parse_envelope(dearmour(read_input(file)).raw)
    following = advance(current, envelope)
    changes = list(told(current, following))
    if not desk.printer.is_json:
        for line in changes:
            desk.printer.line(line)
    if not yes:
        raise Stopped(Exit.USAGE, "nothing was published: add --yes once you agree")
    request = pb.PublishTrustBundleRequest(request_id=desk.request_id(), bundle=envelope)
    made = widen(desk, stub.PublishTrustBundle, request).publication
    desk.printer.record(
        made,
        [
            ("version", str(made.version)),
            ("in force", when(made.published_at_ms, desk.now)),
            ("known to all", when(made.known_at_ms, desk.now)),
        ],
    )


def _row(key: Key, mark: str) -> list[str]:
    purpose = enum_word(Key.DESCRIPTOR.fields_by_name["purpose"], key.purpose).lower().replace("_", "-")
    return [key.key_id, purpose, key.owner or "licd", iso(key.not_before_ms), iso(key.not_after_ms), mark]
