"""The error family ⇄ gRPC status: every member, both ways, also through a real call's trailing metadata."""

from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status
from hypothesis import given
from hypothesis import strategies as st

from licd.core import errors
from licd.core.errors import BY_CODE, Code, LicdError
from licd.wire.errors import DOMAIN, STATUS, from_rpc_error, from_status, to_status

FAMILY: list[type[LicdError]] = [LicdError, *LicdError.__subclasses__()]


class FailedCall(grpc.RpcError, grpc.Call):
    """What a client holds in its hands after a call failed."""

    def __init__(self, status: status_pb2.Status | None, code: grpc.StatusCode = grpc.StatusCode.UNKNOWN) -> None:
        rpc: Any = rpc_status.to_status(status) if status is not None else None
        self._code: grpc.StatusCode = rpc.code if rpc else code
        self._details = rpc.details if rpc else "in words"
        self._metadata = rpc.trailing_metadata if rpc else ()

    def code(self):
        return self._code

    def details(self):
        return self._details

    def trailing_metadata(self):
        return self._metadata

    def initial_metadata(self):
        return ()

    def is_active(self):
        return False

    def time_remaining(self):
        return None

    def cancel(self):
        return False

    def add_callback(self, callback):
        return False


def test_every_code_has_one_class_and_one_status():
    assert {kind.code for kind in FAMILY} == set(Code) == set(STATUS) == set(BY_CODE)
    assert len(FAMILY) == len(Code)
    listed = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, LicdError)}
    assert listed == set(FAMILY)


@pytest.mark.parametrize("kind", FAMILY)
@pytest.mark.parametrize("field", ["", "terms.not_after"])
@pytest.mark.parametrize("retry_after", [0, 1, 999, 61_001])
def test_every_error_comes_back_as_it_went(kind: type[LicdError], field: str, retry_after: int):
    error = kind("it did not work", field=field, retry_after=retry_after)
    back = from_status(to_status(error))
    assert type(back) is kind
    assert (back.detail, back.field, back.retry_after) == ("it did not work", field, retry_after)
    assert str(back) == str(error)


@pytest.mark.parametrize("kind", FAMILY)
def test_every_error_comes_back_through_a_call(kind: type[LicdError]):
    call = FailedCall(to_status(kind("it did not work", field="link", retry_after=5)))
    back = from_rpc_error(call)
    assert type(back) is kind
    assert (call.code(), back.field, back.retry_after) == (STATUS[kind.code], "link", 5)


@given(st.sampled_from(FAMILY), st.text(max_size=200), st.text(min_size=1, max_size=40), st.integers(0, 10**9))
def test_no_short_text_is_lost_on_the_way(kind: type[LicdError], detail: str, field: str, retry_after: int):
    back = from_status(to_status(kind(detail, field=field, retry_after=retry_after)))
    assert (back.detail, back.field, back.retry_after) == (detail, field, retry_after)


def test_a_long_text_is_cut_so_that_the_answer_still_arrives():
    # Errors travel in headers, of which a peer takes 8 KiB.
    status = to_status(errors.Invalid("ü" * 100_000, field="terms"))
    assert len(status.SerializeToString()) < 6_000
    assert type(from_status(status)) is errors.Invalid


def test_a_status_has_one_error_info_and_one_of_each_detail():
    status = to_status(errors.Invalid("no", field="a", retry_after=1))
    names = [detail.TypeName() for detail in status.details]
    assert names == ["google.rpc.ErrorInfo", "google.rpc.BadRequest", "google.rpc.RetryInfo"]
    info = error_details_pb2.ErrorInfo()
    status.details[0].Unpack(info)
    assert (info.reason, info.domain) == ("INVALID", DOMAIN)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (code_pb2.INVALID_ARGUMENT, errors.Invalid),
        (code_pb2.NOT_FOUND, errors.NotFound),
        (code_pb2.UNAUTHENTICATED, errors.Unauthenticated),
        (code_pb2.PERMISSION_DENIED, errors.Forbidden),
        (code_pb2.UNIMPLEMENTED, errors.Forbidden),
        (code_pb2.RESOURCE_EXHAUSTED, errors.OverQuota),
        (code_pb2.UNKNOWN, LicdError),
        (code_pb2.DATA_LOSS, LicdError),
        (code_pb2.INTERNAL, LicdError),
    ],
)
def test_a_status_that_licd_did_not_make_is_told_by_its_code(code: int, kind: type[LicdError]):
    back = from_status(status_pb2.Status(code=code, message="in words"))
    assert type(back) is kind
    assert back.detail == "in words"


@pytest.mark.parametrize(("reason", "domain"), [("INVENTED", DOMAIN), ("INVALID", "elsewhere"), ("", DOMAIN)])
def test_a_reason_that_is_not_licds_is_not_taken_for_one(reason: str, domain: str):
    packed = any_pb2.Any()
    packed.Pack(error_details_pb2.ErrorInfo(reason=reason, domain=domain))
    status = status_pb2.Status(code=code_pb2.NOT_FOUND, message="in words", details=[packed])
    assert type(from_status(status)) is errors.NotFound


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED]
)
def test_a_call_that_never_got_an_answer_is_silence(code: grpc.StatusCode):
    assert from_rpc_error(FailedCall(None, code)) is None


@pytest.mark.parametrize("code", [grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL, grpc.StatusCode.NOT_FOUND])
def test_a_call_that_was_refused_on_the_way_is_an_error(code: grpc.StatusCode):
    back = from_rpc_error(FailedCall(None, code))
    assert back is not None
    assert back.detail == "in words"


@pytest.mark.parametrize("value", [b"\x0a\x05cut", b"\xff\xff\xff", b"\x0a\x02\xff\xfe"])
@pytest.mark.parametrize("kind", ["ErrorInfo", "BadRequest", "RetryInfo"])
def test_a_detail_that_cannot_be_read_says_nothing(kind: str, value: bytes):
    """Whoever answers in licd's place, a proxy or an impostor, must not be able to crash a client."""
    detail = any_pb2.Any(type_url=f"type.googleapis.com/google.rpc.{kind}", value=value)
    back = from_status(status_pb2.Status(code=code_pb2.NOT_FOUND, message="in words", details=[detail]))
    assert type(back) is errors.NotFound
    assert (back.detail, back.field, back.retry_after) == ("in words", "", 0)


def test_a_status_in_the_trailer_that_cannot_be_read_is_told_by_its_code():
    call = FailedCall(to_status(errors.Invalid("no")))
    call._metadata = (("grpc-status-details-bin", b"\xff\xff\xff"),)
    back = from_rpc_error(call)
    assert type(back) is errors.Invalid
    assert back.detail == "no"


def test_what_is_no_call_is_silence():
    assert from_rpc_error(grpc.RpcError()) is None


def test_what_clients_may_retry_is_unavailable_and_nothing_else_is():
    retried = {code for code, status in STATUS.items() if status is grpc.StatusCode.UNAVAILABLE}
    assert retried == {
        Code.CLOCK_DOUBTED,
        Code.DISK_FULL,
        Code.HELD,
        Code.BEHIND,
        Code.SHUTTING_DOWN,
        Code.DATABASE,
    }
