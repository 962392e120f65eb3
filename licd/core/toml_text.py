"""TOML from people's files. The standard library's parser lets more out than it says; here there is one error."""

from __future__ import annotations

import tomllib
from typing import Any


class TomlInvalid(ValueError):
    """This text is no TOML; the message says where, as far as that is known."""


def parse_toml(text: str) -> dict[str, Any]:
    """The values in a text. Raises TomlInvalid.

    `tomllib.loads` raises a bare ValueError for a number of more than 4300 digits, and RecursionError for what is
    nested some hundred times.
    """
    try:
        return tomllib.loads(text)
    except ValueError as error:
        raise TomlInvalid(str(error)) from error
    except RecursionError as error:
        raise TomlInvalid("nested too deeply") from error
