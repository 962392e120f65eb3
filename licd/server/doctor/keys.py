"""Key files: who may read them, how they are protected, and whether the trust bundle believes what they sign."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from licd.core.time import DAY, Instant
from licd.keys.bundle import Bundle
from licd.keys.errors import KeysError
from licd.keys.file_signer import FORMAT, MAX_KEY_FILE_BYTES
from licd.keys.kinds import KeyPurpose
from licd.keys.private_file import read_private
from licd.keys.verification_key import VerificationKey
from licd.server.doctor.finding import Finding, fail, ok, warn
from licd.server.doctor.patient import Patient, span
from licd.server.secrets import KeyReader

SOON: Final = 14 * DAY
ONLINE: Final = (KeyPurpose.LICENCE_ISSUER, KeyPurpose.PERMIT_ONLINE, KeyPurpose.EVIDENCE)
NEW_BUNDLE: Final = "have the holders of the root keys sign a new trust bundle with a fresh key"


class NoKeyFile(ValueError):
    """A file that is none, or that others may read."""


@dataclass(frozen=True, slots=True)
class KeyFile:
    """What a key file says of itself without its passphrase."""

    key_id: str
    public_key: bytes
    protected: bool


def described(path: Path) -> KeyFile:
    """Raises NoKeyFile, OSError."""
    try:
        fields = json.loads(read_private(path, MAX_KEY_FILE_BYTES))
        if fields["format"] != FORMAT:
            raise NoKeyFile(f"{path} is no key file")
        return KeyFile(fields["key_id"], bytes.fromhex(fields["public_key"]), fields["protection"] != "none")
    except KeysError as error:
        raise NoKeyFile(str(error)) from error
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise NoKeyFile(f"{path} is no key file") from error


def check_key_files(patient: Patient) -> Iterator[Finding]:
    """The files of the three keys that a daemon signs with."""
    open_ones = []
    for purpose in ONLINE:
        for path in patient.state.keys(purpose) or _expected(patient, purpose):
            try:
                file = described(path)
            except NoKeyFile as error:
                yield fail(str(error), "put the key back from where it is kept: mode 0600, owned by licd's user")
                continue
            if not file.protected:
                open_ones.append(path.stem)
    if open_ones:
        todo = "good for development; else keep keys under a passphrase (licd init --passphrase-file), or in a token"
        yield warn(f"{', '.join(open_ones)}: the key lies open on the disk (protection none)", todo)
    else:
        yield ok("only their owner may read them, and a passphrase protects them")


def check_keys(patient: Patient) -> Iterator[Finding]:
    """Whether systems believe what they sign, and for how long."""
    bundle = patient.trust().bundle
    reader = KeyReader(patient.state, None)
    for purpose in ONLINE:
        files = [file for path in patient.state.keys(purpose) if (file := _described_or_not(path)) is not None]
        files += [KeyFile(each.key_id, each.public_key, True) for each in reader.on_tokens(purpose)]
        if files:  # else the check of the files says so
            yield _in_bundle(purpose, files, bundle, patient.now)


def _expected(patient: Patient, purpose: KeyPurpose) -> list[Path]:
    """The file that is to be there, unless licd.toml names a token."""
    return [] if patient.config().keys.of(purpose) else [patient.state.key(purpose)]


def _described_or_not(path: Path) -> KeyFile | None:
    try:
        return described(path)
    except NoKeyFile:
        return None


def _in_bundle(purpose: KeyPurpose, files: list[KeyFile], bundle: Bundle, now: Instant) -> Finding:
    """Of several keys the one that lasts longest counts: one takes over from another."""
    here = {file.key_id for file in files}
    known = [key for key in bundle.keyring if key.key_id in here and key.purpose is purpose]
    if known:
        return _by_age(purpose, max(known, key=lambda key: key.not_after_ms), now)
    what = f"{purpose.word}: key {', '.join(sorted(here))} is not in trust bundle {bundle.version}, or withdrawn"
    return fail(what, f"what it signs is refused by every system; {NEW_BUNDLE}, or put the right key back")


def _by_age(purpose: KeyPurpose, key: VerificationKey, now: Instant) -> Finding:
    if now >= key.not_after_ms:
        return fail(f"{purpose.word}: key {key.key_id} is over since {span(now - key.not_after_ms)}", NEW_BUNDLE)
    left = key.not_after_ms - now
    what = f"{purpose.word}: key {key.key_id}, {span(max(0, now - key.not_before_ms))} old, holds for {span(left)} more"
    return warn(what, f"before then, {NEW_BUNDLE}") if left < SOON else ok(what)


def check_root_keys(patient: Patient) -> Iterator[Finding]:
    """They decide whom systems trust, and belong on another machine."""
    here = sorted(path.name for path in patient.state.root.glob("root/*.key"))
    threshold = patient.trust().bundle.root_threshold
    if not here:
        yield ok("none is on this machine")
    else:
        what = f"{', '.join(here)} lie on this machine; whoever has {threshold} of them decides whom systems trust"
        yield warn(what, f"move {patient.state.root}/root to places of their own, one key each")


def check_operator_keys(patient: Patient) -> Iterator[Finding]:
    """Two persons are two only while each has his own key."""
    here = sorted(path.parent.name for path in patient.state.root.glob("operators/*/signing.key"))
    if len(here) > 1:
        what = f"the signing keys of {', '.join(here)} lie on this one machine: who has it is all of them"
        yield warn(what, "hand each operator his own folder below operators/, and delete it here")
    else:
        yield ok("not more than one operator's keys are on this machine")
