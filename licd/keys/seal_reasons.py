"""Why an envelope, or what it carries, was refused: one closed, stable list."""

from enum import StrEnum

from licd.keys.errors import KeysError


class SealReason(StrEnum):
    """Reason codes. Append-only: they are logged, counted and shown to customers."""

    MALFORMED = "MALFORMED"
    TOO_LARGE = "TOO_LARGE"
    KIND_MISMATCH = "KIND_MISMATCH"
    KIND_UNKNOWN = "KIND_UNKNOWN"
    KEY_UNKNOWN = "KEY_UNKNOWN"
    KEY_PURPOSE = "KEY_PURPOSE"
    KEY_WITHDRAWN = "KEY_WITHDRAWN"
    KEY_NOT_YET_VALID = "KEY_NOT_YET_VALID"
    KEY_EXPIRED = "KEY_EXPIRED"
    KEY_REPEATED = "KEY_REPEATED"
    SIGNATURE_INVALID = "SIGNATURE_INVALID"
    TOO_FEW_SIGNATURES = "TOO_FEW_SIGNATURES"
    UNKNOWN_FIELD = "UNKNOWN_FIELD"
    TOKEN_NOT_YET_VALID = "TOKEN_NOT_YET_VALID"  # noqa: S105 -- a reason code
    TOKEN_EXPIRED = "TOKEN_EXPIRED"  # noqa: S105 -- a reason code
    TOKEN_LIFE_TOO_LONG = "TOKEN_LIFE_TOO_LONG"  # noqa: S105 -- a reason code
    OVERLAY_NOT_IN_FORCE = "OVERLAY_NOT_IN_FORCE"


class SealInvalid(KeysError):
    """A seal does not hold: `reason` for programs, `detail` for people."""

    def __init__(self, reason: SealReason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
