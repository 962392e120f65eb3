"""What licd says while it works: JSON lines on standard error."""

from __future__ import annotations

import sys

import structlog


class ErrorLines:
    """Writes lines to whatever standard error is at that moment. A line that a full disk refuses is dropped.

    There is nobody left to tell, and a daemon that stops for want of a log line would leave its clients alone.
    """

    def msg(self, line: str) -> None:
        """Writes one line."""
        try:
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()
        except OSError:
            return

    log = debug = info = warn = warning = error = critical = fatal = failure = exception = msg


def log_to_stderr() -> None:
    """For whatever in licd says something; standard output is for answers."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=lambda *_: ErrorLines(),
    )
