"""licctl status."""

import typer

from licd.cli.deciding_clock import move_words
from licd.cli.desk import Desk
from licd.cli.times import when
from licd.cli.verb import verb
from licd.v1.status_service_pb2 import GetStatusRequest
from licd.v1.status_service_pb2_grpc import StatusServiceStub

app = typer.Typer(add_completion=False)


@verb(app)
def status(desk: Desk) -> None:
    """Show how licd is, what stands in the way of granting, and what you may do."""
    found = desk.ask(StatusServiceStub(desk.channel).GetStatus, GetStatusRequest())
    now = desk.now
    pairs = [
        ("licd", f"{found.version}, {found.trust_domain}, at {desk.settings.address}"),
        ("grants", "no: " + ", ".join(found.impediments) if found.impediments else "yes"),
        ("its time", when(found.now_ms, now)),
        ("clock mark", when(found.clock_mark_ms, now)),
        *([("accepting its clock", f"licd's time {move_words(move)}")] if (move := found.clock_move_ms) else []),
        ("started", when(found.started_at_ms, now)),
        ("policy", found.policy_version),
        ("trust bundle", str(found.bundle_version)),
        ("log", f"{found.log_size} entries"),
        ("customers", str(found.customers)),
        ("licences", str(found.licences)),
        ("deployments", f"{found.deployments}, {found.sessions} with an open session"),
        ("leases", f"{found.live} live, {found.cooling} cooling"),
        ("unconfirmed suspensions", str(found.unconfirmed_suspensions)),
        ("pending approvals", str(found.pending_approvals)),
        ("you are", f"{found.caller} ({', '.join(found.caller_roles) or 'no role'})"),
        ("you may", ", ".join(found.caller_methods) or "-"),
    ]
    desk.printer.record(found, pairs)
