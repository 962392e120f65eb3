"""The form of a transparency report: what is written, and the schema that others check it with."""

from __future__ import annotations

from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from licd.core.report import AGES, BREAKDOWNS, TOTALS, Figures
from licd.core.time import Instant

FORM: Final = "licd-transparency-report-v1"
LATE: Final = ("allegations_acknowledged_late", "allegations_answered_late")
STANDING: Final = ("licences_not_ended", "licences_suspended", "allegations_unanswered", "allegations_overdue")

_STRICT: Final = ConfigDict(extra="forbid", frozen=True, strict=True)


class ReportBreakdown(BaseModel):
    """A total by words; others are of words that are left out, and why. A word that is not there may be among them."""

    model_config = _STRICT

    cells: dict[str, int]
    others: int = Field(ge=0)
    left_out: Literal["", "small_cell"]

    @model_validator(mode="after")
    def _told(self) -> Self:
        if bool(self.others) != bool(self.left_out):
            raise ValueError("what is left out has a reason, and what has a reason is left out")
        return self


class ReportAge(BaseModel):
    """How many ended, after how many days; null where they are too few."""

    model_config = _STRICT

    ended: int = Field(ge=0)
    median_days: int | None = Field(ge=0)
    longest_days: int | None = Field(ge=0)


class Report(BaseModel):
    """The whole report. Every figure is there, also when it is 0: a missing one does not pass."""

    model_config = _STRICT

    form: Literal["licd-transparency-report-v1"]
    made_by: str
    from_ms: int
    to_ms: int
    log_entries: int = Field(ge=0)
    least_cell: int = Field(ge=2)
    totals: dict[str, int]
    standing_at_end: dict[str, int]
    breakdowns: dict[str, ReportBreakdown]
    ages: dict[str, ReportAge]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for what, found, wanted in (
            ("totals", self.totals, {*TOTALS, *LATE}),
            ("standing_at_end", self.standing_at_end, set(STANDING)),
            ("breakdowns", self.breakdowns, set(BREAKDOWNS)),
            ("ages", self.ages, set(AGES)),
        ):
            if missing := sorted(wanted - found.keys()):
                raise ValueError(f"{what}: {', '.join(missing)} is missing")
            if more := sorted(found.keys() - wanted):
                raise ValueError(f"{what}: {', '.join(more)} is no figure of this form")
        return self


def report_of(figures: Figures, since: Instant, until: Instant, least: int, size: int, version: str) -> Report:
    """The report. size: how many entries the log had that it was counted from."""
    return Report(
        form=FORM,
        made_by=f"licd {version}",
        from_ms=since,
        to_ms=until,
        log_entries=size,
        least_cell=least,
        totals=dict(figures.totals),
        standing_at_end=dict(figures.standing),
        breakdowns={
            name: ReportBreakdown(
                cells=dict(each.cells), others=each.others, left_out="small_cell" if each.others else ""
            )
            for name, each in figures.breakdowns.items()
        },
        ages={
            name: ReportAge(ended=each.ended, median_days=each.median_days, longest_days=each.longest_days)
            for name, each in figures.ages.items()
        },
    )
