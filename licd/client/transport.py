"""How bytes get to licd and back: a seam with two implementations, gRPC and the simulator's own.

Bytes, not messages, cross it: whatever comes back is the machine's to judge.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from licd.core.time import Millis


class Method(StrEnum):
    """The calls that a system makes, by their gRPC paths."""

    ENROL = "/licd.v1.EnrolmentService/Enrol"
    GET_TRUST_BUNDLE = "/licd.v1.EnrolmentService/GetTrustBundle"
    OPEN_SESSION = "/licd.v1.SessionService/OpenSession"
    SESSION = "/licd.v1.SessionService/Session"
    ACQUIRE_LEASE = "/licd.v1.SessionService/AcquireLease"
    RELEASE_LEASE = "/licd.v1.SessionService/ReleaseLease"
    CHECK_LICENCE = "/licd.v1.SessionService/CheckLicence"
    RENEW_CERTIFICATE = "/licd.v1.SessionService/RenewCertificate"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a system shows on the customer listener, and whom it accepts there. All PEM."""

    authorities: str
    certificate_chain: str
    private_key: str = field(repr=False)


class Stream(Protocol):
    """An open Session stream. One task receives; any may send."""

    async def send(self, frame: bytes) -> None:
        """Hand a SessionRequest over. Raises NoAnswer, LicdError."""
        ...

    async def receive(self) -> bytes | None:
        """Return the next SessionResponse; None when licd ended the stream. Raises NoAnswer, LicdError."""
        ...

    async def close(self) -> None:
        """End the stream. Never raises."""
        ...


class Transport(Protocol):
    """A way to one listener of licd. Connects by itself when something is asked of it."""

    async def call(self, method: Method, request: bytes, within: Millis) -> bytes:
        """Make a unary call. Raises NoAnswer when nothing came back within this time, else LicdError."""
        ...

    async def stream(self) -> Stream:
        """Open a Session stream. Raises NoAnswer, LicdError."""
        ...

    async def close(self, within: Millis = 0) -> None:
        """Give up the connection; what is under way on it may end, but takes no longer than this. Never raises."""
        ...


class Network(Protocol):
    """Makes transports to the two listeners that a system talks to."""

    def enrolment(self, address: str, authority: str) -> Transport:
        """The enrolment listener: server TLS, this one authority (PEM) and no other."""
        ...

    def customers(self, address: str, credentials: Credentials) -> Transport:
        """The customer listener: TLS both ways."""
        ...
