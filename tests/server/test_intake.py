"""The public intake over HTTP: anybody reports and comes back; licd keeps nothing that it could give away."""

from __future__ import annotations

import http.client
import socket
import sqlite3
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from licd.core.errors import Forbidden, IllegalTransition, Invalid
from licd.core.time import DAY
from licd.keys.letter import LetterRefused, Part, open_letter, read_letter_key
from licd.keys.private_file import KeyFileError
from licd.server.intake.http import BODY_BYTES
from licd.server.intake.opening import NUMBER_KEY
from licd.server.state_dir import StateDirectory
from licd.v1 import allegation_pb2, operator_pb2
from licd.v1 import allegation_service_pb2 as pb
from licd.v1.approval_service_pb2 import GetApprovalRequest
from tests.daemon import PATIENCE, Daemon, ShiftedClock, copy_state, serving
from tests.eventually import eventually
from tests.intake import FORM, KEY, Stranger, with_intake
from tests.office import Office

SECRETS = ("they listened to my editor", "Sabine Muster", "sabine@press.example", "+491512345678", "1512345678")


@pytest.fixture
def own_state(tmp_path: Path, template: Path) -> StateDirectory:
    """For a test that breaks something, or lets time pass."""
    return with_intake(copy_state(template, tmp_path / "state", drain_seconds=1))


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory, template: Path) -> StateDirectory:
    root = tmp_path_factory.mktemp("intake") / "state"
    return with_intake(copy_state(template, root, drain_seconds=1), requests_at_once=1000)


@pytest.fixture(scope="module")
def open_daemon(state: StateDirectory) -> Iterator[Daemon]:
    """One for all tests that only add to it."""
    with capture_logs(), serving(state) as daemon:
        yield daemon


@pytest.fixture
def stranger(open_daemon: Daemon) -> Stranger:
    return Stranger.of(open_daemon)


@pytest.fixture
def staff(open_daemon: Daemon) -> Office:
    return Office(open_daemon)


def newest(office: Office) -> allegation_pb2.Allegation:
    [found, *_] = office.alice.call("AllegationService.ListAllegations", pb.ListAllegationsRequest()).allegations
    return shown(office, found.allegation)


def listed(office: Office) -> list[str]:
    request = pb.ListAllegationsRequest(answered=True, page=operator_pb2.PageRequest(page_size=500))
    found = office.alice.call("AllegationService.ListAllegations", request)
    return [each.allegation for each in found.allegations]


def shown(office: Office, allegation: str) -> allegation_pb2.Allegation:
    request = pb.GetAllegationRequest(allegation=allegation)
    found: allegation_pb2.Allegation = office.alice.call("AllegationService.GetAllegation", request).allegation
    return found


def acknowledge(office: Office, allegation: str) -> None:
    office.alice.call("AllegationService.AcknowledgeAllegation", pb.AcknowledgeAllegationRequest(allegation=allegation))


def opened(state: StateDirectory, part: Part, tracking: bytes, sealed: bytes) -> bytes:
    return open_letter(read_letter_key(state.root / KEY, None), part, tracking, sealed)


def test_without_a_setting_there_is_no_intake(daemon: Daemon):
    assert daemon.up.intake is None


def test_the_form_needs_no_script_and_brings_nothing_from_elsewhere(stranger: Stranger):
    page = stranger.ask("GET", "/")
    assert page.status == 200
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "script" not in policy
    assert "unsafe" not in policy
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cache-control"] == "no-store"
    assert not {"set-cookie", "server"} & page.headers.keys()
    assert not any(word in page.text for word in ("<script", "http://", "https://", "src="))


def test_what_is_reported_is_opened_by_the_head_of_compliance_alone(
    stranger: Stranger, staff: Office, state: StateDirectory
):
    filed = stranger.file(number="+49 151 2345678", name="Sabine Muster", contact="sabine@press.example", about="north")
    assert filed.status == 201
    found = newest(staff)
    assert found.identified
    body = allegation_pb2.AllegationBody.FromString(opened(state, Part.BODY, found.tracking, found.body))
    assert (body.account, body.about, body.number) == ("they listened to my editor", "north", "+491512345678")
    with pytest.raises(LetterRefused):
        opened(state, Part.IDENTITY, found.tracking, found.body)
    assert stranger.follow(filed.code.lower()).status == 200


def test_nothing_of_it_is_in_rows_log_metrics_or_licds_own_log(
    stranger: Stranger, staff: Office, open_daemon: Daemon, state: StateDirectory, logs: list[Any]
):
    code = stranger.file(number="+49 151 2345678", name="Sabine Muster", contact="sabine@press.example").code
    stranger.follow(code, "they listened to my editor again")
    stranger.file(number="1512345678")  # refused, and kept as little
    staff.alice.call(
        "AllegationService.WriteMessage",
        pb.WriteMessageRequest(allegation=newest(staff).allegation, text="when did Sabine Muster write to you?"),
    )
    with sqlite3.connect(f"file:{state.database}?mode=ro", uri=True) as rows:
        dumped = repr(list(rows.iterdump())).lower()
    metrics = repr(list(open_daemon.up.daemon.metrics.registry.collect())).lower()
    for told in (*SECRETS, code, code.replace("-", "")):
        for place in (dumped, metrics, repr(logs).lower()):
            assert told.lower() not in place
            assert told.lower().encode().hex() not in place
    assert "allegation.filed" in dumped


def test_both_sides_write_and_each_reads_what_is_for_it(stranger: Stranger, staff: Office, state: StateDirectory):
    code = stranger.file().code
    found = newest(staff)
    staff.alice.call(
        "AllegationService.WriteMessage",
        pb.WriteMessageRequest(allegation=found.allegation, text="Whom do you mean by <editor>?"),
    )
    page = stranger.follow(code, "my <b>own</b>")
    assert page.status == 200
    assert "Whom do you mean by <editor>?" in page.text
    assert "<b>own</b>" not in page.body.decode()
    assert "my <b>own</b>" in page.text
    told = shown(staff, found.allegation).messages
    words = [opened(state, Part.MESSAGE_TO_OFFICE, found.tracking, each.sealed) for each in told]
    assert words == [b"Whom do you mean by <editor>?", b"my <b>own</b>"]
    answer = stranger.json("/allegation", {"code": code})
    assert [each["from"] for each in answer["messages"]] == ["us", "you"]


def test_an_answer_is_in_words_of_policy_and_shows_after_the_same_time_for_all(
    own_state: StateDirectory,
):
    with serving(own_state) as daemon:
        _answered_in_time(Stranger.of(daemon), Office(daemon), daemon.clock)


def _answered_in_time(stranger: Stranger, staff: Office, clock: ShiftedClock) -> None:
    code = stranger.file().code
    found = newest(staff)
    request = pb.AnswerAllegationRequest(allegation=found.allegation, answer="examined")
    with pytest.raises(IllegalTransition):
        staff.alice.call("AllegationService.AnswerAllegation", request)
    acknowledge(staff, found.allegation)
    assert "It was acknowledged." in stranger.follow(code).text
    with pytest.raises(Invalid, match="unknown answer"):
        staff.alice.call(
            "AllegationService.AnswerAllegation",
            pb.AnswerAllegationRequest(allegation=found.allegation, answer="he-is-a-customer"),
        )
    answered = staff.alice.call("AllegationService.AnswerAllegation", request).allegation
    assert answered.visible_at_ms - answered.filed_at_ms == 30 * DAY
    words = "neither confirm nor deny"
    assert words not in stranger.follow(code).text
    clock.passed += 30 * DAY
    assert words in stranger.follow(code).text


def test_a_message_that_names_a_customer_is_not_sent(stranger: Stranger, staff: Office):
    customer = staff.alice.customer()
    stranger.file()
    request = pb.WriteMessageRequest(allegation=newest(staff).allegation, text=f"Was it {customer.upper()}?")
    with pytest.raises(Invalid, match="names a customer"):
        staff.alice.call("AllegationService.WriteMessage", request)


def test_a_filing_is_answered_alike_whoever_it_is_about(stranger: Stranger, staff: Office):
    customer = staff.alice.customer()
    pages = [stranger.file(about=about) for about in (customer, "nobody-of-that-name")]
    known, unknown = (page.text.replace(page.code, "CODE") for page in pages)
    assert known == unknown
    assert {page.status for page in pages} == {201}
    assert len({tuple(sorted(page.headers.items())) for page in pages}) == 1


def test_a_case_is_opened_from_an_allegation_and_tells_nothing_of_the_reporter(stranger: Stranger, staff: Office):
    licence = staff.licence()
    stranger.file(number="+49 151 7654321", name="Sabine Muster")
    stranger.file(number="+49 (151) 765-4321")
    first = newest(staff)
    assert len(first.same_number) == 1
    acknowledge(staff, first.allegation)
    case = staff.alice.call(
        "AllegationService.OpenCaseFrom",
        pb.OpenCaseFromRequest(
            allegation=first.allegation, licence=licence, code="report_external", summary="somebody reported"
        ),
    ).case
    [other] = first.same_number
    acknowledge(staff, other)
    staff.alice.call("AllegationService.JoinCase", pb.JoinCaseRequest(allegation=other, case=case.case))
    assert list(shown(staff, other).cases) == list(shown(staff, first.allegation).cases) == [case.case]
    assert not any(told in str(case) for told in SECRETS)


def test_two_persons_let_one_look_at_who_reported_and_each_look_is_on_record(
    stranger: Stranger, staff: Office, state: StateDirectory
):
    stranger.file(name="Sabine Muster", contact="sabine@press.example")
    found = newest(staff)
    wanted = {"allegation": found.allegation, "detail": "she does not answer"}
    with pytest.raises(Invalid, match="unknown purpose"):
        staff.alice.call("AllegationService.PermitDisclosure", pb.PermitDisclosureRequest(purpose="whim", **wanted))
    request = pb.PermitDisclosureRequest(purpose="contact", **wanted)
    approval = staff.alice.call("AllegationService.PermitDisclosure", request).approval
    assert approval.needed == 2
    staff.alice.sign(approval)
    done = staff.bob.sign(approval)
    leave = pb.PermitDisclosureResponse.FromString(done.result).disclosure
    look = pb.DiscloseIdentityRequest(disclosure=leave.disclosure)
    with pytest.raises(Forbidden):
        staff.bob.call("AllegationService.DiscloseIdentity", pb.DiscloseIdentityRequest(disclosure=leave.disclosure))
    seen = staff.alice.call("AllegationService.DiscloseIdentity", look)
    identity = allegation_pb2.ReporterIdentity.FromString(opened(state, Part.IDENTITY, seen.tracking, seen.sealed))
    assert (identity.name, identity.contact) == ("Sabine Muster", "sabine@press.example")
    again = staff.alice.call("AllegationService.DiscloseIdentity", look)  # the same request id: no second look
    assert again.sealed == b""
    [record] = shown(staff, found.allegation).disclosures
    assert (record.purpose, record.actor, record.looks) == ("contact", "alice", 1)
    read = staff.alice.call("ApprovalService.GetApproval", GetApprovalRequest(approval=approval.approval)).approval
    assert read.status == operator_pb2.APPROVAL_STATUS_EXECUTED
    assert seen.sealed not in read.SerializeToString()


def test_whoever_has_no_part_in_it_reads_and_decides_nothing(staff: Office, stranger: Stranger):
    stranger.file()
    clerk = staff.admit("clerk", "operator")
    for verb, request in (
        ("GetAllegation", pb.GetAllegationRequest(allegation=newest(staff).allegation)),
        ("ListAllegations", pb.ListAllegationsRequest()),
        ("DiscloseIdentity", pb.DiscloseIdentityRequest(disclosure="L-0")),
    ):
        with pytest.raises(Forbidden):
            clerk.call(f"AllegationService.{verb}", request)


def test_what_was_filed_is_there_after_a_restart(own_state: StateDirectory):
    state = own_state
    with serving(state) as daemon:
        code = Stranger.of(daemon).file().code
    with serving(state) as daemon:
        assert Stranger.of(daemon).follow(code).status == 200
        assert daemon.metric("licd_allegations_unacknowledged") == 1
        assert daemon.metric("licd_intake_requests_total", outcome="followed") == 1
    (state.root / NUMBER_KEY).unlink()
    with pytest.raises(Invalid, match="blinded before with a key that is not here"), serving(state):
        pass
    (state.root / NUMBER_KEY).write_bytes(b"another key, of thirty-two bytes")
    (state.root / NUMBER_KEY).chmod(0o600)
    with pytest.raises(Invalid, match="blinded with another key"), serving(state):
        pass


# ------------------------------------------------------------------------------------------------------- bad strangers


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"account": ""}, 400, "account: say what happened"),
        ({"account": "x", "number": "0151"}, 400, "number: a number begins with +"),
        ({"account": "x" * 10_001}, 400, "account: at most 10000 characters"),
        ({"account": "x\x00"}, 400, "characters in it that are no text"),
        ({"account": "x", "colour": "red"}, 400, "a field is there that is not on the form"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_field(
    stranger: Stranger, fields: dict[str, str], status: int, words: str
):
    page = stranger.send("/allegations", fields)
    assert (page.status, words in page.text) == (status, True)


def test_after_a_mistake_what_was_typed_is_on_the_form_again_and_cannot_break_out_of_it(stranger: Stranger):
    page = stranger.file('"><script>alert(1)</script>', number="nonsense")
    assert page.status == 400
    assert b"<script" not in page.body
    assert '"><script>alert(1)</script>' in page.text


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status"),
    [
        ("GET", "/allegations", {}, b"", 405),
        ("DELETE", "/", {}, b"", 405),
        ("GET", "/../licd.toml", {}, b"", 404),
        ("POST", "/allegations", {"content_type": "multipart/form-data; boundary=x"}, b"--x--", 400),
        ("POST", "/allegations", {"content_type": FORM}, b"account=%ff", 400),
        ("POST", "/allegations", {"content_type": FORM}, b"account=x&account=y", 400),
        ("POST", "/allegations", {"content_type": FORM}, b"&".join([b"a=b"] * 100), 400),
        ("POST", "/allegations", {"content_type": FORM}, b"account=" + b"x" * BODY_BYTES, 413),
        ("GET", "/", {"x_long": "x" * 20_000}, b"", 431),
        ("POST", "/allegation", {"content_type": FORM}, b"code=00000-00000-00000-00000-00000-0", 404),
        ("POST", "/allegation", {"content_type": FORM}, b"code=short", 400),
    ],
)
def test_a_bad_request_is_answered_and_kept_by_nobody(
    stranger: Stranger, staff: Office, method: str, path: str, headers: dict[str, str], body: bytes, status: int
):
    before = listed(staff)
    assert stranger.ask(method, path, body, **headers).status == status
    assert listed(staff) == before


@pytest.mark.parametrize("sent", [b"\x16\x03\x01\x00", b"GET /\r\n\r\n", b"POST / HTTP/1.1\r\n\r\n", b"\x00" * 9000])
def test_what_is_no_http_is_answered_or_left(stranger: Stranger, sent: bytes):
    with socket.create_connection(("127.0.0.1", stranger.port), PATIENCE) as line:
        line.sendall(sent)
        line.shutdown(socket.SHUT_WR)
        assert b" 200 " not in line.recv(4096)
    assert stranger.ask("GET", "/").status == 200


def _files(stranger: Stranger) -> bool:
    try:
        return stranger.file().status == 201
    except (OSError, http.client.HTTPException):  # let go in its turn: the machine was slow
        return False


def test_strangers_who_stay_on_the_line_keep_nobody_out_for_long(tmp_path: Path, template: Path):
    state = with_intake(copy_state(template, tmp_path / "state", drain_seconds=1), connections=3, exchange_seconds=1)
    with serving(state) as daemon:
        stranger = Stranger.of(daemon)
        slow = [socket.create_connection(("127.0.0.1", stranger.port), PATIENCE) for _ in range(3)]
        try:
            for line in slow:
                line.sendall(b"POST /allegations HTTP/1.1\r\nhost: x\r\n")
            for line in slow:  # each is let go, though it would go on writing for ever
                assert line.recv(4096) == b""
            eventually(lambda: _files(stranger), PATIENCE, "a stranger after them has his turn")
        finally:
            for line in slow:
                line.close()


def test_above_the_rate_nothing_is_kept(tmp_path: Path, template: Path):
    state = with_intake(
        copy_state(template, tmp_path / "state", drain_seconds=1), requests_per_second=1, requests_at_once=2
    )
    with serving(state, ShiftedClock()) as daemon:
        stranger = Stranger.of(daemon)
        pages = [stranger.file() for _ in range(60)]
        refused = [page for page in pages if page.status == 429]
        assert refused
        assert {page.headers["retry-after"] for page in refused} <= {"1", "2"}
        assert daemon.metric("licd_intake_requests_total", outcome="over_quota") == len(refused)
        assert daemon.metric("licd_intake_requests_total", outcome="filed") == len(pages) - len(refused)


def test_beyond_this_machine_it_is_tls_or_nothing(tmp_path: Path, template: Path):
    bare = with_intake(copy_state(template, tmp_path / "bare"), listen="0.0.0.0:0")
    with pytest.raises(Invalid, match="give certificate and key"), serving(bare):
        pass
    state = with_intake(
        copy_state(template, tmp_path / "state", drain_seconds=1), certificate="tls/server.pem", key="tls/server.key"
    )
    with serving(state) as daemon:
        plain = Stranger.of(daemon)
        code = Stranger(plain.port, state.authority[0]).file().code
        assert Stranger(plain.port, state.authority[0]).follow(code).status == 200
        with pytest.raises((OSError, ssl.SSLError, ConnectionError)):
            plain.ask("GET", "/")


def test_strangers_who_never_shake_hands_are_counted_and_let_go(tmp_path: Path, template: Path):
    state = with_intake(
        copy_state(template, tmp_path / "state", drain_seconds=1),
        certificate="tls/server.pem",
        key="tls/server.key",
        connections=2,
        exchange_seconds=2,
    )
    with serving(state) as daemon, ExitStack() as lines:
        intake = daemon.up.intake
        assert intake is not None
        silent = [
            lines.enter_context(socket.create_connection(("127.0.0.1", intake.port), PATIENCE)) for _ in range(20)
        ]
        eventually(lambda: intake.turned_away > 0, PATIENCE, "one too many is turned away")
        for line in silent:
            assert line.recv(1) == b""
        stranger = Stranger(intake.port, state.authority[0])
        eventually(lambda: _files(stranger), PATIENCE, "a stranger after them has his turn")


def test_a_licd_that_cannot_seal_does_not_start(own_state: StateDirectory):
    (own_state.root / f"{KEY}.pub").unlink()
    with pytest.raises(KeyFileError, match="there is no such file"), serving(own_state):
        pass
