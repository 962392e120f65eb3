"""What a command takes from outside, and what its caller chose on the way. Tests bring their own."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from getpass import getpass
from typing import TYPE_CHECKING

from licd.cli.clock import Clock, MachineClock, machine_randomness
from licd.cli.settings import Choice, Settings

if TYPE_CHECKING:
    import grpc


class Output(StrEnum):
    """How answers are written: for people, or for programs."""

    TABLE = "table"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Time, chance, environment and the way to licd. `open_channel` None: mTLS, as `connection` does it."""

    clock: Clock = field(default_factory=MachineClock)
    randomness: Callable[[int], bytes] = machine_randomness
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    open_channel: "Callable[[Settings], grpc.Channel] | None" = None
    ask_secret: Callable[[str], str] = getpass


@dataclass(frozen=True, slots=True)
class Invocation:
    """What stands before the command's name: it holds for the command unless that says otherwise."""

    surroundings: Surroundings
    choice: Choice
    output: Output
