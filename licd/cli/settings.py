"""Where licd is and who its operator is: `licctl.toml`, one for each operator.

    address = "host:port"            the operators' listener
    ca = "authority.pem"             the authority its certificate comes from
    certificate = "certificate.pem"  the operator's own, leaf first
    key = "channel.key"              its private key, PEM, mode 0600
    signing_key = "signing.key"      a key file of licd.keys: signs what needs two persons
    operator = "anna"

Paths are relative to the file. Nothing in it is secret; the two keys it names are.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

from licd.cli.failure import Exit, Stopped
from licd.cli.input_file import read_input_text
from licd.core.toml_text import TomlInvalid, parse_toml

FILE_NAME: Final = "licctl.toml"
CONFIG_VARIABLE: Final = "LICCTL_CONFIG"
STATE_VARIABLE: Final = "LICCTL_STATE"
DEFAULT_NAME: Final = "default"
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,126}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Settings:
    """What one `licctl.toml` says; paths are resolved."""

    address: str
    ca: Path
    certificate: Path
    key: Path
    signing_key: Path
    operator: str


@dataclass(frozen=True, slots=True)
class Choice:
    """What the caller said about where to look: a state directory and a name in it, or a file."""

    state: Path | None = None
    name: str | None = None
    config: Path | None = None

    def over(self, other: "Choice") -> "Choice":
        """This choice, and of the other what this one leaves open. A file and a state directory replace each other."""
        place = self if self.state or self.config else other
        return Choice(state=place.state, name=self.name or other.name, config=place.config)


def find(choice: Choice, environment: Mapping[str, str]) -> Path:
    """The file to read. Raises Stopped(USAGE) when it cannot be told."""
    if choice.state is not None and choice.config is not None:
        raise _usage("--state and --config: give one of the two")
    state = _state(choice, environment)
    if state is not None:
        return state / "operators" / _operator_in(state, choice.name) / FILE_NAME
    if choice.name is not None:
        raise _usage(f"--as: names an operator of a state directory; give --state DIR too, or set ${STATE_VARIABLE}")
    if choice.config is not None:
        return choice.config
    if environment.get(CONFIG_VARIABLE):
        return Path(environment[CONFIG_VARIABLE])
    return Path(environment.get("HOME", "~")).expanduser() / ".config" / "licd" / FILE_NAME


def read(path: Path) -> Settings:
    """The settings in a file. Raises Stopped(USAGE) naming the file and the key."""
    try:
        found = parse_toml(read_input_text(path))
    except FileNotFoundError as error:
        detail = "there is no such file; give --state DIR, or --config FILE, or set $" + STATE_VARIABLE
        raise _usage(f"{path}: {detail}") from error
    except (TomlInvalid, UnicodeDecodeError) as error:
        raise _usage(f"{path}: not TOML: {error}") from error
    names = [field.name for field in fields(Settings)]
    for name in names:
        if not isinstance(found.get(name), str) or not found[name]:
            raise _usage(f"{path}: {name}: must be there, and a text")
    unknown = sorted(found.keys() - set(names))
    if unknown:
        raise _usage(f"{path}: {unknown[0]}: no such setting; there are {', '.join(names)}")
    paths = {name: path.parent / found[name] for name in ("ca", "certificate", "key", "signing_key")}
    return Settings(address=found["address"], operator=found["operator"], **paths)


def _state(choice: Choice, environment: Mapping[str, str]) -> Path | None:
    """The state directory to look in. The environment's counts where nobody named a file of settings."""
    if choice.state is not None or choice.config is not None:
        return choice.state
    if environment.get(CONFIG_VARIABLE) and choice.name is None:
        return None
    return Path(environment[STATE_VARIABLE]) if environment.get(STATE_VARIABLE) else None


def _operator_in(state: Path, name: str | None) -> str:
    folder = state / "operators"
    if not folder.is_dir():
        raise _usage(f"--state: {state} is no state directory: it has no folder operators")
    known = sorted(found.parent.name for found in folder.glob(f"*/{FILE_NAME}"))
    chosen = name or _default_in(folder, known)
    if _NAME.fullmatch(chosen) is None or chosen not in known:
        raise _usage(f"--as: {state} has no operator {chosen!r}; there are {', '.join(known) or 'none'}")
    return chosen


def _default_in(folder: Path, known: list[str]) -> str:
    named = folder / DEFAULT_NAME
    if named.is_file():
        return read_input_text(named).strip()
    if len(known) != 1:
        raise _usage(f"--as: say which operator: {', '.join(known) or 'there is none'}")
    return known[0]


def _usage(message: str) -> Stopped:
    return Stopped(Exit.USAGE, message)
