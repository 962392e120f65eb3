"""The machine's own clocks, as the SDK reads them."""

import errno
import subprocess
import sys
from pathlib import Path

from licd.client.clock import SystemClock

OUT_OF_FILES = """
import os, resource
from licd.client.clock import SystemClock
clock = SystemClock()
known = clock.boot_id()
resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
try:
    os.open("/proc/self/stat", os.O_RDONLY)
except OSError as error:
    print(error.errno, clock.boot_id() == known)
"""


def test_the_boot_is_known_by_the_kernels_word() -> None:
    told = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    assert SystemClock().boot_id() == told == SystemClock().boot_id()


def test_a_program_that_has_run_out_of_files_goes_on_with_its_leases() -> None:
    """At each tick a system asks whether its machine was started anew."""
    said = subprocess.run([sys.executable, "-c", OUT_OF_FILES], capture_output=True, text=True, check=True).stdout
    assert said.split() == [str(errno.EMFILE), "True"]
