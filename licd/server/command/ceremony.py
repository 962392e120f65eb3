"""`licd ceremony`: from a reviewed file to the next trust bundle, on machines without a network."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final

import typer

from licd.core.errors import Invalid
from licd.core.time import DAY, Instant, Millis
from licd.keys.armour import armour, dearmour
from licd.keys.bundle import Bundle
from licd.keys.bundle_update import refuse_frozen
from licd.keys.ceremony import combine as combine_signatures
from licd.keys.ceremony import moment, next_bundle, told
from licd.keys.ceremony import sign as sign_bundle
from licd.keys.ceremony_file import CeremonyInvalid, read_ceremony
from licd.keys.chain_file import newest_of, read_chain
from licd.keys.envelope import parse_envelope
from licd.keys.file_signer import create_key_file, read_key_file
from licd.keys.identity import check_trust_domain
from licd.keys.kinds import KeyPurpose, purpose_of_word
from licd.keys.pem_files import certificates_to_pem, write_private_key
from licd.keys.pki import make_authority
from licd.keys.private_file import EVERYBODY, refuse_existing, write_new
from licd.server.clock import SystemClock, entropy
from licd.server.command.options import PassphraseFile, Yes, passphrase_in

KEY_LIFE: Final[Millis] = 90 * DAY
AUTHORITY_LIFE: Final[Millis] = 5 * 365 * DAY

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="From a reviewed file to the next trust bundle: offline, one file in, artefacts out.",
)

File = Annotated[Path, typer.Argument(metavar="FILE", help="The ceremony: what changes, reviewed by all.")]
Chain = Annotated[
    Path, typer.Option("--bundles", metavar="CHAIN", help="The bundles so far, as `licctl key bundle` writes them.")
]
Pin = Annotated[str, typer.Option("--pin", metavar="HEX", help="What the first bundle in CHAIN must be.")]
Out = Annotated[Path, typer.Option("--out", metavar="FILE", help="Where it goes; it must not exist.")]
Unprotected = Annotated[
    bool, typer.Option("--unprotected", help="Without a passphrase: for development, or a disk that is encrypted.")
]


@app.command("show")
def show(file: File, bundles: Chain, pin: Pin = "") -> None:
    """Say what the bundle of this file changes, and the hash of what would be signed. Signs nothing."""
    _prepared(file, bundles, pin)


@app.command("sign")
def sign(
    *,
    file: File,
    bundles: Chain,
    root_key: Annotated[Path, typer.Option("--root-key", metavar="KEY", help="Your root key's file.")],
    out: Out,
    pin: Pin = "",
    passphrase_file: PassphraseFile = None,
    yes: Yes = False,
) -> None:
    """Sign the bundle of this file with your root key, once you have read what it changes.

    Each holder does this on a machine of his own, with his own copy of the file: compare the hash aloud.
    """
    current, following = _prepared(file, bundles, pin)
    root = read_key_file(root_key, passphrase_in(passphrase_file))
    if root.purpose is not KeyPurpose.ROOT:
        raise Invalid(f"{root_key} is a key for {root.purpose.word}", field="root-key")
    if current.roots().find(root.key_id) is None and following.roots().find(root.key_id) is None:
        raise Invalid(f"{root_key} is a root key of neither bundle", field="root-key")
    if not yes:
        typer.echo(f"root key {root.key_id} would sign this; nothing was signed: add --yes once you agree")
        raise typer.Exit(1)
    write_new(out, armour(sign_bundle(following, root).SerializeToString()).encode("ascii"), EVERYBODY)
    typer.echo(f"root key {root.key_id} has signed: {out}")


@app.command("combine")
def combine(
    *,
    file: File,
    signatures: Annotated[list[Path], typer.Argument(metavar="SIGNATURE...", help="What the holders signed.")],
    bundles: Chain,
    out: Out,
    pin: Pin = "",
) -> None:
    """Put the signatures together to the next trust bundle, and check it as every system will.

    What comes out is for `licctl key publish`.
    """
    current, following = _prepared(file, bundles, pin)
    signed = [parse_envelope(dearmour(each.read_bytes()).raw) for each in signatures]
    bundle = combine_signatures(current, following, signed)
    refuse_frozen(bundle, SystemClock().wall())
    write_new(out, armour(bundle.raw).encode("ascii"), EVERYBODY)
    typer.echo(f"trust bundle {bundle.version} is whole and follows bundle {current.version}: {out}")


@app.command("new-key")
def new_key(
    *,
    purpose: Annotated[str, typer.Option(metavar="PURPOSE", help="root, licence-issuer, permit-online or evidence.")],
    out: Out,
    days: Annotated[int, typer.Option(min=1, max=3650, help="How long it is to sign.")] = KEY_LIFE // DAY,
    passphrase_file: PassphraseFile = None,
    unprotected: Unprotected = False,
) -> None:
    """Make a key where it is to stay, and print what the ceremony file says of it.

    An online key goes below keys/ of the state directory, named after its purpose: keys/permit-online-2.key.
    """
    known = purpose_of_word(purpose)
    if known not in {KeyPurpose.ROOT, KeyPurpose.LICENCE_ISSUER, KeyPurpose.PERMIT_ONLINE, KeyPurpose.EVIDENCE}:
        raise Invalid(f"{purpose!r} is no purpose of licd's own keys", field="purpose")
    if (passphrase_file is None) is not unprotected:
        raise Invalid("either --passphrase-file, or --unprotected", field="passphrase-file")
    signer = create_key_file(out, known, passphrase=passphrase_in(passphrase_file), randomness=entropy)
    begins = SystemClock().wall()
    typer.echo(f"# key {signer.key_id}, in {out}")
    typer.echo(f'[[add]]\npurpose = "{known.word}"\npublic_key = "{signer.public_key.hex()}"')
    typer.echo(f"not_before = {moment(begins)}\nnot_after = {moment(begins + days * DAY)}")


@app.command("new-authority")
def new_authority(
    *,
    trust_domain: Annotated[str, typer.Option(help="SPIFFE trust domain of the installation.")],
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="PATH", help="Two files, PATH.pem and PATH.key: tls/authority-2 of a state directory."
        ),
    ],
    days: Annotated[int, typer.Option(min=1, max=3650, help="How long it holds.")] = AUTHORITY_LIFE // DAY,
) -> None:
    """Make a TLS authority where it is to stay, and print what the ceremony file says of it."""
    certificate, key = out.with_suffix(".pem"), out.with_suffix(".key")
    now = SystemClock().wall()
    authority = make_authority(
        check_trust_domain(trust_domain),
        f"licd authority {_day(now)}",
        now_ms=now,
        life_ms=days * DAY,
        randomness=entropy,
    )
    refuse_existing(certificate)
    write_private_key(key, authority.private_key)  # first: a certificate without its key issues nothing
    pem = certificates_to_pem([authority.certificate])
    write_new(certificate, pem, EVERYBODY)
    typer.echo(f"# in {certificate} and {key}\n[[add_authority]]\npem = '''\n{pem.decode()}'''")


def _prepared(file: Path, bundles: Path, pin: str) -> tuple[Bundle, Bundle]:
    """The bundle in force and the one that the file makes of it, told."""
    current = newest_of(read_chain(bundles), bundles, pin)
    ceremony = read_ceremony(file)
    try:
        following = next_bundle(ceremony, current)
    except CeremonyInvalid as error:
        raise CeremonyInvalid(f"{file}: {error}") from error
    for line in told(current, following):
        typer.echo(line)
    typer.echo(f"reason: {ceremony.reason}")
    typer.echo(f"SHA-256 of what is signed: {_spaced(following.payload)}")
    return current, following


def _spaced(payload: bytes) -> str:
    """In groups, for reading aloud."""
    shown = sha256(payload).hexdigest()
    return " ".join(shown[at : at + 8] for at in range(0, len(shown), 8))


def _day(at: Instant) -> str:
    return datetime.fromtimestamp(at // 1000, tz=UTC).strftime("%Y-%m-%d")
