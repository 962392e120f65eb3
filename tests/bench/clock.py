"""Real time and randomness for the benchmark."""

from __future__ import annotations

import os
import time


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def boot_ms() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def seconds() -> float:
    return time.perf_counter()


def cpu_seconds() -> float:
    return time.thread_time()


def request_id() -> str:
    """A UUIDv7."""
    raw = bytearray(now_ms().to_bytes(6, "big") + os.urandom(10))
    raw[6] = (raw[6] & 0x0F) | 0x70
    raw[8] = (raw[8] & 0x3F) | 0x80
    digits = raw.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


random = os.urandom
pause = time.sleep
