"""licctl deployment."""

from pathlib import Path
from typing import Annotated

import typer

from licd.cli.consent import widen
from licd.cli.desk import Desk
from licd.cli.failure import Exit, Stopped
from licd.cli.fork_file import fork_json, fork_pairs, read_fork, write_fork
from licd.cli.json_form import enum_word
from licd.cli.log_check import verifier_of
from licd.cli.options import All, Detail, PageSize, PageToken, Reason, Save, ValidFor
from licd.cli.paging import Page, show_pages
from licd.cli.printing import Columns, Pairs
from licd.cli.states import DeploymentState, number_of
from licd.cli.times import iso, when
from licd.cli.verb import verb
from licd.cli.yields import hand_out
from licd.core.time import Instant
from licd.keys.fork_evidence import check_fork
from licd.keys.private_file import EVERYBODY, write_new
from licd.v1 import deployment_service_pb2 as pb
from licd.v1.deployment_service_pb2_grpc import DeploymentServiceStub
from licd.v1.operator_pb2 import Deployment, DeploymentStatus

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Deployed systems: what a licence counts.")

Named = Annotated[str, typer.Argument(metavar="DEPLOYMENT", help="Id of the deployment.")]


def _status_of(deployment: Deployment) -> str:
    return enum_word(Deployment.DESCRIPTOR.fields_by_name["status"], deployment.status).lower()


COLUMNS: Columns = (
    ("DEPLOYMENT", lambda one: one.deployment),
    ("LICENCE", lambda one: one.licence),
    ("CUSTOMER", lambda one: one.customer),
    ("STATUS", _status_of),
    ("REACH", lambda one: "connected" if one.connected else "silent"),
    ("LAST CONTACT", lambda one: iso(one.last_contact_ms)),
    ("SOFTWARE", lambda one: one.software or "-"),
)


def _pairs(deployment: Deployment, now: Instant) -> Pairs:
    return [
        ("deployment", deployment.deployment),
        ("licence", deployment.licence),
        ("customer", deployment.customer),
        ("status", f"{_status_of(deployment)}, {'connected' if deployment.connected else 'silent'}"),
        ("invited", when(deployment.invited_at_ms, now)),
        ("enrolled", when(deployment.enrolled_at_ms, now)),
        ("last contact", when(deployment.last_contact_ms, now)),
        ("session", f"{deployment.session or '-'}, link {deployment.sequence}"),
        ("epoch acknowledged", str(deployment.epoch_acknowledged)),
        ("software", deployment.software or "-"),
    ]


@verb(app, "invite")
def invite(
    desk: Desk,
    deployment: Named,
    licence: Annotated[str, typer.Option(metavar="LICENCE", help="The licence it counts under.")],
    valid_for: ValidFor = None,
    save: Save = None,
) -> None:
    """Make a one-time join token for a system. Whoever has it can enrol: hand it over by a road you trust."""
    request = pb.InviteDeploymentRequest(
        request_id=desk.request_id(), licence=licence, deployment=deployment, valid_for_ms=valid_for or 0
    )
    made = desk.ask(DeploymentServiceStub(desk.channel).InviteDeployment, request).invitation
    _show_invitation(desk, made, save)


@verb(app, "get")
def get(desk: Desk, deployment: Named) -> None:
    """Show one deployment."""
    request = pb.GetDeploymentRequest(deployment=deployment)
    found = desk.ask(DeploymentServiceStub(desk.channel).GetDeployment, request).deployment
    desk.printer.record(found, _pairs(found, desk.now))


@verb(app, "list")
def list_(
    desk: Desk,
    *,
    licence: Annotated[str, typer.Option(metavar="LICENCE", help="Only under this one.")] = "",
    customer: Annotated[str, typer.Option(metavar="CUSTOMER", help="Only of this one.")] = "",
    status: Annotated[DeploymentState | None, typer.Option(help="Only these.")] = None,
    page_size: PageSize = 50,
    page_token: PageToken = "",
    every: All = False,
) -> None:
    """List deployments."""
    request = pb.ListDeploymentsRequest(licence=licence, customer=customer, status=number_of(DeploymentStatus, status))
    method = DeploymentServiceStub(desk.channel).ListDeployments
    show_pages(desk, method, request, Page(page_size, page_token, every), name="deployments", columns=COLUMNS)


@verb(app, "revoke")
def revoke(desk: Desk, deployment: Named, reason: Reason, detail: Detail) -> None:
    """End a system's enrolment, at once, by one person."""
    request = pb.RevokeDeploymentRequest(
        request_id=desk.request_id(), deployment=deployment, reason_code=reason, detail=detail
    )
    found = desk.ask(DeploymentServiceStub(desk.channel).RevokeDeployment, request).deployment
    desk.printer.record(found, _pairs(found, desk.now))


@verb(app, "fork")
def fork(
    desk: Desk,
    deployment: Named,
    enrolment: Annotated[int, typer.Option(min=0, metavar="NUMBER", help="Which enrolment; 0 is the last.")] = 0,
    save: Annotated[
        Path | None, typer.Option("--save", metavar="FILE", help="Write the evidence to a new file.")
    ] = None,
) -> None:
    """Show what was kept when two copies of a system were seen; `verify-fork` checks the file anywhere."""
    request = pb.GetForkRequest(deployment=deployment, enrolment=enrolment)
    found = desk.ask(DeploymentServiceStub(desk.channel).GetFork, request)
    if save:
        write_new(save, write_fork(found.evidence), EVERYBODY)
    pairs = [
        ("system", f"{found.evidence.system}, enrolment {found.enrolment}"),
        ("seen", when(found.seen_at_ms, desk.now)),
        ("log entry", str(found.evidence.forked.index)),
        ("written", str(save) if save else "nowhere; --save FILE does"),
    ]
    desk.printer.record(found, pairs)


@verb(app, "verify-fork")
def verify_fork(
    desk: Desk,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="As `deployment fork --save` wrote it.")],
    bundle: Annotated[Path, typer.Option(metavar="FILE", help="Trust bundles, as `key bundle` writes them.")],
    pin: Annotated[str, typer.Option(metavar="HEX", help="What the first bundle in it must be.")] = "",
    key: Annotated[
        str, typer.Option(metavar="HEX", help="The system's public key, as its enrolment receipt has it.")
    ] = "",
) -> None:
    """Check evidence of a fork, without licd: both links, the log's entries about them, and what they prove.

    Exits with 0 also for a finding that is claimed and not proved: it says which.
    """
    evidence = read_fork(file)
    finding = check_fork(evidence, verifier_of(desk, evidence.checkpoint, bundle, pin))
    if key and key.lower() != finding.public_key.hex():
        raise Stopped(Exit.UNVERIFIED, f"{file}: the log enrolled key {finding.public_key.hex()}, not {key.lower()}")
    if desk.printer.is_json:
        desk.printer.value(fork_json(finding))
        return
    desk.printer.pairs(fork_pairs(finding, desk.now))


@verb(app, "re-enrol")
def re_enrol(desk: Desk, deployment: Named, detail: Detail) -> None:
    """Open a fenced or lost system for a new enrolment; `invite` then makes its token. Needs a second person."""
    request = pb.ReenrolDeploymentRequest(request_id=desk.request_id(), deployment=deployment, detail=detail)
    found = widen(desk, DeploymentServiceStub(desk.channel).ReenrolDeployment, request).deployment
    desk.printer.record(found, _pairs(found, desk.now))


def invitation_pairs(invitation: pb.Invitation, now: Instant) -> Pairs:
    """For whom it is, until when, and the token itself."""
    return [
        ("deployment", invitation.deployment.deployment),
        ("holds until", when(invitation.expires_at_ms, now)),
        ("join token", invitation.join_token),
    ]


def _show_invitation(desk: Desk, invitation: pb.Invitation, save: Path | None) -> None:
    """The token is shown where it is not written to a file, and nowhere twice."""
    shown = pb.Invitation()
    shown.CopyFrom(invitation)
    if save:
        shown.join_token = f"in {save}"
    desk.printer.record(shown, invitation_pairs(shown, desk.now))
    hand_out(desk, invitation, save)
