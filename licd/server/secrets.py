"""What a machine signs with, read from its state directory: when licd starts, and before a bundle is published."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from licd.keys.file_signer import read_key_file
from licd.keys.kinds import KeyPurpose
from licd.keys.pem_files import load_authority
from licd.keys.pki import Authority
from licd.keys.private_file import KeyFileError, KeyFileReason
from licd.keys.signer import Signer
from licd.server.keychain import ONLINE
from licd.server.state_dir import StateDirectory


@dataclass(frozen=True, slots=True)
class Spare:
    """Keys and authorities beside those a daemon started with: before one takes over, and after."""

    signers: tuple[Signer, ...] = ()
    authorities: tuple[Authority, ...] = ()


@dataclass(frozen=True, slots=True)
class Secrets:
    """What the daemon signs with, before the hold switch is put in front.

    spare reads whatever else there is on this machine: at the start, and again before a trust bundle is published.
    """

    licence_issuer: Signer
    permit_online: Signer
    evidence: Signer
    authority: Authority
    spare: Callable[[], Spare] = Spare


def read_secrets(state: StateDirectory, trust_domain: str, passphrase: bytes | None) -> Secrets:
    """The online keys. Raises KeysError naming the file."""
    issuer, permit, evidence = (_first(state, purpose, passphrase) for purpose in ONLINE)
    return Secrets(
        licence_issuer=issuer,
        permit_online=permit,
        evidence=evidence,
        authority=read_authorities(state, trust_domain)[0],
        spare=partial(_spare, state, trust_domain, passphrase),
    )


def read_signers(state: StateDirectory, purpose: KeyPurpose, passphrase: bytes | None) -> list[Signer]:
    """Every key of a purpose. Raises KeyFileError, also for a file of another purpose than its name says."""
    return [_read(path, purpose, passphrase) for path in state.keys(purpose)]


def read_authorities(state: StateDirectory, trust_domain: str) -> Sequence[Authority]:
    """Every authority whose key is here, at least one. Raises CertificateError, KeyFileError."""
    found = [load_authority(trust_domain, *each) for each in state.authorities()]
    return found or [load_authority(trust_domain, *state.authority)]


def _spare(state: StateDirectory, trust_domain: str, passphrase: bytes | None) -> Spare:
    signers = tuple(each for purpose in ONLINE for each in read_signers(state, purpose, passphrase))
    return Spare(signers, tuple(read_authorities(state, trust_domain)))


def _first(state: StateDirectory, purpose: KeyPurpose, passphrase: bytes | None) -> Signer:
    path = next(iter(state.keys(purpose)), state.key(purpose))
    return _read(path, purpose, passphrase)


def _read(path: Path, purpose: KeyPurpose, passphrase: bytes | None) -> Signer:
    signer = read_key_file(path, passphrase)
    if signer.purpose is not purpose:
        detail = f"it is a key for {signer.purpose.word}, its name says {purpose.word}"
        raise KeyFileError(KeyFileReason.MALFORMED, path, detail)
    return signer
