"""Writes licd/policy/indicators/economy_table.py from pycountry: which country a code of three letters stands for.

Run it at development time only, `python -m tests.policy.make_economy_table`, and read the difference before keeping it.
pycountry (LGPL) is not needed to run licd.
"""

import importlib
import importlib.metadata
import sys
import textwrap
from pathlib import Path
from typing import Any

TABLE = Path(__file__).parents[2] / "licd" / "policy" / "indicators" / "economy_table.py"
HEADER = '''"""Which country a code of three letters stands for: ISO 3166-1, frozen so that imports read one world.

Written by tests/policy/make_economy_table.py; not edited by hand. Publishers' own codes are in policies/diligence.toml.
"""
'''


def main() -> int:
    """Write the table."""
    TABLE.write_text(render(), encoding="utf-8")
    sys.stdout.write(f"{TABLE.name}: {version()}\n")
    return 0


def version() -> str:
    return f"iso-codes-{importlib.metadata.version('pycountry')}"


def render() -> str:
    pycountry: Any = importlib.import_module("pycountry")
    pairs = sorted(f"{country.alpha_3}={country.alpha_2}" for country in pycountry.countries)
    lines = textwrap.fill(" ".join(pairs), 118)
    return (
        f"{HEADER}\n"
        f'VERSION = "{version()}"\n\n'
        f'_PAIRS = """\n{lines}\n"""\n\n'
        'ALPHA_2 = dict(pair.split("=") for pair in _PAIRS.split())\n'
    )


if __name__ == "__main__":
    raise SystemExit(main())
