"""What an authority says, as a TOML file that it writes and signs.

authority = "export-qn"   overlay = "EX-2026-114"   revision = 1   audience = "licd.example"
customer = "north"   product = "locator"   licence = "north-1"      product, licence: left out, all of them
not_before = 2026-01-01T00:00:00Z   not_after = 2027-01-01T00:00:00Z
effect = "permit"     or "withdraw": nothing from now on; "lift": the authority has no say any more
statement = "…"       for people
[constraints]         as in a file of terms; what is left out is not limited
"""

from pathlib import Path
from typing import Any, Final

from licd.cli.failure import Exit, Stopped
from licd.cli.input_file import read_input_text
from licd.cli.terms_file import WrongKey, expect, only, read_constraints, read_instant
from licd.core.overlay import check_overlay
from licd.core.terms import TermsInvalid
from licd.core.time import Instant
from licd.core.toml_text import TomlInvalid, parse_toml
from licd.v1 import overlay_pb2 as pb
from licd.wire.overlay import overlay_from_message
from licd.wire.terms import READER_VERSION

_TEXTS: Final = ("authority", "overlay", "audience", "customer")
_OPTIONAL: Final = ("product", "licence", "statement")
_KEYS: Final = {*_TEXTS, *_OPTIONAL, "revision", "not_before", "not_after", "effect", "constraints"}
_EFFECTS: Final = {
    "permit": pb.OVERLAY_EFFECT_PERMIT,
    "withdraw": pb.OVERLAY_EFFECT_WITHDRAW,
    "lift": pb.OVERLAY_EFFECT_LIFT,
}


def read_overlay(path: Path, now: Instant) -> pb.OverlayTerms:
    """What the file says, issued now. Raises Stopped(USAGE) naming the file and the key, OSError."""
    try:
        made = _read(parse_toml(read_input_text(path)), now)
        check_overlay(overlay_from_message(made))
    except (TomlInvalid, UnicodeDecodeError) as error:
        raise Stopped(Exit.USAGE, f"{path}: not TOML: {error}") from error
    except (WrongKey, TermsInvalid) as error:
        raise Stopped(Exit.USAGE, f"{path}: {error}") from error
    return made


def _read(found: dict[str, Any], now: Instant) -> pb.OverlayTerms:
    only(found, "", _KEYS)
    effect = found.get("effect", "permit")
    if effect not in _EFFECTS:
        raise WrongKey(f"effect: must be one of {', '.join(_EFFECTS)}")
    revision = found.get("revision")
    if type(revision) is not int or not 0 < revision < 1 << 31:
        raise WrongKey("revision: must be a whole number, 1 or more")
    return pb.OverlayTerms(
        **{key: str(expect(found.get(key), str, key, "a text")) for key in _TEXTS},
        **{key: str(expect(found.get(key, ""), str, key, "a text")) for key in _OPTIONAL},
        revision=revision,
        issued_at_ms=now,
        not_before_ms=read_instant(found, "not_before"),
        not_after_ms=read_instant(found, "not_after"),
        effect=_EFFECTS[effect],
        constraints=read_constraints(expect(found.get("constraints", {}), dict, "constraints", "a table")),
        min_reader_version=READER_VERSION,
    )
