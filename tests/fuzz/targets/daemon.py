"""The daemon behind dispatch: links, acknowledgements and every RPC of the protocol.

No bytes make licd fail; no link that its system did not sign is answered as one; no customer can stop licd.
"""

from __future__ import annotations

import random  # noqa: TID251 -- seeded
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from google.protobuf.message import DecodeError, Message
from structlog.testing import capture_logs

from licd.core.errors import Code, Forked, LicdError
from licd.core.time import SECOND
from licd.keys.envelope import seal
from licd.keys.identity import OperatorIdentity, SystemIdentity
from licd.keys.kinds import Kind
from licd.keys.pem_files import certificates_from_pem
from licd.keys.pki import key_thumbprint
from licd.server.caller import Caller, Listener
from licd.server.incoming import parsed
from licd.server.methods import Method
from licd.v1 import session_pb2, session_service_pb2
from licd.v1.envelope_pb2 import Envelope
from tests.daemon import VERBS, Daemon, Papers, make_state, new_id, serving, set_limits
from tests.fuzz.mutation import of_message
from tests.fuzz.target import Mutator, Part, Target, Violation, promise
from tests.fuzz.targets.requests import SAMPLE_ID, samples_of
from tests.fuzz.targets.seals import payload_inside
from tests.office import Office
from tests.wired_system import System, acquire, joined, licence_of, release

CAP: Final = 4
LENGTH: Final = 20 * SECOND
GRACE: Final = 60 * SECOND
NAMES: Final = tuple(sorted(VERBS))
STREAM: Final = VERBS["SessionService.Session"]
OPEN: Final = VERBS["SessionService.OpenSession"]
PLENTY: Final = {"requests_at_once": 10**9, "requests_per_second": 10**6, "enrolments_at_once": 10**9}


class Frames:
    """A stream that brings these frames and keeps what comes back."""

    def __init__(self, *frames: Message) -> None:
        self.coming = list(frames)
        self.sent: list[Any] = []

    async def read(self) -> Message | None:
        return self.coming.pop(0) if self.coming else None

    async def write(self, frame: Message, /) -> None:
        self.sent.append(frame)


class Customer:
    """A system whose next link is signed and stays the same, and one that signs whatever it is told to."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.office = Office(daemon)
        self.honest = joined(self.office)
        self.honest.open(acquire(1))
        self.link = self.honest.link(acquire(2), release(1))
        self.opener = joined(self.office)
        self.opening = self.opener.link(acquire(3), opens=True)
        self.acknowledgement = self.honest.acknowledgement(1, b"never sent")
        self.signed = {each.payload for each in (self.link, self.opening, self.acknowledgement)}
        self.cheat = self.new_cheat()

    def new_cheat(self) -> System:
        system = joined(self.office)
        system.open(acquire(1))
        return system

    def caller(self, papers: Papers, listener: Listener, identity: Any) -> Caller:
        public: Any = certificates_from_pem(papers.chain)[0].public_key()
        return Caller(listener, identity, key_thumbprint(public), "127.0.0.1")

    def of(self, system: System) -> Caller:
        _, customer, _, name = system.name.split("/")
        return self.caller(system.papers, Listener.CUSTOMER, SystemIdentity(customer, name))

    # ---------------------------------------------------------------------------------------------- calls
    def dispatched(self, method: Method, raw: bytes, caller: Caller) -> list[Any]:
        """Everything that comes back. Raises LicdError, never one that says licd failed."""
        dispatch = self.daemon.up.daemon.dispatch
        frames: list[Any] = []

        async def run() -> None:
            request = parsed(method.request, raw)
            if method.takes_stream:
                stream = Frames(request)
                try:
                    await dispatch.stream(method.path, stream, caller)
                finally:
                    frames.extend(stream.sent)
            elif method.gives_stream:
                frames.extend([each async for each in dispatch.feed(method.path, request, caller)])
            else:
                frames.append(await dispatch.call(method.path, request, caller))

        try:
            self.daemon.on_loop(run)
        except LicdError as error:
            promise(error.code is not Code.INTERNAL, f"licd failed: {error.__cause__!r}")
            raise
        finally:
            promise(not self.daemon.up.daemon.impediments(), "a caller has stopped licd")
        return frames

    # --------------------------------------------------------------------------------------------- checks
    def changed_frame(self, data: bytes) -> None:
        """A signed frame that was changed is refused; one that only looks different is what it was."""
        self._changed(STREAM, data, self.honest)

    def changed_opening(self, data: bytes) -> None:
        """The same for the call that opens a session."""
        self._changed(OPEN, data, self.opener)

    def _changed(self, method: Method, data: bytes, system: System) -> None:
        try:
            frames = self.dispatched(method, data, self.of(system))
        except Forked as error:
            raise Violation("a changed frame was taken for a second copy of its system") from error
        except LicdError:
            return
        sent: Any = method.request.FromString(data)
        envelope = sent.acknowledgement if method is STREAM and sent.HasField("acknowledgement") else sent.link
        promise(envelope.payload in self.signed or not envelope.payload, "a changed frame was taken")
        for each in frames:
            if each.HasField("reply"):
                self._check_reply(each.reply, envelope.payload)

    def _check_reply(self, reply: Envelope, payload: bytes) -> None:
        promise(header_of(reply).link == sha256(payload).digest(), "the answer is to another link")
        promise(payload in self.signed, "a link was answered that nobody signed")

    def signed_link(self, data: bytes) -> None:
        """A system may sign what it likes: it gets no more than its licence permits, and hurts itself alone."""
        link = self._fitting(data)
        if link is None:
            return
        frame = session_service_pb2.SessionRequest(link=seal(Kind.LINK, link, self.cheat.signer))
        try:
            sent = self.dispatched(STREAM, frame.SerializeToString(), self.of(self.cheat))
        except Forked:
            self.cheat = self.new_cheat()
            return
        except LicdError:
            return
        for each in sent:
            if each.HasField("reply"):
                self._step(each.reply)

    def _fitting(self, data: bytes) -> bytes | None:
        """Three times of four the link as it has to be, so that what was changed is looked at."""
        if zlib.crc32(data) % 4 == 0 or len(data) > 1 << 16:
            return data
        try:
            link = session_pb2.Link.FromString(data)
        except DecodeError:
            return data
        link.system, link.session = self.cheat.name, self.cheat.session
        link.sequence, link.previous = self.cheat.sequence + 1, self.cheat.previous
        if link.WhichOneof("action") != "heartbeat":
            link.heartbeat.SetInParent()
        return link.SerializeToString()

    def _step(self, reply: Envelope) -> None:
        header = header_of(reply)
        self.cheat.sequence, self.cheat.previous = header.sequence, sha256(reply.payload).digest()
        self.cheat.session = header.session
        if reply.payload_type != Kind.PERMIT.payload_type:
            return
        permit = session_pb2.Permit.FromString(reply.payload)
        promise(len(permit.leases) <= CAP, "more targets than the licence permits")
        promise(len(set(permit.leases)) == len(permit.leases), "one lease twice")
        for end in permit.hard_ends_ms:
            promise(end <= header.decided_ms + LENGTH + GRACE, "a permit longer than the licence says")

    def request(self, data: bytes) -> None:
        """Any RPC with any request is answered, or refused by name."""
        if not data:
            return
        method = VERBS[NAMES[data[0] % len(NAMES)]]
        raw = data[1:].replace(SAMPLE_ID.encode(), new_id().encode())
        if method.verb == "KeyService.DisableOperator" and b"alice" in raw:
            return  # who asks has to go on asking
        callers = {
            Listener.OPERATOR: self.caller(self.office.alice.papers, Listener.OPERATOR, OperatorIdentity("alice")),
            Listener.CUSTOMER: self.of(self.honest),
            Listener.ENROLMENT: Caller(Listener.ENROLMENT, None, b"", "127.0.0.1"),
        }
        try:
            self.dispatched(method, raw, callers[method.listener])
        except LicdError:
            return


def header_of(reply: Envelope) -> session_pb2.ReplyHeader:
    """What a permit and a refusal both open with."""
    if reply.payload_type == Kind.PERMIT.payload_type:
        return session_pb2.Permit.FromString(reply.payload).header
    return session_pb2.Refusal.FromString(reply.payload).header


def one_of_all(samples: Sequence[bytes]) -> Mutator:
    """The first byte says which RPC the rest is a request of."""
    inner = [of_message(VERBS[name].request, payload_inside) for name in NAMES]

    def mutate(data: bytes, chance: random.Random, given: Sequence[bytes]) -> bytes:
        if not data or not chance.randrange(10):
            return chance.choice(samples)
        at = data[0] % len(NAMES)
        return bytes([at]) + inner[at](data[1:], chance, [each[1:] for each in samples if each[0] == at])

    return mutate


def frames_of(customer: Customer) -> tuple[bytes, ...]:
    request = session_service_pb2.SessionRequest
    made = (
        request(link=customer.link),
        request(link=customer.link, last_reply=customer.honest.last_reply),
        request(acknowledgement=customer.acknowledgement),
    )
    return tuple(each.SerializeToString() for each in made)


def links_of(customer: Customer) -> tuple[bytes, ...]:
    cheat = customer.cheat
    made = (cheat.link(acquire(2)), cheat.link(release(cheat.held[0])), cheat.link(acquire(4), acquire(5), acquire(6)))
    return tuple(each.payload for each in made)


@contextmanager
def opened() -> Iterator[Target]:
    """The target: a daemon of its own, for as long as the block lasts."""
    with tempfile.TemporaryDirectory() as folder, capture_logs():
        state = make_state(Path(folder) / "state")
        set_limits(state.root, drain_seconds=0, **PLENTY)
        with serving(state) as daemon:
            customer = Customer(daemon)
            opening = session_service_pb2.OpenSessionRequest(link=customer.opening)
            licence = licence_of(customer.office, customer.honest)
            requests = tuple(
                bytes([at]) + each
                for at, name in enumerate(NAMES)
                for each in samples_of(name, customer.honest, licence)
            )
            of_frame = of_message(session_service_pb2.SessionRequest, payload_inside)
            of_opening = of_message(session_service_pb2.OpenSessionRequest, payload_inside)
            yield Target(
                "daemon",
                (
                    Part("changed frame", frames_of(customer), customer.changed_frame, of_frame),
                    Part("changed opening", (opening.SerializeToString(),), customer.changed_opening, of_opening),
                    Part("signed link", links_of(customer), customer.signed_link, of_message(session_pb2.Link)),
                    Part("request", requests, customer.request, one_of_all(requests)),
                ),
                covers=("licd/server/services", "licd/ledger", "licd/core"),
            )
