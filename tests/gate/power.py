"""The forgetful disk in a program's hands: mounted, cut, and mounted again with what survived."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.daemon import PATIENCE, ROOT
from tests.eventually import eventually

NEVER = 1 << 60


class Disk:
    """A directory at `mount`. What it held when the power went is in a new folder each time."""

    def __init__(self, folder: Path, source: Path) -> None:
        self.mount = folder / "disk"
        self.mount.mkdir()
        self.folder, self.source = folder, source
        self.rounds = 0
        self.syncs = self.commits = 0
        self._process: subprocess.Popen[bytes] | None = None

    def plug_in(self, seed: int, cut_at: int = NEVER) -> None:
        """Mounts it. The power goes at the so many-th changing call."""
        self.rounds += 1
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.gate.forgetful", str(self.mount), str(self.source), str(self._image)),
                *("--seed", str(seed), "--cut-at", str(cut_at)),
            ],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
        )
        process = self._process

        def mounted() -> bool:
            assert process.poll() is None, "the file system was not mounted"
            return os.path.ismount(self.mount)

        eventually(mounted, PATIENCE, "the file system is mounted")

    @property
    def _image(self) -> Path:
        return self.folder / f"survived-{self.rounds}"

    @property
    def dead(self) -> bool:
        """Whether the power has gone."""
        return self._image.with_suffix(".done").exists()

    def cut(self) -> None:
        """The power goes now, unless it has gone already."""
        assert self._process is not None
        self._process.send_signal(signal.SIGUSR1)

        def gone() -> bool:
            if not self.dead:
                _touch(self.mount / "touched")
            return self.dead

        eventually(gone, PATIENCE, "the power has gone")

    def unplug(self, end_users: Callable[[], None]) -> None:
        """Cuts, ends who uses it, unmounts; what survived is what the next `plug_in` begins with."""
        self.cut()
        end_users()
        subprocess.run(["umount", "-l", str(self.mount)], check=True)
        assert self._process is not None
        self._process.wait(PATIENCE)
        self._process = None
        syncs, commits = self._image.with_suffix(".done").read_text().split()
        self.syncs += int(syncs)
        self.commits += int(commits)
        if self.rounds > 1:
            shutil.rmtree(self.source)
        self.source = self._image

    def remove(self) -> None:
        """Unmounts what may be mounted, whatever happened."""
        if self._process is not None:
            subprocess.run(["umount", "-l", str(self.mount)], check=False, capture_output=True)
            self._process.kill()
            self._process.wait()


def _touch(path: Path) -> None:
    try:
        path.touch()
    except OSError:
        return
