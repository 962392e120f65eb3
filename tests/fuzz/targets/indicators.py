"""What licctl reads before it imports and assesses: publishers' spreadsheets, and files that describe opportunities."""

from __future__ import annotations

import io
import random  # noqa: TID251 -- seeded
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from licd.cli.diligence_file import read_opportunity
from licd.cli.failure import Stopped
from licd.policy.indicators.cpi import read_cpi
from licd.policy.indicators.edition import Edition, FileRefused
from licd.policy.indicators.wgi import read_wgi
from tests.fuzz.mutation import any_bytes, of_text
from tests.fuzz.target import Part, Target, promise, refused_with
from tests.policy.make_example_indicators import FOLDER, cpi, wgi

ALIASES: Final = {"QNA": "QN", "QSA": "QS", "QWA": "QW"}
PIECES: Final = (
    b"1e999",
    b"NaN",
    b"-1",
    b"99999999999999999999",
    b'<c r="XFD1048576"><v>1</v></c>',
    b'<c r="ZZZZZZ99999999999"><v>1</v></c>',
    b"<c><v>1</v></c>",
    b'<row r="4294967296">',
    b' t="s"',
    b' t="e"',
    b' t="d"',
    b"&#0;",
    b"&amp;",
    b"..",
    b"<<<<<<<",
)


def of_workbook(data: bytes, chance: random.Random, samples: Sequence[bytes]) -> bytes:
    """Changes what is inside of a workbook: bytes changed outside rarely come past its check sums."""
    if not chance.randrange(6):
        return any_bytes(data, chance, samples)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
    except Exception:  # noqa: BLE001 -- an earlier change has broken it: go on from a sound one
        return chance.choice(samples)
    if not parts:  # earlier changes have taken all of them away
        return chance.choice(samples)
    name = chance.choice(sorted(parts))
    text = parts[name]
    at = chance.randrange(len(text) + 1)
    until = min(len(text), at + chance.choice((0, 1, 2, 5, 20, 200)))
    parts[name] = text[:at] + (chance.choice(PIECES) if chance.randrange(4) else b"") + text[until:]
    if not chance.randrange(20):
        del parts[name]
    return _packed(parts)


def _packed(parts: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, text in parts.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return made.getvalue()


def reads(read: Callable[[bytes], Edition]) -> Callable[[bytes], None]:
    """What is read lies on the publisher's scale, is of a country of ours, and is counted right."""

    def check(data: bytes) -> None:
        with refused_with(FileRefused):
            found = read(data)
            source = found.source
            promise(all(source.least <= one.value <= source.most for one in found.values), "a value beyond the scale")
            promise(all(len(one.country) == 2 for one in found.values), "a value of no country")
            pairs = [(one.country, one.dimension) for one in found.values]
            pairs += [(one.country, one.dimension) for one in found.missing]
            promise(len(set(pairs)) == len(pairs), "two values for one thing")
            promise(found.taken == len(found.values) <= found.rows, "rows counted wrong")

    return check


def opportunity(folder: Path) -> Callable[[bytes], None]:
    """A file that is read gives a request; else one line says which key is wrong."""

    def check(data: bytes) -> None:
        file = folder / "opportunity.toml"
        file.write_bytes(data)
        with refused_with(Stopped, OSError):
            found = read_opportunity(file)
            promise(found.term_ms > 0 and found.customer, "an opportunity of nobody")

    return check


@contextmanager
def opened() -> Iterator[Target]:
    """The target, for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="licd-fuzz-") as folder:
        yield Target(
            "indicators",
            (
                Part("wgi", (wgi(),), reads(lambda data: read_wgi(data, ALIASES)), of_workbook),
                Part("cpi", (cpi(),), reads(lambda data: read_cpi(data, ALIASES)), of_workbook),
                Part(
                    "opportunity",
                    ((FOLDER / "north.toml").read_bytes(),),
                    opportunity(Path(folder)),
                    of_text("[answers]", "[evidence]", "licence_days = 90", 'file = "gone"'),
                ),
            ),
            covers=("licd/policy/indicators", "licd/cli/diligence_file.py"),
        )
