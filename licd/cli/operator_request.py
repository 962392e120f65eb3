"""A person asks to become an operator: keys made on his own machine, and a small JSON file without any secret.

format "licd-operator-request" · version 1 · operator · public_key (hex) · csr (PEM)
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from licd.cli.desk import Desk
from licd.cli.failure import Exit, Stopped
from licd.cli.input_file import read_input
from licd.cli.settings import FILE_NAME
from licd.keys.certificate_request import check_request, make_private_key, make_request
from licd.keys.file_signer import create_key_file
from licd.keys.identity import IdentityError, OperatorIdentity, parse_path, path_of
from licd.keys.kinds import KeyPurpose
from licd.keys.pem_files import write_private_key
from licd.keys.private_file import EVERYBODY, write_new
from licd.keys.public_key import parse_public_key
from licd.keys.verification_key import key_id_of

FORMAT: Final = "licd-operator-request"
FORMAT_VERSION: Final = 1
_FIELDS: Final = ("format", "version", "operator", "public_key", "csr")
_MAX_BYTES: Final = 1 << 14
_PASSPHRASE_LENGTH: Final = 8


@dataclass(frozen=True, slots=True)
class MadeRequest:
    """Where the request lies, the id of its signing key, and whether a licctl.toml was written beside it."""

    path: Path
    key_id: str
    has_settings: bool


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """What a request file asks for. `csr` is DER."""

    operator: str
    public_key: bytes
    csr: bytes

    @property
    def key_id(self) -> str:
        """Id of the signing key, as the trust bundle will call it."""
        return key_id_of(KeyPurpose.OPERATOR, self.public_key)


def make_request_files(
    desk: Desk, operator: str, folder: Path, address: str, authority: Path | None, *, protected: bool
) -> MadeRequest:
    """Makes both keys, the request, and the settings where address and authority are known.

    Raises Stopped(USAGE), KeyFileError when one of the files is there already.
    """
    try:
        parse_path(path_of(OperatorIdentity(operator)))
    except IdentityError as error:
        raise Stopped(Exit.USAGE, f"OPERATOR: {error}") from error
    if bool(address) is not (authority is not None):
        raise Stopped(Exit.USAGE, "--address, --ca: give both, and licctl.toml is written, or neither")
    authority_pem = read_input(authority) if authority else b""
    passphrase = new_passphrase(desk, folder / "signing.key") if protected else None
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    signer = create_key_file(
        folder / "signing.key",
        KeyPurpose.OPERATOR,
        passphrase=passphrase,
        randomness=desk.surroundings.randomness,
    )
    private_key = make_private_key()
    write_private_key(folder / "channel.key", private_key)
    path = folder / f"{operator}.request.json"
    request = x509.load_der_x509_csr(make_request(private_key))
    values = (FORMAT, FORMAT_VERSION, operator, signer.public_key.hex(), request.public_bytes(Encoding.PEM).decode())
    write_new(path, json.dumps(dict(zip(_FIELDS, values, strict=True)), indent=2).encode() + b"\n", EVERYBODY)
    if address:
        write_new(folder / "authority.pem", authority_pem, EVERYBODY)
        write_new(folder / FILE_NAME, _settings(address, operator).encode(), EVERYBODY)
    return MadeRequest(path, signer.key_id, bool(address))


def read_request(path: Path) -> ReadRequest:
    """Reads a request file. Raises Stopped(USAGE) naming the field; PublicKeyError, CertificateRequestError."""
    raw = read_input(path)
    try:
        fields = json.loads(raw) if len(raw) <= _MAX_BYTES else None
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict) or fields.get("format") != FORMAT or fields.get("version") != FORMAT_VERSION:
        raise Stopped(Exit.USAGE, f"{path}: no request; `licctl operator request` makes one")
    if fields.keys() != set(_FIELDS) or not all(isinstance(fields[one], str) for one in _FIELDS[2:]):
        raise Stopped(Exit.USAGE, f"{path}: must have the texts {', '.join(_FIELDS[2:])}, and nothing more")
    try:
        public_key = bytes.fromhex(fields["public_key"])
    except ValueError as error:
        raise Stopped(Exit.USAGE, f"{path}: public_key: must be hex") from error
    parse_public_key(public_key)
    check_request(fields["csr"].encode())
    request = x509.load_pem_x509_csr(fields["csr"].encode())
    return ReadRequest(fields["operator"], public_key, request.public_bytes(Encoding.DER))


def new_passphrase(desk: Desk, path: Path) -> bytes:
    """Asks for one twice. Raises Stopped(USAGE) where they differ, or it is short."""
    first = desk.passphrase(f"New passphrase for {path}: ")
    if len(first) < _PASSPHRASE_LENGTH:
        raise Stopped(Exit.USAGE, f"the passphrase must have {_PASSPHRASE_LENGTH} characters or more; nothing was made")
    if desk.passphrase("The same again: ") != first:
        raise Stopped(Exit.USAGE, "the two passphrases differ; nothing was made")
    return first


def _settings(address: str, operator: str) -> str:
    values = {
        "address": address,
        "ca": "authority.pem",
        "certificate": "certificate.pem",
        "key": "channel.key",
        "signing_key": "signing.key",
        "operator": operator,
    }
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())
