"""A process that was forked acts on nothing: nobody tells it of a stop.

The parent goes on with the system; what it hears of licd does not reach the child. So every system that was open when a
process forked is dead in the child, and its leases have stopped there: a child opens a system of its own.
"""

import logging
import os
from typing import Final, Protocol
from weakref import WeakSet

_LOG: Final = logging.getLogger("licd.client")


class Mortal(Protocol):
    """What ends in a child process."""

    def forked(self) -> None:
        """This process is a child of the one that opened it. First stops what may be acted on. Must not block."""
        ...


_OPEN: Final[WeakSet[Mortal]] = WeakSet()


def dies_in_children(one: Mortal) -> None:
    """Tells it when this process turns out to be a child, for as long as it is referred to."""
    _OPEN.add(one)


def _in_child() -> None:
    failures: list[BaseException] = []
    for one in list(_OPEN):
        try:
            one.forked()
        except BaseException as error:  # noqa: BLE001 -- Ctrl-C just now, too: the leases of the others stop
            failures.append(error)
    for failure in failures:
        _LOG.error("a system of the process that forked did not end cleanly in its child", exc_info=failure)


os.register_at_fork(after_in_child=_in_child)
