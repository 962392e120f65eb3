"""licctl rules: misuse rules, tried before they are in force and afterwards."""

from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Annotated, Final

import typer

from licd.cli.desk import Desk
from licd.cli.failure import Exit, Stopped
from licd.cli.times import iso, parse_instant
from licd.cli.verb import verb
from licd.core.happenings import Happening
from licd.core.misuse import FACTS, Subject, unfit
from licd.core.rehearsal import Rehearsal, Rehearsed
from licd.core.time import DAY, Instant, Millis
from licd.evidence.export import MAX_LINE_CHARACTERS, entries_of
from licd.policy.misuse import MisusePolicy
from licd.policy.rules_file import MISUSE, SUSPENSION, check_rules, read_rules, rules_of_texts
from licd.v1.log_service_pb2 import ExportLogRequest
from licd.v1.log_service_pb2_grpc import LogServiceStub
from licd.v1.policy_service_pb2 import GetPolicyRequest
from licd.v1.policy_service_pb2_grpc import PolicyServiceStub
from licd.wire.happenings import happening_of

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Misuse rules: tried with cases, and over a log that was."
)

QUARTER: Final[Millis] = 91 * DAY
HEADERS: Final = ("WHEN", "RULE", "SUBJECT", "COMES TO", "BECAUSE", "ENTRIES")

RulesFile = Annotated[Path, typer.Argument(metavar="FILE", help="Rules, beside the suspension.toml they refer to.")]


@verb(app, "facts")
def facts(desk: Desk) -> None:
    """List the facts that a condition may speak of, and of whom."""
    rows = [(name, _subjects(name), words) for name, words in FACTS.items()]
    if desk.printer.is_json:
        desk.printer.value({"facts": [{"name": one, "subjects": of, "meaning": words} for one, of, words in rows]})
    else:
        desk.printer.table(("FACT", "OF", "WHAT IT TELLS"), rows)


def _subjects(name: str) -> str:
    return " ".join(each.value for each in Subject if not unfit(name, each))


@verb(app, "test")
def test(desk: Desk, file: RulesFile) -> None:
    """Check a file of rules and run the cases beside it, without licd. Each problem is one line, file:line: message."""
    problems, cases = check_rules(file)
    if desk.printer.is_json:
        found = [{"file": one.file, "line": one.line, "message": one.message} for one in problems]
        desk.printer.value({"problems": found, "cases": cases})
    else:
        for problem in problems:
            desk.printer.line(str(problem))
    if problems:
        raise Stopped(Exit.UNVERIFIED, f"{file}: {len(problems)} problem{'' if len(problems) == 1 else 's'}")
    if not desk.printer.is_json:
        desk.printer.line(f"{file}: right; {cases} cases hold")


@verb(app, "dry-run")
def dry_run(
    desk: Desk,
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Rules, beside their suspension.toml; else those in force.")
    ] = None,
    *,
    start: Annotated[
        Instant | None,
        typer.Option("--from", parser=parse_instant, metavar="INSTANT", help="From here; else 91 days before --to."),
    ] = None,
    end: Annotated[
        Instant | None, typer.Option("--to", parser=parse_instant, metavar="INSTANT", help="Until here; else now.")
    ] = None,
    log: Annotated[
        Path | None, typer.Option("--log", metavar="FILE", help="A log as `log export` wrote it; else licd's own.")
    ] = None,
) -> None:
    """Say what rules would have done over a log. Changes nothing.

    What they would have suspended goes on here as the log tells it.
    """
    until = desk.now if end is None else end
    since = until - QUARTER if start is None else start
    if since >= until:
        raise Stopped(Exit.USAGE, f"--from {iso(since)} is not before --to {iso(until)}")
    policy = _in_force(desk) if file is None else read_rules(file)
    rehearsal = Rehearsal(policy.rules, policy.brake, since, until)
    found = list(rehearsal.over(_happenings(_licds_log(desk) if log is None else _lines(log))))
    if desk.printer.is_json:
        desk.printer.value({"from_ms": since, "to_ms": until, "signals": [_as_json(each) for each in found]})
        return
    desk.printer.table(HEADERS, [_row(each) for each in found])
    desk.printer.line()
    desk.printer.line(f"{len(policy.rules)} rules from {iso(since)} until {iso(until)}: {_sum(found)}")


def _in_force(desk: Desk) -> MisusePolicy:
    found = desk.ask(PolicyServiceStub(desk.channel).GetPolicy, GetPolicyRequest(with_text=True))
    texts = {one.path: one.text for one in found.files}
    return rules_of_texts(texts.get(MISUSE, ""), texts.get(SUSPENSION, ""))


def _licds_log(desk: Desk) -> Iterator[str]:
    parts = desk.stream(LogServiceStub(desk.channel).ExportLog, ExportLogRequest())
    return chain.from_iterable(part.lines for part in parts)


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from iter(lambda: file.readline(MAX_LINE_CHARACTERS + 2), b"")


def _happenings(lines: Iterator[str] | Iterator[bytes]) -> Iterator[Happening]:
    for index, entry in entries_of(lines):
        happening = happening_of(index, entry)
        if happening is not None:
            yield happening


def _row(each: Rehearsed) -> tuple[str, ...]:
    finding = each.finding
    told = f"{finding.evidence[0]}…{finding.evidence[-1]}" if finding.evidence else "-"
    return iso(finding.tick), finding.rule.name, finding.subject, each.done.value, finding.words(), told


def _as_json(each: Rehearsed) -> dict[str, object]:
    finding = each.finding
    return {
        "rule": finding.rule.name,
        "subject_kind": finding.rule.subject.value,
        "subject": finding.subject,
        "licence": finding.licence,
        "window_end_ms": finding.tick,
        "done": each.done.value,
        "facts": dict(finding.facts),
        "evidence": list(finding.evidence),
        "log_size": finding.size,
    }


def _sum(found: list[Rehearsed]) -> str:
    if not found:
        return "nothing"
    return ", ".join(f"{count} {done}" for done, count in sorted(Counter(each.done.value for each in found).items()))
