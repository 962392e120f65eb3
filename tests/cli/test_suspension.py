"""Suspension: what it hits is shown first, nothing stands in its way, and silence is never shown as stopped."""

import io

import grpc
import pytest
from rich.console import Console

from licd.cli.follow import picture
from licd.core.errors import Behind, Forbidden, Invalid, LicdError
from licd.core.time import SECOND
from licd.v1 import customer_service_pb2, operator_pb2
from licd.v1 import licence_service_pb2 as pb
from tests.cli.conftest import NOW, Licctl
from tests.cli.samples import BOUNDS, licence

WHY = ("--reason", "misuse-suspected", "--detail", "a report")
SUSPEND = ("licence", "suspend", "--licence", "acme-1", *WHY)


def preview(**changes: object) -> pb.PreviewSuspensionResponse:
    systems = [
        pb.AffectedSystem(
            deployment="site-1",
            licence="acme-1",
            connected=True,
            live_leases=2,
            last_contact_ms=NOW - SECOND,
            latest_hard_end_ms=NOW + 310_500,
        ),
        pb.AffectedSystem(deployment="site-2", licence="acme-1", connected=False, last_contact_ms=NOW - 60 * SECOND),
    ]
    return pb.PreviewSuspensionResponse(licences=["acme-1"], systems=systems, live_leases=2, bounds=BOUNDS)


def done() -> pb.SuspendLicenceResponse:
    suspended = licence(status=operator_pb2.LICENCE_STATUS_SUSPENDED, epoch=4)
    return pb.SuspendLicenceResponse(suspension="S-1", licences=[suspended], decided_ms=NOW, bounds=BOUNDS)


def stop(deployment: str, state: pb.StopState.ValueType, **times: int) -> pb.SystemStop:
    return pb.SystemStop(deployment=deployment, licence="acme-1", state=state, **times)


UNCONFIRMED = stop("site-2", pb.STOP_STATE_UNCONFIRMED, bounded_until_ms=NOW + 310_500, live_leases=1)
ACKNOWLEDGED = stop(
    "site-1", pb.STOP_STATE_ACKNOWLEDGED, acknowledged_at_ms=NOW + 1_200, stopped_at_ms=NOW + 900, bounded_until_ms=NOW
)
RUN_OUT = stop("site-2", pb.STOP_STATE_RUN_OUT, bounded_until_ms=NOW + 310_500)


def state(at: int, *systems: pb.SystemStop, settled: bool = False) -> pb.GetSuspensionResponse:
    return pb.GetSuspensionResponse(
        suspension="S-1", decided_ms=NOW, now_ms=NOW + at, systems=systems, live_leases=1, settled=settled
    )


@pytest.fixture
def scripted(licctl: Licctl) -> Licctl:
    licctl.licd.on("PreviewSuspension", preview())
    licctl.licd.on("SuspendLicence", done())
    licctl.licd.on(
        "GetSuspension",
        state(0, stop("site-1", pb.STOP_STATE_UNCONFIRMED, bounded_until_ms=NOW + 310_500), UNCONFIRMED),
        state(2_000, ACKNOWLEDGED, UNCONFIRMED),
        state(2_000, ACKNOWLEDGED, UNCONFIRMED),
        state(311_000, ACKNOWLEDGED, RUN_OUT, settled=True),
    )
    return licctl


def test_without_yes_it_shows_what_it_would_hit_and_does_nothing(scripted: Licctl) -> None:
    result = scripted(*SUSPEND)
    assert result.exit_code == 0
    assert result.stdout == (
        "scope            licence acme-1\n"
        "licences         1: acme-1\n"
        "systems          2: 1 connected, 1 silent\n"
        "live leases      2\n"
        "W connected      1 s 550 ms (pushed)\n"
        "W heart-beating  9 s 1 ms (told in the next reply)\n"
        "W unreachable    5 min 21 s (its permit runs out)\n"
        "latest hard end  12:05:11 UTC\n"
        "DEPLOYMENT  LICENCE  REACH      LIVE  LAST CONTACT          LATEST HARD END\n"
        "site-2      acme-1   silent     0     2026-03-01T11:59:00Z  -\n"
        "site-1      acme-1   connected  2     2026-03-01T11:59:59Z  2026-03-01T12:05:10.500Z\n"
        "nothing was done; add --yes\n"
    )
    assert scripted.licd.names() == ["PreviewSuspensionRequest"]
    [asked] = scripted.licd.requests
    assert isinstance(asked, pb.PreviewSuspensionRequest)
    assert asked.reason_code == "misuse-suspected"


def test_a_program_is_told_that_nothing_was_done(scripted: Licctl) -> None:
    shown = scripted.json(*SUSPEND)
    assert shown["done"] is False
    assert shown["preview"]["bounds"]["unreachable_ms"] == 321_065


@pytest.mark.parametrize(
    ("scope", "words"),
    [
        (("--customer", "acme"), "every licence of customer acme"),
        (("--all",), "EVERY licence of every customer"),
    ],
)
def test_the_scope_is_said_in_words(scripted: Licctl, scope: tuple[str, ...], words: str) -> None:
    assert f"scope            {words}\n" in scripted("licence", "suspend", *scope, *WHY).stdout


@pytest.mark.parametrize("scope", [(), ("--licence", "acme-1", "--all"), ("--customer", "acme", "--licence", "acme-1")])
def test_the_scope_must_be_exactly_one(scripted: Licctl, scope: tuple[str, ...]) -> None:
    result = scripted("licence", "suspend", *scope, *WHY, "--yes")
    assert result.exit_code == 2
    assert result.stderr == "licctl: --licence, --customer, --all: give exactly one of the three\n"
    assert scripted.licd.names() == []


def test_with_yes_it_suspends_and_follows_until_all_have_stopped(scripted: Licctl) -> None:
    result = scripted(*SUSPEND, "--yes")
    assert result.exit_code == 0
    told = result.stdout.partition("suspension       S-1\n")[2]
    assert told == (
        "suspended        acme-1, epoch 4\n"
        "decided at       12:00:00 UTC\n"
        "W connected      1 s 550 ms (pushed)\n"
        "W heart-beating  9 s 1 ms (told in the next reply)\n"
        "W unreachable    5 min 21 s (its permit runs out)\n"
        "latest hard end  12:05:11 UTC\n"
        "effective everywhere by 12:05:22 UTC\n"
        "12:00:00 UTC  acme-1  site-1  unconfirmed, bounded by W at 12:05:11 UTC\n"
        "12:00:00 UTC  acme-1  site-2  unconfirmed, bounded by W at 12:05:11 UTC\n"
        "12:00:02 UTC  acme-1  site-1  acknowledged at 12:00:01 UTC, stopped at 12:00:00 UTC\n"
        "12:05:11 UTC  acme-1  site-2  run out at 12:05:11 UTC, not acknowledged\n"
        "settled: 1 acknowledged, 0 unconfirmed, 1 run out; 1 lease live\n"
    )
    sent = scripted.licd.asked(pb.SuspendLicenceRequest)
    assert (sent.scope.licence, sent.reason_code, sent.detail) == ("acme-1", "misuse-suspected", "a report")
    assert scripted.clock.slept == [SECOND] * 3


def test_no_follow_returns_at_once(scripted: Licctl) -> None:
    result = scripted(*SUSPEND, "--yes", "--no-follow")
    assert result.exit_code == 0
    assert "GetSuspensionRequest" not in scripted.licd.names()


def test_ends_with_eight_when_the_wait_is_over_and_somebody_is_unconfirmed(scripted: Licctl) -> None:
    result = scripted(*SUSPEND, "--yes", "--timeout", "2s")
    assert result.exit_code == 8
    assert result.stderr == (
        "licctl: suspended, NOT confirmed everywhere (1 acknowledged, 1 unconfirmed, 0 run out; 1 lease live), "
        "bounded by W at 12:05:11 UTC; go on: licctl licence follow S-1\n"
    )
    assert "stopped" not in "".join(line for line in result.stdout.splitlines() if "site-2" in line)


def test_a_program_gets_one_object_with_all_of_it(scripted: Licctl) -> None:
    shown = scripted.json(*SUSPEND, "--yes")
    assert shown["done"] is True
    assert shown["suspended"]["suspension"] == "S-1"
    assert shown["effective_by_ms"] == NOW + 321_065
    assert [one["state"] for one in shown["state"]["systems"]] == ["ACKNOWLEDGED", "RUN_OUT"]


def test_a_program_is_told_of_the_unconfirmed_by_the_exit_code(scripted: Licctl) -> None:
    shown = scripted.json(*SUSPEND, "--yes", "--timeout", "0s", exit_code=8)
    assert shown["state"]["settled"] is False


@pytest.mark.parametrize("failure", [Behind("licd is read-only"), Invalid("no such scope", field="scope")])
def test_a_preview_that_fails_does_not_stand_in_the_way(scripted: Licctl, failure: LicdError) -> None:
    scripted.licd.on("PreviewSuspension", failure)
    result = scripted(*SUSPEND, "--yes", "--no-follow")
    assert result.exit_code == 0
    assert result.stderr.startswith("no preview: ")
    assert "SuspendLicenceRequest" in scripted.licd.names()


def test_a_refused_suspension_is_said_and_not_followed(scripted: Licctl) -> None:
    scripted.licd.on("SuspendLicence", Forbidden("the role auditor may not do this"))
    result = scripted(*SUSPEND, "--yes")
    assert result.exit_code == 1
    assert result.stderr == "licctl: FORBIDDEN: the role auditor may not do this\n"
    assert "GetSuspensionRequest" not in scripted.licd.names()


def test_a_silence_of_licd_does_not_end_the_following(scripted: Licctl) -> None:
    scripted.licd.on(
        "GetSuspension",
        state(0, UNCONFIRMED),
        Behind("restarting", retry_after=SECOND),
        state(311_000, RUN_OUT, settled=True),
    )
    result = scripted(*SUSPEND, "--yes")
    assert result.exit_code == 0
    assert "restarting; asking again" in result.stderr


def test_a_licd_that_falls_silent_at_once_is_asked_again_until_w_is_over(scripted: Licctl) -> None:
    scripted.licd.on("GetSuspension", grpc.StatusCode.UNAVAILABLE)
    result = scripted(*SUSPEND, "--yes")
    assert result.exit_code == 8
    assert result.stderr.count("asking again") == 1
    assert "NOT confirmed everywhere" in result.stderr
    assert sum(scripted.clock.slept) == 352_000  # W unreachable, rounded up to whole looks, and half a minute


def test_a_program_learns_of_the_suspension_although_it_may_not_be_followed(scripted: Licctl) -> None:
    scripted.licd.on("GetSuspension", Forbidden("not this role"))
    shown = scripted.json(*SUSPEND, "--yes", exit_code=8)
    assert shown["suspended"]["suspension"] == "S-1"
    assert shown["state"] is None


def test_a_suspension_that_may_not_be_followed_is_said_to_be_unconfirmed(scripted: Licctl) -> None:
    scripted.licd.on("GetSuspension", Forbidden("not this role"))
    result = scripted(*SUSPEND, "--yes")
    assert result.stderr == ("licctl: suspended, NOT confirmed (not this role); go on: licctl licence follow S-1\n")


def test_follow_goes_on_where_suspend_ended(scripted: Licctl) -> None:
    scripted.licd.on("GetSuspension", state(311_000, ACKNOWLEDGED, RUN_OUT, settled=True))
    assert scripted.json("licence", "follow", "S-1")["settled"] is True
    assert scripted.licd.asked(pb.GetSuspensionRequest).suspension == "S-1"


def test_the_live_picture_shows_who_is_unconfirmed_first() -> None:
    paper = io.StringIO()
    Console(file=paper, width=100).print(picture(state(2_000, ACKNOWLEDGED, UNCONFIRMED)))
    lines = [line.rstrip() for line in paper.getvalue().splitlines() if "site-" in line]
    assert lines == [
        " acme-1    site-2       1      unconfirmed, bounded by W at 12:05:11 UTC",
        " acme-1    site-1       0      acknowledged at 12:00:01 UTC, stopped at 12:00:00 UTC",
    ]
    assert paper.getvalue().endswith("1 acknowledged, 1 unconfirmed, 0 run out; 1 lease live\n")


def test_a_person_who_stops_watching_learns_that_it_is_not_confirmed(scripted: Licctl) -> None:
    def impatient(span: int) -> None:
        raise KeyboardInterrupt

    scripted.clock.sleep = impatient  # type: ignore[method-assign]  # the person at the keyboard
    result = scripted(*SUSPEND, "--yes")
    assert result.exit_code == 8
    assert "NOT confirmed everywhere" in result.stderr


def test_a_thousand_systems_fit_on_the_screen(scripted: Licctl) -> None:
    many = [pb.AffectedSystem(deployment=f"site-{at:04}", licence="acme-1", connected=True) for at in range(1_000)]
    scripted.licd.on("PreviewSuspension", pb.PreviewSuspensionResponse(systems=many, bounds=BOUNDS))
    assert "and 960 more, connected or ending earlier\n" in scripted(*SUSPEND).stdout


def test_terminating_shows_what_it_hits_before_it_is_done(scripted: Licctl) -> None:
    terminate = ("licence", "terminate", "acme-1", *WHY)
    assert scripted(*terminate).stdout.endswith("nothing was done; add --yes\n")
    gone = pb.TerminateLicenceResponse(licence=licence(status=operator_pb2.LICENCE_STATUS_TERMINATED))
    scripted.licd.on("TerminateLicence", gone)
    assert "terminated, epoch 3" in scripted(*terminate, "--yes").stdout


def test_banning_shows_what_it_hits_before_it_is_done(scripted: Licctl) -> None:
    ban = ("customer", "ban", "acme", *WHY)
    assert "every licence of customer acme" in scripted(*ban).stdout
    banned = operator_pb2.Customer(customer="acme", status=operator_pb2.CUSTOMER_STATUS_BANNED, ban_reason="a report")
    scripted.licd.on("BanCustomer", customer_service_pb2.BanCustomerResponse(customer=banned, licences=["acme-1"]))
    assert scripted(*ban, "--yes").stdout.endswith("suspended  acme-1\n")


def test_licd_that_is_not_there_ends_with_six(scripted: Licctl) -> None:
    scripted.licd.stop()
    result = scripted(*SUSPEND, "--yes")
    assert result.exit_code == 6
    assert result.stderr.count(f"cannot reach licd at {scripted.licd.address}") == 2
    assert grpc.StatusCode.UNAVAILABLE.name not in result.stderr
