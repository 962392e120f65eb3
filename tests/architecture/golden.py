"""Golden files never change: what they hold has been signed, stored or sent somewhere.

`make golden` records new ones (any file in a folder named golden below tests/) in golden.sha256, and refuses the rest.
"""

import hashlib
import sys
from pathlib import Path

from tests.architecture.sources import ROOT, name

RECORD = Path(__file__).with_name("golden.sha256")


def present() -> dict[str, str]:
    """Path → SHA-256 of every golden file there is."""
    files = sorted(p for p in (ROOT / "tests").rglob("golden/**/*") if p.is_file() and "__pycache__" not in p.parts)
    return {name(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def recorded() -> dict[str, str]:
    """Path → SHA-256 as recorded, in the format of sha256sum."""
    lines = RECORD.read_text(encoding="utf-8").splitlines() if RECORD.exists() else []
    return {path: digest for digest, path in (line.split("  ", 1) for line in lines)}


def broken() -> list[str]:
    """Recorded files that have changed or gone."""
    now = present()
    return [path for path, digest in recorded().items() if now.get(path) != digest]


def main() -> None:
    if broken():
        listed = "\n  ".join(["changed or gone:", *broken()])
        sys.exit(f"{listed}\nGive the new form a new file. If the old was never right, take it out of {name(RECORD)}.")
    now = present()
    RECORD.write_text("".join(f"{digest}  {path}\n" for path, digest in sorted(now.items())), encoding="utf-8")
    sys.stdout.write(f"{name(RECORD)}: {len(now)} golden files\n")


if __name__ == "__main__":
    main()
