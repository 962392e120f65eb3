"""README.md shows what the commands say of themselves. `make readme` writes it there; a test compares.

A block in README.md:

    <!-- help: licctl --help -->
    ```text
    ...
    ```
    <!-- end of help -->
"""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.architecture.sources import ROOT

README = ROOT / "README.md"
REQUIRED = ("licd --help", "licctl --help")
BLOCK = re.compile(r"(<!-- help: ([^\n]+?) -->\n```text\n)(.*?)(```\n<!-- end of help -->)", re.DOTALL)
WIDTH = "100"


def blocks(text: str) -> dict[str, str]:
    """Command → what the README shows for it."""
    return {match[2]: match[3] for match in BLOCK.finditer(text)}


def help_text(command: str) -> str:
    """What a command prints, as on a plain terminal 100 columns wide. Raises CalledProcessError when it fails."""
    terminal = {"COLUMNS": WIDTH, "TERMINAL_WIDTH": WIDTH, "NO_COLOR": "1", "TERM": "dumb", "LC_ALL": "C.UTF-8"}
    search = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = terminal | {"PATH": search, "HOME": os.environ.get("HOME", "/")}
    done = subprocess.run(
        command.split(), capture_output=True, check=True, cwd=ROOT, encoding="utf-8", env=environment, timeout=30
    )
    lines = [line.rstrip() for line in done.stdout.splitlines()]
    return "\n".join(lines).strip("\n") + "\n"


def main() -> None:
    text = README.read_text(encoding="utf-8")
    README.write_text(BLOCK.sub(lambda m: m[1] + help_text(m[2]) + m[4], text), encoding="utf-8")
    sys.stdout.write(f"README.md: {len(blocks(text))} help texts\n")


if __name__ == "__main__":
    main()
