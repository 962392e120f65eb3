"""What a system's program was told by its callbacks, kept, and a way to wait for it."""

import threading
from typing import TypeVar

from licd.client import Callbacks

T = TypeVar("T")

LIMIT = 20
"""Seconds."""


class Told:
    """One system's."""

    def __init__(self) -> None:
        self.notices: list[object] = []
        self.changed = threading.Condition()

    def callbacks(self) -> Callbacks:
        """To be given to the system."""
        return Callbacks(
            on_suspended=self.note,
            on_reinstated=self.note,
            on_lost=lambda lease, lost: self.note(lost),
            on_continuity=self.note,
        )

    def note(self, notice: object) -> None:
        """Something came."""
        with self.changed:
            self.notices.append(notice)
            self.changed.notify_all()

    def wait(self, kind: type[T]) -> T:
        """Returns the first of this kind, once there is one."""
        with self.changed:
            assert self.changed.wait_for(lambda: any(isinstance(each, kind) for each in self.notices), LIMIT)
        return next(each for each in self.notices if isinstance(each, kind))
