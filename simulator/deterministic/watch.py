"""Listens at both ends of one system's connections, and tells the judge in true time."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from licd.client.transport import Method
from licd.v1 import session_pb2
from licd.v1 import session_service_pb2 as pb
from licd.v1.envelope_pb2 import Envelope
from simulator.deterministic.judge import Judge


class Watch:
    """One machine's. It reads along and changes nothing."""

    def __init__(self, machine: str, judge: Judge) -> None:
        self.machine: Final = machine
        self.system = ""
        self._life = 0
        self._alive = False
        self._judge: Final = judge

    def enrolled(self, system: str) -> None:
        """The machine has a system now."""
        self.system = system

    def born(self, life: int) -> None:
        """A process has started."""
        self._life, self._alive = life, True
        self._judge.born(self.machine)

    def died(self) -> None:
        """The process has ended; what comes now reaches nobody."""
        self._alive = False

    def acts(self, target: bytes) -> None:
        """The program acts on a target at this moment."""
        if self._alive:
            self._judge.acted(self.machine, self.system, target)

    # ------------------------------------------------------------------------------------------- calls
    def asks(self, method: Method, request: bytes) -> None:
        """A request leaves."""
        match method:
            case Method.OPEN_SESSION:
                self._link_leaves(pb.OpenSessionRequest.FromString(request).link)
            case Method.ACQUIRE_LEASE:
                self._judge.sent(self.system, pb.AcquireLeaseRequest.FromString(request).request_id.encode())
            case _:
                pass

    def said(self, method: Method, request: bytes, response: bytes) -> None:
        """A response leaves licd."""
        match method:
            case Method.OPEN_SESSION:
                self._reply_leaves(pb.OpenSessionResponse.FromString(response).reply)
            case Method.ACQUIRE_LEASE:
                answer = pb.AcquireLeaseResponse.FromString(response)
                if answer.HasField("permit"):
                    self._reply_leaves(answer.permit)
            case _:
                pass

    def told(self, method: Method, response: bytes) -> None:
        """A response comes."""
        match method:
            case Method.OPEN_SESSION:
                opened = pb.OpenSessionResponse.FromString(response)
                for directive in opened.directives:
                    self._ordered(directive)
                self._answered(opened.reply)
            case Method.ACQUIRE_LEASE:
                answer = pb.AcquireLeaseResponse.FromString(response)
                if answer.HasField("permit"):
                    self._answered(answer.permit)
            case _:
                pass

    # ------------------------------------------------------------------------------------------ frames
    def frame_up(self, frame: bytes) -> None:
        """A frame leaves."""
        request = pb.SessionRequest.FromString(frame)
        if request.HasField("link"):
            self._link_leaves(request.link)

    def frame_said(self, frame: bytes) -> None:
        """A frame leaves licd."""
        response = pb.SessionResponse.FromString(frame)
        if response.HasField("reply"):
            self._reply_leaves(response.reply)

    def frame_told(self, frame: bytes) -> None:
        """A frame comes."""
        response = pb.SessionResponse.FromString(frame)
        if response.HasField("reply"):
            self._answered(response.reply)
        elif response.HasField("directive"):
            self._ordered(response.directive)

    # ------------------------------------------------------------------------------------------- judge
    def _link_leaves(self, link: Envelope) -> None:
        self._judge.sent(self.system, sha256(link.payload).digest())

    def _reply_leaves(self, reply: Envelope) -> None:
        if reply.payload_type.endswith(".permit.v1+proto"):
            self._judge.permitted(self.system, session_pb2.Permit.FromString(reply.payload))
        else:
            self._judge.refused(self.system, session_pb2.Refusal.FromString(reply.payload))

    def _answered(self, reply: Envelope) -> None:
        if not self._alive:
            return
        if reply.payload_type.endswith(".denial.v1+proto"):
            refusal = session_pb2.Refusal.FromString(reply.payload)
            self._judge.heard_no(self.machine, self.system, refusal.header.epoch)
        else:
            permit = session_pb2.Permit.FromString(reply.payload)
            self._judge.heard_permit(self.machine, permit.header.epoch)

    def _ordered(self, envelope: Envelope) -> None:
        if not self._alive:
            return
        directive = session_pb2.Directive.FromString(envelope.payload)
        self._judge.ordered(self.machine, f"{self.machine}/{self._life}", directive)
