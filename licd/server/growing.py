"""A state directory that is not there until it is whole."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from licd.core.errors import Invalid
from licd.keys.private_file import sync_directory
from licd.server.clock import entropy
from licd.server.state_dir import DirectoryInUse, DirectoryLock, StateDirectory


@contextmanager
def growing(root: Path) -> Iterator[StateDirectory]:
    """A directory beside root that takes root's name when the block ends well, and is gone when it does not.

    root may be there when it is empty. What a killed predecessor left behind goes too: it holds private keys.
    Raises Invalid when there is something at root already.
    """
    root = root.absolute()
    _refuse_taken(root)
    root.parent.mkdir(parents=True, exist_ok=True)
    _sweep(root)
    state = StateDirectory(root.with_name(f".{root.name}.{entropy(4).hex()}.growing"))
    state.root.mkdir(mode=0o700)
    try:
        with DirectoryLock(state):
            yield state
            _sync(state.root)
            _refuse_taken(root)
            state.root.rename(root)
            sync_directory(root.parent)
    except BaseException:
        shutil.rmtree(state.root, ignore_errors=True)
        raise


def _refuse_taken(root: Path) -> None:
    if root.is_symlink() or (root.exists() and (not root.is_dir() or any(root.iterdir()))):
        raise Invalid(f"{root} is there and not empty; nothing is overwritten. Name another directory", field="state")


def _sweep(root: Path) -> None:
    """Deletes what was left growing here by somebody who is not at it any more."""
    left = re.compile(re.escape(f".{root.name}.") + r"[0-9a-f]{8}\.growing")
    for path in root.parent.iterdir():
        if left.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
            try:
                lock = DirectoryLock(StateDirectory(path))
            except DirectoryInUse:
                continue
            shutil.rmtree(path)
            lock.release()


def _sync(directory: Path) -> None:
    """Makes every file below survive a power cut."""
    for folder, _, names in os.walk(directory):
        for name in names:
            file = os.open(Path(folder) / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                os.fsync(file)
            finally:
                os.close(file)
        sync_directory(Path(folder))
