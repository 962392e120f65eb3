"""licctl token: signed files, without licd."""

from pathlib import Path
from typing import Annotated

import typer

from licd.cli.desk import Desk
from licd.cli.failure import Exit, Stopped
from licd.cli.printing import Pairs
from licd.cli.times import parse_instant, when
from licd.cli.token_check import Judged, TokenRefused, judge
from licd.cli.token_file import Token, read_token, token_json, token_pairs
from licd.cli.trust_file import read_trust, refuse_stale
from licd.cli.verb import verb
from licd.core.time import Instant
from licd.keys.bundle import Bundle, BundleError
from licd.keys.verification_key import VerificationKey

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Signed files: show and verify, without licd.")

File = Annotated[Path, typer.Argument(metavar="FILE", help="A signed file, armoured or binary.")]


@verb(app, "show")
def show(desk: Desk, file: File) -> None:
    """Show what a signed file says. Says nothing about whether it holds: that is `token verify`."""
    token = read_token(file)
    if desk.printer.is_json:
        desk.printer.value(token_json(token))
        return
    desk.printer.pairs(
        [
            ("kind", f"{token.kind}, NOT verified"),
            ("signed by", ", ".join(f"key {one}" for one in token.signers) or "nobody"),
            *token_pairs(token, desk.now),
        ]
    )


@verb(app, "verify")
def verify(
    desk: Desk,
    file: File,
    bundle: Annotated[Path, typer.Option(metavar="FILE", help="Trust bundles, as `key bundle` writes them.")],
    pin: Annotated[
        str, typer.Option(metavar="HEX", help="What the first bundle in it must be, as `key bundle` printed it.")
    ] = "",
    at: Annotated[
        Instant | None,
        typer.Option(parser=parse_instant, metavar="INSTANT", help="Judge as of then; else as of now."),
    ] = None,
) -> None:
    """Check a signed file against a trust bundle, without licd, and say what it permits.

    A licence that holds may have been suspended since: only licd, or a permit, says that it was not.
    """
    now = desk.now if at is None else at
    trusted = refuse_stale_file(bundle, pin, now)
    token = read_token(file)
    try:
        judged = judge(token, trusted, now)
    except TokenRefused as refused:
        if desk.printer.is_json:
            desk.printer.value({"valid": False, "reason": refused.reason, "detail": refused.detail})
        raise Stopped(Exit.UNVERIFIED, f"{file}: {refused}") from refused
    if desk.printer.is_json:
        signed_by = [_signer_json(key) for key in judged.verified.keys]
        desk.printer.value({"valid": True, "reason": "", "signed_by": signed_by, **token_json(token)})
        return
    desk.printer.pairs(_verdict(token, judged, trusted, now))


def refuse_stale_file(path: Path, pin: str, now: Instant) -> Bundle:
    """The newest bundle of a file, if it has not expired. Raises Stopped(UNVERIFIED), KeysError, OSError."""
    try:
        return refuse_stale(read_trust(path, pin, now))
    except BundleError as error:
        raise Stopped(Exit.UNVERIFIED, f"{path}: {error}") from error


def _verdict(token: Token, judged: Judged, trusted: Bundle, now: Instant) -> Pairs:
    return [
        ("kind", f"{token.kind}, VALID at {when(now, now).partition(',')[0]}"),
        *[("signed by" if at == 0 else "", _signer_words(key)) for at, key in enumerate(judged.verified.keys)],
        ("trust", f"{trusted.trust_domain}, bundle {trusted.version}"),
        *token_pairs(token, now),
        ("not shown", "whether it was suspended or replaced since it was signed: ask licd"),
    ]


def _signer_json(key: VerificationKey) -> dict[str, str]:
    return {"key_id": key.key_id, "purpose": key.purpose.word, "owner": key.owner or "licd"}


def _signer_words(key: VerificationKey) -> str:
    return f"key {key.key_id}, {key.purpose.word} of {key.owner or 'licd'}"
