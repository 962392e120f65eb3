"""What licd tells systemd, as sd_notify(3) does it: one datagram for each change, on a socket of our own."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Final

import structlog

from licd.core.time import Millis

logger = structlog.get_logger("licd.notify")

MICROS_PER_MILLI: Final = 1_000


class Supervisor:
    """The service manager that started licd; one that says nothing when there is none."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID (sd_watchdog_enabled(3))."""
        self._address: Final = environment.get("NOTIFY_SOCKET", "")
        watched = environment.get("WATCHDOG_PID", "") in {"", str(os.getpid())}
        timeout = int(environment.get("WATCHDOG_USEC") or 0) // MICROS_PER_MILLI if watched else 0
        self.watchdog_period: Final[Millis] = timeout // 2
        """How often alive() is owed: half the watchdog's time; 0 when nobody watches."""

    def ready(self) -> None:
        """Starting is over: licd serves."""
        self._tell("READY=1")

    def alive(self) -> None:
        """Owed every watchdog_period. To be sent from the event loop, and only while the ledger answers."""
        self._tell("WATCHDOG=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        self._tell("STATUS=" + " ".join(text.split()))

    def stopping(self) -> None:
        """No new work is taken: licd drains and will end."""
        self._tell("STOPPING=1")

    def _tell(self, state: str) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.sendto(state.encode(), address)
        except OSError as error:  # a supervisor that cannot be told is no reason to stop serving
            logger.warning("systemd could not be told", state=state, error=str(error))
