"""A trust bundle: which keys an installation believes, until when, and who may say so next."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from google.protobuf.message import DecodeError

from licd.keys.errors import KeysError
from licd.keys.identity import (
    Identity,
    IdentityError,
    OperatorIdentity,
    OverseerIdentity,
    check_trust_domain,
    parse_path,
)
from licd.keys.keyring import Keyring, KeyringError
from licd.keys.kinds import KeyPurpose
from licd.keys.payload import refuse_unknown_fields
from licd.keys.public_key import PublicKeyError
from licd.keys.seal_reasons import SealInvalid
from licd.keys.verification_key import VerificationKey
from licd.v1 import trust_pb2

READER_VERSION: Final = 1
"""What this reader understands. A bundle that asks for more is refused."""
MAX_ROOT_KEYS: Final = 16
"""Most root keys: as many as an envelope has signatures."""


class BundleReason(StrEnum):
    """Why a bundle was refused, named after the attacks of the TUF specification (section 1.5.2). Append-only."""

    ROLLBACK = "ROLLBACK"
    FAST_FORWARD = "FAST_FORWARD"
    FREEZE = "FREEZE"
    MIX_AND_MATCH = "MIX_AND_MATCH"
    ENDLESS_DATA = "ENDLESS_DATA"
    OLD_ROOTS_BELOW_THRESHOLD = "OLD_ROOTS_BELOW_THRESHOLD"
    NEW_ROOTS_BELOW_THRESHOLD = "NEW_ROOTS_BELOW_THRESHOLD"
    PIN_MISMATCH = "PIN_MISMATCH"
    WITHDRAWAL_UNDONE = "WITHDRAWAL_UNDONE"
    READER_TOO_OLD = "READER_TOO_OLD"
    UNKNOWN_FIELD = "UNKNOWN_FIELD"
    KEY_UNUSABLE = "KEY_UNUSABLE"
    MALFORMED = "MALFORMED"


class BundleError(KeysError):
    """A bundle was refused: `reason` for programs, `detail` for people."""

    def __init__(self, reason: BundleReason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a signed bundle says. Made by `bundle_update`, which checks who signed it.

    Times are unix milliseconds, `refresh_hint_ms` a duration. `payload` is what was signed, `raw` the envelope as it
    came: that is what a caller stores and forwards.
    """

    version: int
    issued_at_ms: int
    expires_at_ms: int
    refresh_hint_ms: int
    trust_domain: str
    root_threshold: int
    root_keys: tuple[VerificationKey, ...]
    keys: tuple[VerificationKey, ...]
    withdrawn_key_ids: frozenset[str]
    tls_authorities_pem: tuple[str, ...]
    keyring: Keyring = field(repr=False, compare=False)
    payload: bytes = field(repr=False)
    raw: bytes = field(repr=False, compare=False)

    def is_stale(self, now_ms: int) -> bool:
        """Say whether the bundle has expired: nothing new may be believed on its word."""
        return now_ms >= self.expires_at_ms

    def roots(self) -> Keyring:
        """Return the root keys that count: those not withdrawn."""
        return Keyring(self.root_keys, withdrawn=self.withdrawn_key_ids, version=self.version)


def read_bundle(payload: bytes, raw: bytes) -> Bundle:
    """Read the payload of a bundle whose signatures the caller checks. Raises BundleError."""
    try:
        message = trust_pb2.TrustBundle.FromString(payload)
    except DecodeError as error:
        raise BundleError(BundleReason.MALFORMED, "the payload is no trust bundle") from error
    _refuse_unreadable(message)
    root_keys = tuple(_read_key(key, roots=True) for key in message.root_keys)
    keys = tuple(_read_key(key, roots=False) for key in message.keys)
    withdrawn = frozenset(message.withdrawn_key_ids)
    return Bundle(
        version=message.version,
        issued_at_ms=message.issued_at_ms,
        expires_at_ms=message.expires_at_ms,
        refresh_hint_ms=message.refresh_hint_ms,
        trust_domain=message.trust_domain,
        root_threshold=message.root_threshold,
        root_keys=root_keys,
        keys=keys,
        withdrawn_key_ids=withdrawn,
        tls_authorities_pem=tuple(message.tls_authorities_pem),
        keyring=_keyring_of((*keys, *root_keys), withdrawn, message.version),
        payload=payload,
        raw=raw,
    )


def _refuse_unreadable(message: trust_pb2.TrustBundle) -> None:
    if message.min_reader_version > READER_VERSION:
        detail = f"it asks for a reader of version {message.min_reader_version}, this is {READER_VERSION}: update licd"
        raise BundleError(BundleReason.READER_TOO_OLD, detail)
    try:
        refuse_unknown_fields(message)
        check_trust_domain(message.trust_domain)
    except SealInvalid as error:
        raise BundleError(BundleReason.UNKNOWN_FIELD, error.detail) from error
    except IdentityError as error:
        raise BundleError(BundleReason.MALFORMED, str(error)) from error
    if message.version < 1 or message.refresh_hint_ms < 0:
        raise BundleError(BundleReason.MALFORMED, "versions begin at 1, and a refresh hint is not negative")
    if message.expires_at_ms <= message.issued_at_ms:
        raise BundleError(BundleReason.MALFORMED, "it expires before it is issued")
    if not 1 <= message.root_threshold <= len(message.root_keys) <= MAX_ROOT_KEYS:
        detail = f"threshold {message.root_threshold} of {len(message.root_keys)} root keys, at most {MAX_ROOT_KEYS}"
        raise BundleError(BundleReason.MALFORMED, detail)


def _read_key(message: trust_pb2.Key, *, roots: bool) -> VerificationKey:
    try:
        key = VerificationKey.of(
            KeyPurpose(message.purpose),
            message.public_key,
            not_before_ms=message.not_before_ms,
            not_after_ms=message.not_after_ms,
            max_token_life_ms=message.max_token_life_ms,
            owner=message.owner,
        )
        _refuse_wrong_owner(key)
    except (ValueError, PublicKeyError, IdentityError) as error:
        raise BundleError(BundleReason.KEY_UNUSABLE, f"key {message.key_id[:40]!r}: {error}") from error
    if key.key_id != message.key_id:
        detail = f"key {message.key_id[:40]!r} should be called {key.key_id}"
        raise BundleError(BundleReason.KEY_UNUSABLE, detail)
    if (key.purpose is KeyPurpose.ROOT) is not roots:
        raise BundleError(BundleReason.KEY_UNUSABLE, f"key {key.key_id}: root keys stand in root_keys, others in keys")
    if key.not_after_ms <= key.not_before_ms or key.max_token_life_ms < 0:
        raise BundleError(BundleReason.KEY_UNUSABLE, f"key {key.key_id} is never valid")
    return key


def _refuse_wrong_owner(key: VerificationKey) -> None:
    """Two people are told apart by their keys' owners, so a person's key must name one."""
    persons: dict[KeyPurpose, type[Identity]] = {
        KeyPurpose.OPERATOR: OperatorIdentity,
        KeyPurpose.OVERSEER: OverseerIdentity,
    }
    wanted = persons.get(key.purpose)
    if wanted is None and not key.owner:
        return
    owner = parse_path(key.owner)
    if wanted is not None and not isinstance(owner, wanted):
        raise IdentityError(f"{key.owner!r} cannot own a key for {key.purpose.word}")


def _keyring_of(keys: tuple[VerificationKey, ...], withdrawn: frozenset[str], version: int) -> Keyring:
    try:
        return Keyring(keys, withdrawn=withdrawn, version=version)
    except KeyringError as error:
        raise BundleError(BundleReason.KEY_UNUSABLE, str(error)) from error
