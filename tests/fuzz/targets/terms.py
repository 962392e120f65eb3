"""Terms, operations and errors as messages: what is not understood is refused, what is understood reads back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from google.protobuf.message import DecodeError
from google.rpc import status_pb2

from licd.core.errors import Invalid, LicdError
from licd.core.terms import (
    GRACE_CEILING,
    PERMIT_CEILING,
    TERM_CEILING,
    Terms,
    TermsInvalid,
    check_terms,
    rights_of,
    widened,
)
from licd.v1 import session_pb2
from licd.v1.licence_pb2 import LicenceTerms
from licd.wire.errors import from_status, to_status
from licd.wire.session import acquisition_from_message, operations_from_messages
from licd.wire.terms import terms_from_payload, terms_payload
from tests.cli import samples
from tests.client import fake_licd
from tests.fuzz.mutation import of_message
from tests.fuzz.target import Part, Target, promise, refused_with

BASE: Final = rights_of(fake_licd.terms())


def check_terms_payload(data: bytes) -> None:
    """Terms that are accepted have bounds, and say the same when written again."""
    with refused_with(TermsInvalid):
        terms = terms_from_payload(data)
        _check_nothing_left_out(data)
        _check_reads_back(terms)
        check_terms(terms)
        rights = rights_of(terms)
        promise(0 < rights.not_after - rights.not_before <= TERM_CEILING, "a licence without an end")
        promise(0 < rights.length <= PERMIT_CEILING, "a permit without an end")
        promise(0 <= rights.grace <= GRACE_CEILING, "grace without an end")
        promise(rights.cap >= 0, "a cap below nothing")
        promise(not widened(rights, rights), "terms are wider than themselves")
        widened(BASE, rights)


def _check_nothing_left_out(data: bytes) -> None:
    message = LicenceTerms.FromString(data)
    size = message.ByteSize()
    message.DiscardUnknownFields()
    promise(message.ByteSize() == size, "terms were accepted with a field that nobody understood")


def _check_reads_back(terms: Terms) -> None:
    again = terms_from_payload(terms_payload(terms))
    promise(again == replace(terms), "terms read back as others")


def check_operations(data: bytes) -> None:
    """Operations and acquisitions are read, or refused naming a field."""
    try:
        link = session_pb2.Link.FromString(data)
    except DecodeError:
        return
    try:
        read = operations_from_messages(link.operations)
        promise(len(read) == len(link.operations), "an operation was left out")
        for each in link.operations:
            acquisition_from_message(each.acquire, "acquisition")
    except Invalid as error:
        promise(error.field, "it does not say which field is wrong")


def check_status(data: bytes) -> None:
    """Any status that somebody on the way may send is an error of the family, and can be sent on."""
    try:
        status = status_pb2.Status.FromString(data)
    except DecodeError:
        return
    error = from_status(status)
    promise(isinstance(error, LicdError), "an error outside of the family")
    promise(len(to_status(error).SerializeToString()) < 8192, "an error that fits in no header")


def links() -> tuple[bytes, ...]:
    claim = session_pb2.RegionClaim(region="NO", basis=1)  # type: ignore[arg-type]
    acquire = session_pb2.Acquisition(
        target=b"t" * 32,
        regions=[claim],
        purpose="sar:search-and-rescue",
        offence="example:fraud",
        authorisation=session_pb2.Authorisation(reference="A-1", expires_at_ms=fake_licd.NOW),
    )
    operations = [session_pb2.Operation(acquire=acquire), session_pb2.Operation(release=session_pb2.Release(lease=1))]
    return (session_pb2.Link(system=fake_licd.SYSTEM, sequence=1, operations=operations).SerializeToString(),)


def statuses() -> tuple[bytes, ...]:
    errors = (Invalid("no", field="x"), LicdError("failed"), LicdError("later", retry_after=1500))
    return tuple(to_status(each).SerializeToString() for each in errors)


@contextmanager
def opened() -> Iterator[Target]:
    """The target."""
    payloads = (terms_payload(fake_licd.terms()), samples.terms().SerializeToString())
    yield Target(
        "terms",
        (
            Part("terms", payloads, check_terms_payload, of_message(LicenceTerms)),
            Part("operations", links(), check_operations, of_message(session_pb2.Link)),
            Part("status", statuses(), check_status, of_message(status_pb2.Status)),
        ),
        covers=("licd/wire", "licd/core/terms.py", "licd/core/regions.py"),
    )
