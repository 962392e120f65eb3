"""licctl log."""

import os
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Annotated, Final

import typer

from licd.cli.authority_key import read_authority_key
from licd.cli.desk import Desk
from licd.cli.failure import Exit, Stopped
from licd.cli.input_file import read_input_text
from licd.cli.json_form import as_json
from licd.cli.log_check import (
    held_checkpoints,
    read_checkpoint,
    verifier_by_keys,
    verifier_for,
    verify_entry,
    verify_extension,
)
from licd.cli.log_tiles import write_tiles
from licd.cli.log_witness import cosign_request, witness_of
from licd.cli.options import LONGEST, All, PageSize, PageToken, new_file, replaced_file
from licd.cli.paging import Page, show_pages
from licd.cli.printing import Columns
from licd.cli.times import iso, when
from licd.cli.verb import verb
from licd.core.time import Instant
from licd.evidence.addition import encode_addition
from licd.evidence.entry import decode
from licd.evidence.export import MAX_LINE_CHARACTERS, verify_export
from licd.evidence.inclusion import encode_inclusion
from licd.keys.private_file import EVERYBODY, replace
from licd.v1 import log_service_pb2 as pb
from licd.v1.log_service_pb2_grpc import LogServiceStub

app = typer.Typer(add_completion=False, no_args_is_help=True, help="licd's own log: what was decided, in order.")

_MOST_OF_A_LINE: Final = MAX_LINE_CHARACTERS + 2

BundleFile = Annotated[
    Path | None, typer.Option("--bundle", metavar="FILE", help="Trust bundles, as `key bundle` writes them.")
]
Pin = Annotated[str, typer.Option("--pin", metavar="HEX", help="What the first bundle in it must be.")]


def _fields(entry: pb.LogEntry) -> str:
    return "  ".join(f"{one.name}={_field_words(one, iso)}" for one in entry.fields)


def _field_words(one: pb.LogField, words: Callable[[Instant], str]) -> str:
    if one.erased:
        return "(erased)"
    is_instant = one.name == "at" or one.name.endswith("_at")
    return words(int(one.value)) if is_instant and one.value.isascii() and one.value.isdecimal() else one.value


COLUMNS: Columns = (("INDEX", lambda one: str(one.index)), ("FIELDS", _fields))


@verb(app, "list")
def list_(
    desk: Desk,
    *,
    kind: Annotated[str, typer.Option(metavar="KIND", help="Only entries of this kind.")] = "",
    licence: Annotated[str, typer.Option(metavar="LICENCE", help="Only about this one.")] = "",
    newest_first: Annotated[bool, typer.Option("--newest-first", help="In that order.")] = False,
    page_size: PageSize = 50,
    page_token: PageToken = "",
    every: All = False,
) -> None:
    """List entries."""
    request = pb.ListEntriesRequest(kind=kind, licence=licence, descending=newest_first)
    method = LogServiceStub(desk.channel).ListEntries
    show_pages(desk, method, request, Page(page_size, page_token, every), name="entries", columns=COLUMNS)


@verb(app, "get")
def get(
    desk: Desk,
    index: Annotated[int, typer.Argument(min=0, max=LONGEST, metavar="INDEX", help="Number of the entry, from 0.")],
    *,
    bundle: BundleFile = None,
    pin: Pin = "",
    proof: Annotated[
        Path | None,
        typer.Option(
            "--proof", metavar="FILE", callback=replaced_file, help="Write it there with its proof, for others."
        ),
    ] = None,
    disclose: Annotated[
        list[str] | None,
        typer.Option(
            "--disclose", metavar="FIELD", help="With --proof: only this field is in the file; may come again."
        ),
    ] = None,
) -> None:
    """Show one entry, and check its proof under the newest checkpoint; with --bundle, its signature too."""
    if disclose and proof is None:
        raise Stopped(Exit.USAGE, "--disclose: says what --proof FILE shall show, and there is none")
    found = desk.ask(LogServiceStub(desk.channel).GetEntry, pb.GetEntryRequest(index=index))
    checkpoint = read_checkpoint(desk, found.checkpoint, bundle, pin)
    verify_entry(found, index, checkpoint)
    if proof:
        entry = decode(found.entry.entry)
        data = encode_inclusion(index, entry, found.inclusion_proof, found.checkpoint.encode(), disclose or None)
        replace(proof, data, EVERYBODY)
    if desk.printer.is_json:
        desk.printer.value(as_json(found))
        return
    signature = "its signature holds" if bundle else "its signature was not checked: --bundle FILE does"
    desk.printer.pairs(
        [
            ("entry", str(index)),
            *[(one.name, _field_words(one, lambda at: when(at, desk.now))) for one in found.entry.fields],
            ("leaf", found.entry.leaf_hash.hex()),
            ("proved", f"in the tree of {checkpoint.size} entries of {checkpoint.origin}; {signature}"),
        ]
    )


@verb(app, "checkpoint")
def checkpoint(
    desk: Desk,
    old: Annotated[
        Path | None, typer.Option("--old", metavar="FILE", help="An earlier one: show that it was only added to.")
    ] = None,
    bundle: BundleFile = None,
    pin: Pin = "",
    save: Annotated[
        Path | None, typer.Option("--save", metavar="FILE", callback=replaced_file, help="Write it there, too.")
    ] = None,
    request_file: Annotated[
        Path | None,
        typer.Option(
            "--request",
            metavar="FILE",
            callback=replaced_file,
            help="Write there what a witness is asked with: this, and the proof from --old, which it cosigned last.",
        ),
    ] = None,
) -> None:
    """Print the newest signed checkpoint. Keep them: an old one is what shows that nothing was rewritten."""
    earlier = read_checkpoint(desk, read_input_text(old), bundle, pin) if old else None
    request = pb.GetCheckpointRequest(old_size=earlier.size if earlier else 0)
    found = desk.ask(LogServiceStub(desk.channel).GetCheckpoint, request)
    newest = read_checkpoint(desk, found.checkpoint, bundle, pin)
    if earlier:
        verify_extension(earlier, newest, found.consistency_proof)
        desk.printer.remark(f"{newest.size - earlier.size} entries were added to the {earlier.size} of {old}")
    if desk.printer.is_json:
        desk.printer.value(as_json(found))
    else:
        for line in found.checkpoint.splitlines():
            desk.printer.line(line)
    if save:
        replace(save, found.checkpoint.encode(), EVERYBODY)
    if request_file:
        asked = encode_addition(request.old_size, found.consistency_proof, found.checkpoint.encode())
        replace(request_file, asked, EVERYBODY)


@verb(app, "cosign")
def cosign(
    desk: Desk,
    request: Annotated[Path, typer.Argument(metavar="FILE", help="As `log checkpoint --request` wrote it.")],
    *,
    key: Annotated[list[str], typer.Option("--key", metavar="VKEY", help="Verifier key of the log, name+id+key.")],
    former_key: Annotated[
        list[str] | None, typer.Option("--former-key", metavar="VKEY", help="One withdrawn since you cosigned last.")
    ] = None,
    signer: Annotated[Path, typer.Option("--signer", metavar="FILE", help="Your key, as `authority key` made it.")],
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Your name as a witness, without spaces.")],
    latest: Annotated[
        Path, typer.Option("--latest", metavar="FILE", help="What you cosigned last; made by the first. Never lose it.")
    ],
) -> None:
    """Cosign a checkpoint as a witness, on your own machine, without licd. It must go on from what you cosigned last.

    The cosigned checkpoint is printed, and kept as the latest: give copies of it to whoever asks.
    """
    witness = witness_of(name, read_authority_key(desk, signer, "--signer"))
    cosigned = cosign_request(desk, request, latest, verifier_by_keys(key, former_key or []), witness)
    if desk.printer.is_json:
        desk.printer.value({"cosigned": cosigned.encode().decode(), "witness": witness.key.encode()})
        return
    desk.printer.remark(f"witness {witness.key.encode()}")
    for line in cosigned.encode().decode().splitlines():
        desk.printer.line(line)


@verb(app, "export")
def export(
    desk: Desk,
    save: Annotated[Path, typer.Option("--save", metavar="FILE", callback=replaced_file, help="Where the lines go.")],
) -> None:
    """Write the whole log as lines that `log verify` checks offline, anywhere."""
    partial = save.with_name(f".{save.name}.partial")
    count = 0
    with partial.open("w", encoding="ascii") as file:
        for part in desk.stream(LogServiceStub(desk.channel).ExportLog, pb.ExportLogRequest()):
            file.writelines(line.removesuffix("\n") + "\n" for line in part.lines)
            count += len(part.lines)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(save)
    if desk.printer.is_json:
        desk.printer.value({"file": str(save), "lines": count})
    else:
        desk.printer.pairs([("written", str(save)), ("lines", str(count))])


@verb(app, "verify")
def verify(
    desk: Desk,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="As `log export` wrote it.")],
    *,
    bundle: BundleFile = None,
    pin: Pin = "",
    key: Annotated[
        list[str] | None,
        typer.Option("--key", metavar="VKEY", help="Verifier key of the log, name+id+key; in place of --bundle."),
    ] = None,
    held: Annotated[
        list[Path] | None, typer.Option("--held", metavar="FILE", help="A checkpoint kept from before; may come again.")
    ] = None,
) -> None:
    """Check an exported log, all of it, without licd: every leaf, every root, every signature.

    Give the checkpoints you have kept with --held: they show that nothing was cut off or rewritten since.
    """
    with file.open("rb") as lines:
        first = lines.readline(_MOST_OF_A_LINE)
        verifier = verifier_for(desk, first, bundle, pin, key or [])
        rest = iter(lambda: lines.readline(_MOST_OF_A_LINE), b"")
        report = verify_export(chain([first], rest), verifier, held_checkpoints(held or [], verifier))
    shown = {
        "origin": report.final.origin,
        "size": report.final.size,
        "root": report.final.root.hex(),
        "checkpoints": report.checkpoints,
        "entries_with_erasure": report.entries_with_erasure,
        "erased_fields": report.erased_fields,
        "held": len(held or []),
    }
    if desk.printer.is_json:
        desk.printer.value({"valid": True, **shown})
        return
    desk.printer.line(f"{file}: whole, and signed")
    desk.printer.pairs([(name.replace("_", " "), str(value)) for name, value in shown.items()])


@verb(app, "tiles")
def tiles(
    desk: Desk,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="As `log export` wrote it.")],
    *,
    save: Annotated[Path, typer.Option("--save", metavar="DIR", callback=new_file, help="A new folder for them.")],
    bundle: BundleFile = None,
    pin: Pin = "",
    key: Annotated[
        list[str] | None,
        typer.Option("--key", metavar="VKEY", help="Verifier key of the log, name+id+key; in place of --bundle."),
    ] = None,
) -> None:
    """Write an exported log as static files for anybody's client (C2SP tlog-tiles), without licd.

    They hold names and commitments, no value: they can be public while what the entries say is not.
    """
    with file.open("rb") as lines:
        first = lines.readline(_MOST_OF_A_LINE)
        verifier = verifier_for(desk, first, bundle, pin, key or [])
        rest = iter(lambda: lines.readline(_MOST_OF_A_LINE), b"")
        report, count = write_tiles(save, chain([first], rest), verifier)
    shown = {"folder": str(save), "entries": report.final.size, "files": count, "root": report.final.root.hex()}
    if desk.printer.is_json:
        desk.printer.value(shown)
        return
    desk.printer.pairs([(name, str(value)) for name, value in shown.items()])
