"""The one error family: why licd could not answer, or why the caller may not ask. Never a denial.

Codes are closed and stable; licd/wire/errors.py maps them to gRPC and back.
"""

from __future__ import annotations

from enum import StrEnum


class Code(StrEnum):
    """Stable machine-readable code of an error."""

    INVALID = "INVALID"
    NOT_FOUND = "NOT_FOUND"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    CONFLICT = "CONFLICT"
    ILLEGAL_TRANSITION = "ILLEGAL_TRANSITION"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    REQUEST_ID_REUSED = "REQUEST_ID_REUSED"
    REQUEST_TOO_OLD = "REQUEST_TOO_OLD"
    OVER_QUOTA = "OVER_QUOTA"
    SEAL_INVALID = "SEAL_INVALID"
    FORKED = "FORKED"
    STALE_FRAME = "STALE_FRAME"
    CLOCK_DOUBTED = "CLOCK_DOUBTED"
    DISK_FULL = "DISK_FULL"
    HELD = "HELD"
    BEHIND = "BEHIND"
    SHUTTING_DOWN = "SHUTTING_DOWN"
    DATABASE = "DATABASE"
    INTERNAL = "INTERNAL"


class LicdError(Exception):
    """licd could not answer, or the caller may not ask.

    field names the offending input where there is one; retry_after is in milliseconds, 0 = retrying does not help.
    """

    code: Code = Code.INTERNAL

    def __init__(self, detail: str, *, field: str = "", retry_after: int = 0) -> None:
        super().__init__(f"{field}: {detail}" if field else detail)
        self.detail = detail
        self.field = field
        self.retry_after = retry_after


class Invalid(LicdError):
    """Input that is wrong in itself; the message says what would be right."""

    code = Code.INVALID


class NotFound(LicdError):
    """There is no such thing, or not for this caller."""

    code = Code.NOT_FOUND


class AlreadyExists(LicdError):
    """The name is taken."""

    code = Code.ALREADY_EXISTS


class Conflict(LicdError):
    """The thing changed since the caller looked."""

    code = Code.CONFLICT


class IllegalTransition(LicdError):
    """The lifecycle does not have this step."""

    code = Code.ILLEGAL_TRANSITION


class Unauthenticated(LicdError):
    """Nobody we know, or no longer."""

    code = Code.UNAUTHENTICATED


class Forbidden(LicdError):
    """Somebody we know, who may not ask for this."""

    code = Code.FORBIDDEN


class RequestIdReused(LicdError):
    """Same request id, other request."""

    code = Code.REQUEST_ID_REUSED


class RequestTooOld(LicdError):
    """Older than answers are kept: nobody can say whether it was done."""

    code = Code.REQUEST_TOO_OLD


class OverQuota(LicdError):
    """Asked more often than agreed; nothing was decided."""

    code = Code.OVER_QUOTA


class SealRefused(LicdError):
    """A signed thing that does not verify; the detail opens with the stable reason."""

    code = Code.SEAL_INVALID


class Forked(LicdError):
    """Two copies of one system were seen; it is fenced until it is enrolled anew."""

    code = Code.FORKED


class StaleFrame(LicdError):
    """A late frame of an earlier connection: dropped, nothing was judged."""

    code = Code.STALE_FRAME


class ClockDoubted(LicdError):
    """licd's own clock cannot be trusted now; nothing is granted until it can."""

    code = Code.CLOCK_DOUBTED


class DiskFull(LicdError):
    """licd's disk is full; it grants nothing, and narrows from its reserve."""

    code = Code.DISK_FULL


class Held(LicdError):
    """The local hold switch is set: this machine signs nothing."""

    code = Code.HELD


class Behind(LicdError):
    """A system proved that licd was restored from an older state; licd is read-only."""

    code = Code.BEHIND


class ShuttingDown(LicdError):
    """licd is on its way down; another replica, or the next start, will answer."""

    code = Code.SHUTTING_DOWN


class DatabaseFailed(LicdError):
    """The database did not take the transaction; whether it was kept is unknown."""

    code = Code.DATABASE


_FAMILY: list[type[LicdError]] = [LicdError, *LicdError.__subclasses__()]

BY_CODE: dict[Code, type[LicdError]] = {kind.code: kind for kind in _FAMILY}
