"""What strangers send to the intake: forms and requests. Each is refused with a status, or taken as it was meant."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

from licd.keys.blinding import NumberInvalid, e164
from licd.keys.letter import LetterRefused, open_letter, seal_letter
from licd.keys.letter import Part as LetterPart
from licd.keys.tracking_code import LENGTH, TrackingCodeInvalid, new_code, read_code
from licd.server.intake.form import FILING, FOLLOWING, FORM_TYPE, FormInvalid, fields_of, read_filing, read_following
from licd.server.intake.http import BODY_BYTES, Answer, HttpListener, Request
from licd.server.intake.pages import refusal
from tests.fuzz.mutation import of_text
from tests.fuzz.target import Part, Target, promise

CODE: Final = new_code(lambda size: bytes(range(size)))
FILED: Final = urlencode(
    {"account": "they listened\nto my editor", "number": "+49 151 2345678", "name": "Sabine"}
).encode()
FOLLOWED: Final = urlencode({"code": CODE.shown, "message": "when?"}).encode()
WORDS: Final = (
    "account=", "number=", "code=", "message=", "&", "=", "%00", "%ff", "%C3%A4", "%F0%9F%98%80", "+", "%0D%0A", ";",
    "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", "Expect: 100-continue\r\n", "\r\n\r\n", "HTTP/1.1",
)  # fmt: skip
mutate: Final = of_text(*WORDS)
HEAD: Final = f"POST /allegations HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM_TYPE}\r\n".encode()


def _filing(data: bytes) -> None:
    try:
        read_filing(FORM_TYPE, data)
        found = fields_of(FORM_TYPE, data, FILING)
    except FormInvalid as invalid:
        promise(set(invalid.values) <= set(FILING), "a refusal shows fields that are on the form, and no others")
        return
    promise(found.keys() == FILING.keys(), "every field is there, and no other")
    promise(all(len(text) <= FILING[name] for name, text in found.items()), "no field is longer than it may be")
    promise("\x00" not in "".join(found.values()), "what is taken is text")


def _following(data: bytes) -> None:
    try:
        found = read_following(FORM_TYPE, data)
    except FormInvalid as invalid:
        promise(set(invalid.values) <= set(FOLLOWING), "a refusal shows fields that are on the form, and no others")
        return
    promise(read_code(found.code.shown) == found.code, "a code that was read is read again")


def _code(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    try:
        promise(len(read_code(text).text) == LENGTH, "a code has one length")
    except TrackingCodeInvalid as refused:
        promise(str(refused) == f"a tracking code has {LENGTH} letters and digits", "a refusal repeats nothing")


def _number(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    try:
        found = e164(text)
    except NumberInvalid:
        return
    promise(found[0] == "+" and found[1:].isascii() and found[1:].isdigit(), "a number is + and digits")
    promise(e164(found) == found, "a number has one spelling")


def _letter(data: bytes) -> None:
    try:
        found = open_letter(CODE.key, LetterPart.BODY, CODE.tracking, data)
    except LetterRefused:
        return
    promise(found == b"what happened", "only what was sealed is opened")


class Transport(asyncio.Transport):
    """Where answers go, and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def can_write_eof(self) -> bool:
        return False

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True


async def _exchange(data: bytes) -> tuple[list[Request], bytes]:
    """One connection on which these bytes come, and then nothing more."""
    seen: list[Request] = []

    async def handler(request: Request) -> Answer:
        seen.append(request)
        return refusal(HTTPStatus.NOT_FOUND)

    listener = HttpListener(handler, refusal, 1, 5.0)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(loop=loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    transport = Transport()
    protocol.connection_made(transport)
    reader.feed_data(data)
    reader.feed_eof()
    writer = asyncio.StreamWriter(transport, protocol, reader, loop)
    try:
        with suppress(OSError):  # as the listener does: a stranger has left
            await listener._exchange(reader, writer)
    finally:
        transport.abort()
    return seen, bytes(transport.written)


def _request(runner: asyncio.Runner, data: bytes) -> None:
    seen, written = runner.run(_exchange(data))
    promise(len(seen) <= 1, "one request a connection")
    promise(all(len(each.body) <= BODY_BYTES for each in seen), "a body is bounded")
    promise(not seen or b"HTTP/1.1 404 " in written, "what was asked is answered")
    promise(b" 500 " not in written.partition(b"\r\n")[0], "nothing fails inside")


@contextmanager
def opened() -> Iterator[Target]:
    """The target, with a loop for whole requests."""
    letter = seal_letter(CODE.public_key, LetterPart.BODY, CODE.tracking, b"what happened")
    sized = HEAD + b"Content-Length: %d\r\n\r\n" % len(FILED) + FILED
    chunked = HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"
    waiting = HEAD + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\nabcde"
    with asyncio.Runner() as runner:
        yield Target(
            "intake",
            (
                Part("filing", (FILED,), _filing, mutate),
                Part("following", (FOLLOWED,), _following, mutate),
                Part("tracking code", (CODE.shown.encode(),), _code, mutate),
                Part("number", (b"+49 (151) 234-5678",), _number, mutate),
                Part("letter", (letter,), _letter, mutate),
                Part("request", (sized, chunked, waiting), partial(_request, runner), mutate),
            ),
            covers=("licd/server/intake/form.py", "licd/server/intake/http.py"),
        )
