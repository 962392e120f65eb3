"""A change that carries a request id is made once: the same request gets the same answer again."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from licd.core.errors import Invalid, RequestIdReused, RequestTooOld
from licd.core.time import MINUTE, Instant, Millis
from licd.ledger.records import Answered
from licd.ledger.rows import ANSWERED
from licd.ledger.transaction import Command, Transaction

R = TypeVar("R")

AHEAD: Final[Millis] = 5 * MINUTE
UUID7: Final = re.compile(r"([0-9a-f]{8})-?([0-9a-f]{4})-?7[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}", re.IGNORECASE)


def request_instant(request_id: str) -> Instant:
    """The time inside a UUIDv7 (RFC 9562). Raises Invalid for anything else."""
    found = UUID7.fullmatch(request_id)
    if found is None:
        raise Invalid("must be a UUIDv7", field="request_id")
    return int(found[1] + found[2], 16)


@dataclass(frozen=True, slots=True)
class Once(Generic[R]):
    """Wraps a command. pack and unpack turn its result into (kind, bytes) to keep, and back."""

    inner: Command[R]
    caller: str
    request_id: str
    fingerprint: bytes
    keep: Millis
    pack: Callable[[R], tuple[str, bytes]]
    unpack: Callable[[Transaction, str, bytes], R]

    @property
    def grants(self) -> bool:
        return self.inner.grants

    @property
    def urgent(self) -> bool:
        return self.inner.urgent

    def run(self, tx: Transaction) -> R:
        made_at = request_instant(self.request_id)
        if made_at < tx.now - self.keep:
            raise RequestTooOld("older than answers are kept; look at what is there, then ask anew", field="request_id")
        if made_at > tx.now + AHEAD:
            raise Invalid("its time lies in the future; check the caller's clock", field="request_id")
        known = tx.get(ANSWERED, self.caller, self.request_id)
        if known is not None:
            if known.fingerprint != self.fingerprint:
                raise RequestIdReused("the same id came with another request", field="request_id")
            return self.unpack(tx, known.kind, known.answer)
        result = self.inner.run(tx)
        kind, answer = self.pack(result)
        tx.put(Answered(self.caller, self.request_id, self.fingerprint, kind, answer, tx.now + 2 * self.keep))
        return result
