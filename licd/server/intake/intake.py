"""The intake: takes allegations from anybody, and tells who comes back with a tracking code what there is for him.

Filing reads no row of customers, licences, leases or cases, and no earlier allegation: the same is done for every
filing, so that neither words nor time tell whether somebody who is named in one is a customer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final

import structlog

from licd.core.allegation import Allegation, Deadlines, Side, visible_answer
from licd.core.errors import Behind, Conflict, LicdError, OverQuota
from licd.core.time import Instant, Millis
from licd.keys.blinding import BlindingKey
from licd.keys.letter import Part, open_letter, seal_letter
from licd.keys.tracking_code import TrackingCode, new_code
from licd.ledger.allegations import by_tracking, messages_of
from licd.ledger.database import FAILURES, Connection
from licd.ledger.verbs.allegations import CommitNumberKey, FileAllegation, WriteMessage
from licd.policy.allegations import AllegationPolicy
from licd.server.intake.form import Filing, Following, FormInvalid, read_filing, read_following
from licd.server.intake.http import Answer, Request
from licd.server.intake.pages import (
    JSON,
    Shown,
    Standing,
    day,
    filed_page,
    first_page,
    json_answer,
    refusal,
    standing_json,
    standing_page,
)
from licd.server.quota import Quota
from licd.server.reader import Reader
from licd.server.writer import Writer
from licd.v1.allegation_pb2 import AllegationBody, ReporterIdentity

logger = structlog.get_logger("licd.intake")

ANYBODY: Final = "anybody"
FULL: Final = "There are as many messages as one report can hold. Report anew, and say that you did before."


class Intake:
    """What is behind the public port."""

    def __init__(
        self,
        *,
        writer: Writer,
        reader: Reader,
        policy: AllegationPolicy,
        office_key: bytes,
        blinding: BlindingKey,
        quota: Quota,
        random: Callable[[int], bytes],
        wall: Callable[[], Instant],
        boot: Callable[[], Millis],
        count: Callable[[str], None],
    ) -> None:
        """Count is told what became of each request, in one of the words of licd.server.allegation_metrics."""
        self._writer: Final = writer
        self._reader: Final = reader
        self._policy: Final = policy
        self._office_key: Final = office_key
        self._blinding: Final = blinding
        self._quota: Final = quota
        self._random: Final = random
        self._wall: Final = wall
        self._boot: Final = boot
        self._count: Final = count
        self._committed = False

    async def commit(self) -> None:
        """Says in the log which key numbers are blinded with. Raises Conflict when the log says another."""
        if not self._committed:
            await self._writer.execute(CommitNumberKey(self._blinding.commitment))
            self._committed = True

    async def answer(self, request: Request) -> Answer:
        """Whatever anybody asks."""
        wants_json = JSON in request.headers.get("accept", "")
        try:
            found = await self._routed(request, wants_json=wants_json)
        except FormInvalid as invalid:
            self._count("invalid")
            return _invalid(invalid, wants_json=wants_json)
        except OverQuota as over:
            self._count("over_quota")
            refused = refusal(HTTPStatus.TOO_MANY_REQUESTS)
            after = str(max(1, -(-over.retry_after // 1000)))
            return Answer(refused.status, refused.content_type, refused.body, {**refused.headers, "retry-after": after})
        except (LicdError, *FAILURES) as error:
            self._count("unavailable")
            logger.warning("the intake could not keep what was sent to it", kind=type(error).__name__)
            return refusal(HTTPStatus.SERVICE_UNAVAILABLE)
        return found

    async def _routed(self, request: Request, *, wants_json: bool) -> Answer:
        path = request.target.partition("?")[0]
        kind = request.headers.get("content-type", "")
        if request.method != "GET":
            self._quota.take(ANYBODY, self._boot())
        match request.method, path:
            case "GET", "/":
                self._count("shown")
                return first_page()
            case "POST", "/allegations":
                return await self._file(read_filing(kind, request.body), wants_json=wants_json)
            case "POST", "/allegation":
                return await self._follow(read_following(kind, request.body), wants_json=wants_json)
            case _, ("/" | "/allegations" | "/allegation"):
                self._count("invalid")
                allowed = "GET" if path == "/" else "POST"
                refused = refusal(HTTPStatus.METHOD_NOT_ALLOWED)
                return Answer(refused.status, refused.content_type, refused.body, {**refused.headers, "allow": allowed})
            case _:
                self._count("invalid")
                return refusal(HTTPStatus.NOT_FOUND)

    # filing

    async def _file(self, filing: Filing, *, wants_json: bool) -> Answer:
        await self.commit()
        code = new_code(self._random)
        made = await self._writer.execute(self._sealed(filing, code, self._policy.deadlines))
        self._count("filed")
        if wants_json:
            told = {"tracking_code": code.shown, "acknowledge_by": day(made.acknowledge_by)}
            return json_answer({**told, "answer_by": day(made.answer_by)}, HTTPStatus.CREATED)
        return filed_page(code.shown, made.acknowledge_by, made.answer_by)

    def _sealed(self, filing: Filing, code: TrackingCode, deadlines: Deadlines) -> FileAllegation:
        body = AllegationBody(
            account=filing.account, about=filing.about, period=filing.period, number=filing.number
        ).SerializeToString()
        identity = ReporterIdentity(name=filing.name, contact=filing.contact).SerializeToString()
        tracking = code.tracking
        return FileAllegation(
            tracking=tracking,
            reporter_key=code.public_key,
            office_key=self._office_key,
            number=self._blinding.blind(filing.number) if filing.number else b"",
            body=seal_letter(self._office_key, Part.BODY, tracking, body),
            identity=seal_letter(self._office_key, Part.IDENTITY, tracking, identity) if identity else b"",
            deadlines=deadlines,
        )

    # coming back

    async def _follow(self, following: Following, *, wants_json: bool) -> Answer:
        code, problem = following.code, ""
        found = await self._reader.run(lambda connection: by_tracking(connection, code.tracking))
        if found is None:
            self._count("unknown_code")
            return refusal(HTTPStatus.NOT_FOUND)
        if following.message:
            problem = await self._write(found, following)
        standing = await self._reader.run(lambda connection: self._standing(connection, code))
        self._count("followed")
        if wants_json:
            return json_answer({**standing_json(standing), **({"problem": problem} if problem else {})})
        return standing_page(code.shown, standing, problem)

    async def _write(self, found: Allegation, following: Following) -> str:
        code, content = following.code, following.message.encode()
        command = WriteMessage(
            allegation=found.id,
            side=Side.REPORTER,
            for_office=seal_letter(found.office_key, Part.MESSAGE_TO_OFFICE, code.tracking, content),
            for_reporter=seal_letter(code.public_key, Part.MESSAGE_TO_REPORTER, code.tracking, content),
            actor="",
        )
        try:
            await self._writer.execute(command)
        except Conflict:
            return FULL
        self._count("messaged")
        return ""

    def _standing(self, connection: Connection, code: TrackingCode) -> Standing:
        found = by_tracking(connection, code.tracking)
        if found is None:
            raise Behind("an allegation that was there is there no more")
        messages = [
            Shown(
                mine=each.side is Side.REPORTER,
                text=open_letter(code.key, Part.MESSAGE_TO_REPORTER, code.tracking, each.for_reporter).decode(),
                written_at=each.written_at,
            )
            for each in messages_of(connection, found.id)
        ]
        answer = visible_answer(found, self._wall())
        return Standing(
            filed_at=found.filed_at,
            acknowledge_by=found.acknowledge_by,
            acknowledged=bool(found.acknowledged_at),
            answer_by=found.answer_by,
            answer=_words(self._policy.answers, answer),
            messages=messages,
        )


def _words(answers: Mapping[str, str], code: str) -> str:
    """What policy says now; an answer whose words are gone has been given none the less."""
    return answers.get(code, "This has been answered; write to us for the words.") if code else ""


def _invalid(invalid: FormInvalid, *, wants_json: bool) -> Answer:
    if wants_json:
        return json_answer({"problem": invalid.problem}, HTTPStatus.BAD_REQUEST)
    return first_page(invalid.problem, invalid.values, HTTPStatus.BAD_REQUEST)
