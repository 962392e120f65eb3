"""An authority's key on its own machine: it signs overlays, and cosigns checkpoints as a witness."""

from pathlib import Path

from licd.cli.desk import Desk
from licd.cli.failure import Exit, Stopped
from licd.keys.file_signer import read_key_file
from licd.keys.kinds import KeyPurpose
from licd.keys.private_file import KeyFileError, KeyFileReason
from licd.keys.signer import Signer


def read_authority_key(desk: Desk, path: Path, option: str) -> Signer:
    """The key, its passphrase asked for where it has one. Raises KeyFileError, Stopped(USAGE) for another's key."""
    try:
        found = read_key_file(path, None)
    except KeyFileError as error:
        if error.reason is not KeyFileReason.PASSPHRASE_MISSING:
            raise
        found = read_key_file(path, desk.passphrase(f"Passphrase of {path}: "))
    if found.purpose is not KeyPurpose.OVERSEER:
        raise Stopped(Exit.USAGE, f"{option}: {path} is a key for {found.purpose.word}, not an authority's")
    return found
