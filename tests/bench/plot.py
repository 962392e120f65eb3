"""Cost against size, as pictures: what an acquisition costs with ever more leases, a push with ever more systems."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from matplotlib.figure import Figure

FORMATS: Final = ("svg", "png")


def draw(folder: Path, acquire: Mapping[str, Mapping[int, float]], push: Mapping[int, float]) -> list[Path]:
    """Writes cost.svg and cost.png: microseconds by live leases, milliseconds by connected systems."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for label, costs in acquire.items():
        left.plot(list(costs), list(costs.values()), marker="o", label=label)
    _axes(left, "live leases, ten to a licence", "one acquisition in the ledger, µs")
    if acquire:
        left.legend()
    right.plot(list(push), [took * 1000 for took in push.values()], marker="o", color="tab:red")
    _axes(right, "connected systems of one licence", "a suspension until it reached the last, ms")
    right.set_yscale("log")
    written = [folder / f"cost.{each}" for each in FORMATS]
    for path in written:
        figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)
    return written


def _axes(axes: Any, across: str, up: str) -> None:
    axes.set_xscale("log")
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.set_ylim(bottom=0 if "ledger" in up else None)
    axes.grid(visible=True, which="both", alpha=0.3)
