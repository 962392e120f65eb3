"""Instants and durations: whole milliseconds, one unit in every layer.

An instant counts from the Unix epoch on the deciding clock; a boot instant counts from the machine's start
(CLOCK_BOOTTIME). 0 as an instant means "never" or "not yet", and says so where it is allowed.
"""

from __future__ import annotations

Instant = int
Millis = int

SECOND: Millis = 1_000
MINUTE: Millis = 60 * SECOND
HOUR: Millis = 60 * MINUTE
DAY: Millis = 24 * HOUR
