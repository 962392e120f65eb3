"""licctl policy."""

from pathlib import Path
from typing import Annotated

import typer

from licd.cli.desk import Desk
from licd.cli.failure import Exit, Stopped
from licd.cli.verb import verb
from licd.policy import check as check_policies
from licd.policy import count_cases, unread
from licd.v1.policy_service_pb2 import GetPolicyRequest
from licd.v1.policy_service_pb2_grpc import PolicyServiceStub

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Policies: the rules that licd decides by, as data.")


@verb(app, "show")
def show(desk: Desk, text: Annotated[bool, typer.Option("--text", help="The text of each file, too.")] = False) -> None:
    """Show the policy in force: its version, its files, the templates licences are issued from."""
    found = desk.ask(PolicyServiceStub(desk.channel).GetPolicy, GetPolicyRequest(with_text=text))
    pairs = [("version", found.version)]
    pairs += [("templates" if at == 0 else "", name) for at, name in enumerate(found.templates)]
    pairs += [("files" if at == 0 else "", f"{one.path}  {one.sha256}") for at, one in enumerate(found.files)]
    desk.printer.record(found, pairs)
    if text and not desk.printer.is_json:
        for one in found.files:
            desk.printer.line()
            desk.printer.line(f"# {one.path}")
            for line in one.text.splitlines():
                desk.printer.line(line)


@verb(app, "check")
def check(desk: Desk, folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder of policies.")]) -> None:
    """Check a folder of policies and run its cases, without licd. Each problem is one line, file:line: message."""
    problems = check_policies(folder)
    for file in unread(folder):
        desk.printer.remark(f"{file}: nothing reads a file of this name")
    if desk.printer.is_json:
        found = [{"file": one.file, "line": one.line, "message": one.message} for one in problems]
        desk.printer.value({"problems": found})
    else:
        for problem in problems:
            desk.printer.line(str(problem))
    if problems:
        raise Stopped(Exit.UNVERIFIED, f"{folder}: {len(problems)} problem{'' if len(problems) == 1 else 's'}")
    if not desk.printer.is_json:
        desk.printer.line(f"{folder}: right; {count_cases(folder)} cases hold")
