"""Writes docs/examples/diligence/*.xlsx: two small files in the publishers' forms about economies that do not exist.

Run it with `python -m tests.policy.make_example_indicators`. The publishers' own files are not ours to redistribute;
these show their forms and quirks, under codes that ISO 3166-1 leaves to users.
"""

import sys
from pathlib import Path

from tests.policy.workbook import cpi_file, cpi_history, wgi_file, wgi_rows

FOLDER = Path(__file__).parents[2] / "docs" / "examples" / "diligence"
YEAR = 2025
NORTH, SOUTH, WEST = ("QNA", "Northland (made up)"), ("QSA", "Southmark (made up)"), ("QWA", "Westerreach (made up)")
NOWHERE = ("QXX", "Union of made-up economies")


def wgi() -> bytes:
    """Six dimensions for three economies and two years; one value is missing, one economy is no country."""
    before = wgi_rows(
        {NORTH: [1.61, 1.42, 0.88, 1.55, 1.47, 1.39], SOUTH: [0.31, 0.22, 0.05, 0.28, 0.19, 0.33]}, year=YEAR - 1
    )
    now = wgi_rows(
        {
            NORTH: [1.58, 1.44, 0.91, 1.57, 1.49, 1.41],
            SOUTH: [0.27, 0.18, -0.12, 0.21, 0.16, 0.24],
            WEST: [-0.83, -0.64, -1.12, -0.91, -0.55, ".."],
            NOWHERE: [0.4, 0.4, 0.4, 0.4, 0.4, 0.4],
        },
        year=YEAR,
    )
    return wgi_file(*before, *now)


def cpi() -> bytes:
    """A score for each economy, and the sheet of earlier years."""
    scores = {NORTH: 81, SOUTH: 47, WEST: 29}
    history = cpi_history({NORTH: {YEAR: 81, YEAR - 1: 80}, SOUTH: {YEAR: 47, YEAR - 1: 49}}, YEAR, YEAR - 1)
    return cpi_file(YEAR, scores, **{f"CPI historical data {YEAR - 1}-{YEAR}": history})


FILES = {"wgi-made-up.xlsx": wgi, "cpi-made-up.xlsx": cpi}


def main() -> int:
    """Write both."""
    for name, make in FILES.items():
        (FOLDER / name).write_bytes(make())
        sys.stdout.write(f"{name}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
