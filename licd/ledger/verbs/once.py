"""A change that carries a request id is made once: the same request gets the same answer again."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Generic, TypeVar

from licd.core.errors import Invalid, RequestIdReused, RequestTooOld
from licd.core.time import MINUTE, Instant, Millis
from licd.ledger.records import Answered
from licd.ledger.rows import ANSWERED, Rows
from licd.ledger.transaction import Command, Transaction, within

R = TypeVar("R")

AHEAD: Final[Millis] = 5 * MINUTE
UUID7: Final = re.compile(r"([0-9a-f]{8})-?([0-9a-f]{4})-?7[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}", re.IGNORECASE)


def request_instant(request_id: str) -> Instant:
    """The time inside a UUIDv7 (RFC 9562). Raises Invalid for anything else."""
    found = UUID7.fullmatch(request_id)
    if found is None:
        raise Invalid("must be a UUIDv7", field="request_id")
    return int(found[1] + found[2], 16)


def canonical(request_id: str) -> str:
    """One spelling of an id, however it came: hyphens and capitals say nothing."""
    return request_id.replace("-", "").lower()


@dataclass(frozen=True, slots=True)
class Once(Generic[R]):
    """Wraps a command. pack and unpack turn its result into (kind, bytes) to keep, and back.

    pack says None of a result that changed nothing: it is not kept, and the same request is decided anew. Kept, such
    answers would let a caller fill the disk with requests that come to nothing.
    """

    inner: Command[R]
    caller: str
    request_id: str
    fingerprint: bytes
    keep: Millis
    pack: Callable[[R], tuple[str, bytes] | None]
    unpack: Callable[[Transaction, str, bytes], R]

    @property
    def grants(self) -> bool:
        return self.inner.grants

    @property
    def urgent(self) -> bool:
        return self.inner.urgent

    @property
    def within(self) -> str | None:
        return within(self.inner)

    @property
    def sought(self) -> tuple[Rows[Any], tuple[Any, ...]] | None:
        if UUID7.fullmatch(self.request_id) is None:
            return None  # refused before anything is looked for
        return ANSWERED, (self.caller, canonical(self.request_id))

    def run(self, tx: Transaction) -> R:
        made_at = self._made_at(tx.now)
        known = stored_answer(tx, self.caller, self.request_id, self.fingerprint)
        if known is not None:
            return self.unpack(tx, known.kind, known.answer)
        result = self.inner.run(tx)
        packed = self.pack(result)
        if packed is None:
            return result
        kind, answer = packed
        expires_at = max(made_at, tx.now) + 2 * self.keep
        tx.put(Answered(self.caller, canonical(self.request_id), self.fingerprint, kind, answer, expires_at))
        return result

    def _made_at(self, now: Instant) -> Instant:
        """When the request was made. One that stops is never too new or too old: licd's clock may be the wrong one."""
        made_at = request_instant(self.request_id)
        if self.urgent:
            return made_at
        if made_at < now - self.keep:
            raise RequestTooOld("older than answers are kept; look at what is there, then ask anew", field="request_id")
        if made_at > now + AHEAD:
            raise Invalid("its time lies in the future; check the caller's clock", field="request_id")
        return made_at


def stored_answer(tx: Transaction, caller: str, request_id: str, fingerprint: bytes) -> Answered | None:
    """The answer this request got before. Raises RequestIdReused when it was another request."""
    known = tx.get(ANSWERED, caller, canonical(request_id))
    if known is not None and known.fingerprint != fingerprint:
        raise RequestIdReused("the same id came with another request", field="request_id")
    return known


@dataclass(frozen=True, slots=True)
class Recall:
    """What this request was answered before; None when it is new. Changes nothing."""

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = False

    caller: str
    request_id: str
    fingerprint: bytes

    def run(self, tx: Transaction) -> bytes | None:
        known = stored_answer(tx, self.caller, self.request_id, self.fingerprint)
        return known.answer if known is not None else None
