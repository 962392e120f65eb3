"""Where a command works: who the operator is, how licd is asked, how answers are written, what signs."""

import sys
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from licd.cli import connection, settings
from licd.cli.failure import Exit, Stopped
from licd.cli.printing import Printer
from licd.cli.request_id import request_id
from licd.cli.settings import Choice, Settings
from licd.cli.surroundings import Output, Surroundings
from licd.core.time import Instant, Millis
from licd.keys.file_signer import read_key_file
from licd.keys.private_file import KeyFileError, KeyFileReason, read_private
from licd.keys.signer import Signer

if TYPE_CHECKING:
    import grpc

PASSPHRASE_VARIABLE: Final = "LICCTL_PASSPHRASE_FILE"  # noqa: S105 -- its name
_MAX_PASSPHRASE_BYTES: Final = 4096

Q = TypeVar("Q")
R = TypeVar("R")


class Desk:
    """Opened for one command and closed after it. Settings, channel and key are read when they are first used."""

    def __init__(self, surroundings: Surroundings, choice: Choice, output: Output) -> None:
        self.surroundings: Final = surroundings
        self.clock: Final = surroundings.clock
        self.printer: Final = Printer(output)
        self._choice: Final = choice

    @cached_property
    def settings(self) -> Settings:
        """The operator's settings. Raises Stopped(USAGE)."""
        return settings.read(settings.find(self._choice, self.surroundings.environment))

    @cached_property
    def channel(self) -> "grpc.Channel":
        """The channel to licd. Raises Stopped(USAGE), KeyFileError, OSError."""
        if self.surroundings.open_channel is not None:
            return self.surroundings.open_channel(self.settings)
        warning = connection.certificate_warning(self.settings, self.now)
        if warning:
            self.printer.remark(warning)
        return connection.open_channel(self.settings)

    @cached_property
    def signer(self) -> Signer:
        """The operator's signing key, its passphrase asked for where it has one. Raises KeyFileError."""
        path = self.settings.signing_key
        try:
            return read_key_file(path, None)
        except KeyFileError as error:
            if error.reason is not KeyFileReason.PASSPHRASE_MISSING:
                raise
        return read_key_file(path, self.passphrase(f"Passphrase of {path}: "))

    @property
    def now(self) -> Instant:
        """This machine's time, to say how far away an instant is."""
        return self.clock.now()

    def request_id(self) -> str:
        """A new id for one change: a call sent again with it is answered, not done again."""
        return request_id(self.now, self.surroundings.randomness)

    def ask(
        self, method: "grpc.UnaryUnaryMultiCallable[Q, R]", request: Q, deadline: Millis = connection.DEADLINE
    ) -> R:
        """One call. Raises LicdError with licd's reason, Stopped(UNREACHABLE)."""
        return connection.ask(method, request, self.settings.address, deadline)

    def stream(self, method: "grpc.UnaryStreamMultiCallable[Q, R]", request: Q) -> Iterator[R]:
        """One call with many answers. Raises as `ask`."""
        return connection.stream(method, request, self.settings.address)

    def confirm(self, question: str) -> bool:
        """Asks y/N on the terminal; no answer is a no."""
        sys.stderr.write(f"{question} [y/N] ")
        sys.stderr.flush()
        return sys.stdin.readline().strip().lower() in {"y", "yes"}

    def passphrase(self, prompt: str) -> bytes:
        """The first line of the file that $LICCTL_PASSPHRASE_FILE names, else what a person types; never echoed.

        Raises Stopped(USAGE) where there is neither, KeyFileError when others may read the file.
        """
        named = self.surroundings.environment.get(PASSPHRASE_VARIABLE, "")
        return first_line(named, prompt, self.surroundings.ask_secret)

    def close(self) -> None:
        """Closes the channel, if it was opened."""
        opened = self.__dict__.get("channel")
        if opened is not None:
            opened.close()


def first_line(named: str, prompt: str, ask_secret: Callable[[str], str]) -> bytes:
    """The first line of the file named, else what a person types. Raises Stopped(USAGE), KeyFileError."""
    if named:
        return read_private(Path(named), _MAX_PASSPHRASE_BYTES).split(b"\n")[0]
    try:
        return ask_secret(prompt).encode()
    except EOFError as error:
        message = f"{prompt.rstrip(': ')}: nobody to ask; set ${PASSPHRASE_VARIABLE} to a file of mode 0600"
        raise Stopped(Exit.USAGE, message) from error
