"""What a contact certifies, as a TOML file that he writes and signs.

contact = "customer/north/contact/claire"   audience = "licd.example"
licence = "north-1"   condition = "certification-quarterly"   period = 1
statement = "…"
evidence = ["report.pdf"]     files beside this one; only their hashes are signed
"""

from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from licd.cli.failure import Exit, Stopped
from licd.cli.input_file import read_input, read_input_text
from licd.cli.terms_file import WrongKey, expect, only
from licd.core.terms import TermsInvalid
from licd.core.time import Instant
from licd.core.toml_text import TomlInvalid, parse_toml
from licd.keys.identity import ContactIdentity, IdentityError, parse_path
from licd.v1.condition_pb2 import Certification
from licd.wire.condition import READER_VERSION, check_certification

MOST_EVIDENCE_BYTES: Final = 512 * 1024 * 1024
_TEXTS: Final = ("contact", "audience", "licence", "condition", "statement")


def read_certification(path: Path, now: Instant) -> Certification:
    """What the file says, certified now. Raises Stopped(USAGE) naming the file and the key, OSError."""
    try:
        made = _read(parse_toml(read_input_text(path)), path.parent, now)
        check_certification(made)
    except (TomlInvalid, UnicodeDecodeError) as error:
        raise Stopped(Exit.USAGE, f"{path}: not TOML: {error}") from error
    except (WrongKey, TermsInvalid, IdentityError) as error:
        raise Stopped(Exit.USAGE, f"{path}: {error}") from error
    return made


def _read(found: dict[str, Any], folder: Path, now: Instant) -> Certification:
    only(found, "", {*_TEXTS, "period", "evidence"})
    texts = {key: str(expect(found.get(key), str, key, "a text")) for key in _TEXTS}
    if not isinstance(parse_path(texts["contact"]), ContactIdentity):
        raise WrongKey("contact: must be customer/C/contact/P")
    period = found.get("period")
    if type(period) is not int or not 0 < period < 1 << 31:
        raise WrongKey("period: must be a whole number, as `licctl condition show` tells it")
    files = expect(found.get("evidence", []), list, "evidence", "a list of files")
    names = [str(expect(each, str, "evidence", "a list of files")) for each in files]
    return Certification(
        **texts,
        period=period,
        certified_at_ms=now,
        evidence=[sha256(read_input(folder / name, MOST_EVIDENCE_BYTES)).digest() for name in names],
        min_reader_version=READER_VERSION,
    )
