"""Room on the disk, and the reserve that a suspension is written from when there is none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

from licd.server.doctor.finding import Finding, fail, ok, warn
from licd.server.doctor.patient import Patient
from licd.server.reserve import MEBIBYTE
from licd.server.state_dir import in_use

LEAST: Final = 64 * MEBIBYTE
LITTLE: Final = 1024 * MEBIBYTE
LITTLE_SHARE: Final = 0.05
FEW_FILES: Final = 1000


def check_disk(patient: Patient) -> Iterator[Finding]:
    """Free bytes and free file names."""
    found = os.statvfs(patient.state.root)
    free, size = found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
    what = f"{free // MEBIBYTE} MiB of {size // MEBIBYTE} MiB are free"
    if free < LEAST:
        yield fail(what, "make room now: without it licd grants nothing, and can only suspend")
    elif free < LITTLE or free < size * LITTLE_SHARE:
        yield warn(what, "make room: a database that cannot grow grants nothing")
    else:
        yield ok(what)
    if found.f_files and found.f_favail < FEW_FILES:
        yield warn(f"{found.f_favail} files more can be made", "delete small files, or make a new file system")


def check_reserve(patient: Patient) -> Iterator[Finding]:
    """Whether the space is set aside."""
    wanted = patient.config().limits.reserve_mebibytes * MEBIBYTE
    reserve = patient.state.reserve
    have = reserve.stat().st_size if reserve.is_file() else 0
    if have == wanted:
        yield ok(f"{wanted // MEBIBYTE} MiB are set aside")
    elif in_use(patient.state):
        yield fail(f"{have // MEBIBYTE} of {wanted // MEBIBYTE} MiB are set aside: the disk was full", "make room")
    else:
        yield ok("a daemon sets it aside when it starts")
