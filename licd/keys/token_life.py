"""The life a signed token gives itself, against the clock and against what its key may grant."""

from licd.keys.envelope import Verified
from licd.keys.seal_reasons import SealInvalid, SealReason


def refuse_outside_life(verified: Verified, starts_ms: int, ends_ms: int, now_ms: int) -> None:
    """Refuse a token outside of [starts_ms, ends_ms), or one that lives longer than each of its keys may grant.

    Raises SealInvalid: TOKEN_LIFE_TOO_LONG, TOKEN_NOT_YET_VALID, TOKEN_EXPIRED (also for an empty life).
    """
    for key in verified.keys:
        if key.max_token_life_ms and ends_ms - starts_ms > key.max_token_life_ms:
            detail = f"{ends_ms - starts_ms} ms, and key {key.key_id} may grant {key.max_token_life_ms}"
            raise SealInvalid(SealReason.TOKEN_LIFE_TOO_LONG, detail)
    if now_ms < starts_ms:
        raise SealInvalid(SealReason.TOKEN_NOT_YET_VALID, f"this {verified.kind} holds from {starts_ms} on")
    if now_ms >= ends_ms:
        raise SealInvalid(SealReason.TOKEN_EXPIRED, f"this {verified.kind} held until {ends_ms}")
