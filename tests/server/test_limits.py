"""What one caller may use, and that bytes which mean nothing are told so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2
from grpc_status import rpc_status
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from licd.core.errors import Invalid, LicdError, NotFound, OverQuota
from licd.core.time import SECOND
from licd.server.caller import Listener
from licd.v1 import customer_service_pb2, session_service_pb2, status_service_pb2
from tests.daemon import (
    VERBS,
    Daemon,
    call,
    code_of,
    copy_state,
    fresh,
    health_stub,
    new_id,
    open_channel,
    raw_call,
    serving,
)
from tests.office import Office, Operator
from tests.wired_system import System, joined

STATUS = "StatusService.GetStatus"


def test_a_request_that_is_too_large_is_refused_and_the_next_one_served(daemon: Daemon, office: Office):
    with pytest.raises(LicdError) as refused:
        raw_call(office.alice.channel, STATUS, b"\x0a" + bytes([0xFF, 0xFF, 0x0F]) + bytes(256 * 1024))
    assert code_of(refused.value) is grpc.StatusCode.RESOURCE_EXHAUSTED
    office.alice.status()


def test_a_link_that_is_too_large_ends_its_stream_alone(office: Office):
    system = joined(office)
    system.open()
    with system.stream() as stream:
        stream.send(system.link(nonce=bytes(300_000)))
        with pytest.raises(LicdError) as refused:
            stream.reply()
        assert code_of(refused.value) is grpc.StatusCode.RESOURCE_EXHAUSTED
    with system.stream() as stream:
        stream.beat()


def details_of(error: LicdError) -> dict[str, Any]:
    """The google.rpc details that a caller saw."""
    cause: Any = error.__cause__
    status: Any = rpc_status.from_call(cause)
    found: dict[str, Any] = {}
    for detail in status.details:
        for kind in (error_details_pb2.ErrorInfo, error_details_pb2.RetryInfo, error_details_pb2.BadRequest):
            if detail.Is(kind.DESCRIPTOR):
                found[kind.DESCRIPTOR.name] = kind.FromString(detail.value)
    return found


def test_who_asks_too_often_is_refused_undecided_and_told_when_to_come_again(own_daemon: Callable[..., Daemon]):
    daemon = own_daemon(requests_per_second=2, requests_at_once=4)
    alice, bob = Operator.of(daemon, "alice"), Operator.of(daemon, "bob")
    for _ in range(4):
        alice.status()
    with pytest.raises(OverQuota) as refused:
        for _ in range(4):
            alice.status()
    details = details_of(refused.value)
    assert code_of(refused.value) is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert details["ErrorInfo"].reason == "OVER_QUOTA"
    assert 0 < details["RetryInfo"].retry_delay.ToMilliseconds() <= SECOND // 2
    assert daemon.metric("licd_refused_total", listener="operator", why="OVER_QUOTA") >= 1
    bob.status()
    daemon.clock.passed += refused.value.retry_after
    alice.status()


def test_garbage_counts_like_anything_else(own_daemon: Callable[..., Daemon]):
    daemon = own_daemon(requests_per_second=1, requests_at_once=3)
    alice = Operator.of(daemon, "alice")
    for _ in range(3):
        with pytest.raises(Invalid):
            raw_call(alice.channel, STATUS, b"\xff")
    with pytest.raises(OverQuota):
        for _ in range(3):
            raw_call(alice.channel, STATUS, b"\xff")


def test_a_stream_has_no_more_frames_than_calls(own_daemon: Callable[..., Daemon]):
    daemon = own_daemon(requests_per_second=1, requests_at_once=40)
    system = joined(Office(daemon))
    system.open()
    with system.stream() as stream:
        with pytest.raises(OverQuota):
            for _ in range(60):
                stream.beat()
        sequence = system.sequence
    daemon.clock.passed += 10 * SECOND
    with system.stream() as stream:
        stream.beat()
        assert system.sequence == sequence + 1


def test_an_error_says_what_a_program_can_act_on(office: Office):
    request = customer_service_pb2.CreateCustomerRequest(customer="NO", name="n")
    with pytest.raises(Invalid) as refused:
        office.alice.call("CustomerService.CreateCustomer", request)
    details = details_of(refused.value)
    assert (details["ErrorInfo"].reason, details["ErrorInfo"].domain) == ("INVALID", "licd")
    assert details["BadRequest"].field_violations[0].field == "customer"


@pytest.mark.parametrize("request_id", ["", "x", "01890000-0000-4000-8000-000000000000", "\u0660" * 36, "\x00"])
def test_a_change_needs_a_request_id(office: Office, request_id: str):
    request = customer_service_pb2.CreateCustomerRequest(request_id=request_id, customer=fresh("customer"), name="n")
    with pytest.raises(Invalid) as refused:
        call(office.alice.channel, "CustomerService.CreateCustomer", request)
    assert refused.value.field == "request_id"


# ------------------------------------------------------------------------------------------------------- garbage


@pytest.fixture(scope="module")
def target_daemon(tmp_path_factory: pytest.TempPathFactory, template: Any) -> Any:
    """A daemon of its own: what garbage does is not for other tests."""
    limits = {"drain_seconds": 1, "enrolments_at_once": 100_000, "requests_at_once": 100_000}
    with serving(copy_state(template, tmp_path_factory.mktemp("garbage") / "state", **limits)) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def doors(target_daemon: Daemon) -> dict[Listener, grpc.Channel]:
    office = Office(target_daemon)
    system: System = joined(office)
    system.open()
    return {
        Listener.ENROLMENT: open_channel(target_daemon.address(Listener.ENROLMENT), target_daemon.authority, None),
        Listener.CUSTOMER: system.channel,
        Listener.OPERATOR: office.alice.channel,
    }


QUIET = settings(
    max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
EXPECTED = {
    "INVALID", "NOT_FOUND", "ALREADY_EXISTS", "CONFLICT", "ILLEGAL_TRANSITION", "FORBIDDEN", "SEAL_INVALID",
    "REQUEST_TOO_OLD", "REQUEST_ID_REUSED", "OVER_QUOTA",
}  # fmt: skip


def answer_to(channel: grpc.Channel, verb: str, raw: bytes) -> str:
    """OK, or the code of the refusal. Fails on anything that licd did not mean to say."""
    method = VERBS[verb]
    try:
        raw_call(channel, verb, raw, read=method.response.FromString)
    except Invalid as error:
        name = method.request.DESCRIPTOR.name
        assert error.field or name in str(error), f"{verb}: {error} names neither field nor message"
        return "INVALID"
    except LicdError as error:
        assert error.code.value in EXPECTED, (verb, raw, error)
        return error.code.value
    return "OK"


@pytest.mark.parametrize("verb", sorted(VERBS))
@given(raw=st.binary(max_size=200))
@QUIET
def test_bytes_that_mean_nothing_are_refused_by_name(doors: dict[Listener, grpc.Channel], verb: str, raw: bytes):
    answer_to(doors[VERBS[verb].listener], verb, raw)


TEXTS = st.one_of(
    st.sampled_from(["", "north", "licence-1", "A-1", "\x00", "x" * 140, "manual", new_id()]), st.text(max_size=20)
)
NUMBERS = st.sampled_from([0, 1, -1, 7, 1 << 31, (1 << 31) - 1, -(1 << 31)])
LONGS = st.sampled_from([0, 1, -1, 1 << 40, (1 << 63) - 1, -(1 << 63)])


def message_of(kind: Any, data: st.DataObject, depth: int = 0) -> Any:
    """A message with any of its fields filled with odd values."""
    message = kind()
    for field in message.DESCRIPTOR.fields:
        if field.name == "all" or (field.name != "request_id" and data.draw(st.booleans())):
            continue  # a suspension of everything is for another test
        fill(message, field, data, depth)
    return message


def fill(message: Any, field: Any, data: st.DataObject, depth: int) -> None:
    if field.message_type is not None:
        if depth < 5:
            inner = message_of(field.message_type._concrete_class, data, depth + 1)
            place = getattr(message, field.name)
            place.append(inner) if field.is_repeated else place.CopyFrom(inner)
        return
    values: dict[int, Any] = {
        field.TYPE_STRING: st.just(new_id()) if field.name == "request_id" else TEXTS,
        field.TYPE_BYTES: st.binary(max_size=80),
        field.TYPE_BOOL: st.booleans(),
        field.TYPE_ENUM: st.sampled_from([0, 1, 2, 77]),
        field.TYPE_INT32: NUMBERS.filter(lambda n: -(1 << 31) <= n < 1 << 31),
        field.TYPE_SINT32: NUMBERS.filter(lambda n: -(1 << 31) <= n < 1 << 31),
        field.TYPE_FIXED64: st.sampled_from([0, 1, (1 << 64) - 1, 1 << 63]),
    }
    value = data.draw(values.get(field.type, LONGS))
    if field.is_repeated:
        getattr(message, field.name).append(value)
    else:
        setattr(message, field.name, value)


@pytest.mark.parametrize("verb", sorted(VERBS))
@given(data=st.data())
@QUIET
def test_odd_values_in_any_field_are_answered_or_refused(
    doors: dict[Listener, grpc.Channel], verb: str, data: st.DataObject
):
    answer_to(doors[VERBS[verb].listener], verb, message_of(VERBS[verb].request, data).SerializeToString())


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_a_field_that_licd_does_not_know_is_refused_at_any_depth(doors: dict[Listener, grpc.Channel], verb: str):
    """What is not understood is not granted: it may have been the limit that mattered."""
    unknown = b"\xfa\x7f\x01x"
    fields = [field for field in VERBS[verb].request.DESCRIPTOR.fields if field.message_type is not None]
    requests = [unknown, *(bytes([field.number << 3 | 2, len(unknown)]) + unknown for field in fields)]
    for raw in requests:
        assert answer_to(doors[VERBS[verb].listener], verb, raw) == "INVALID"


def test_it_still_serves_after_all_that(target_daemon: Daemon, doors: dict[Listener, grpc.Channel]):
    for channel in doors.values():
        answer = health_stub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    assert call(doors[Listener.OPERATOR], STATUS, status_service_pb2.GetStatusRequest()).impediments == []
    assert call(doors[Listener.CUSTOMER], "SessionService.CheckLicence", session_service_pb2.CheckLicenceRequest())


@pytest.mark.parametrize("length", [100, 5_000, 200_000])
def test_an_error_is_short_however_long_the_question_was(office: Office, length: int):
    """What does not fit into a header arrives as another error altogether."""
    with pytest.raises(NotFound) as refused:
        office.alice.licence_of("é" * (length // 2))
    assert len(str(refused.value)) < 1_300
