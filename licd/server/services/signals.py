"""SignalService: what misuse rules have found, and who has seen it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from licd.core.errors import NotFound
from licd.core.misuse import Done
from licd.core.time import HOUR
from licd.ledger import signal_tables
from licd.ledger.queries import Page, listed
from licd.ledger.records import Signal
from licd.ledger.rows import SIGNALS
from licd.ledger.verbs.signals import AcknowledgeSignal
from licd.policy.suspension import SuspensionPolicy
from licd.server.caller import Caller
from licd.server.changes import Changes, checked_text
from licd.server.reader import Reader
from licd.v1 import operator_pb2, signal_pb2
from licd.v1 import signal_service_pb2 as pb


class SignalService:
    """Signals, for those who have to look at them."""

    def __init__(self, reader: Reader, changes: Changes, suspension: SuspensionPolicy) -> None:
        self._reader: Final = reader
        self._changes: Final = changes
        self._suspension: Final = suspension

    async def get_signal(self, request: pb.GetSignalRequest, caller: Caller) -> pb.GetSignalResponse:
        """With its evidence, and the way back from what followed. Raises NotFound."""
        found = await self._reader.run(lambda connection: SIGNALS.get(connection, request.signal))
        if found is None:
            raise NotFound(f"there is no signal {request.signal}", field="signal")
        return pb.GetSignalResponse(signal=self._whole(found))

    async def list_signals(self, request: pb.ListSignalsRequest, caller: Caller) -> pb.ListSignalsResponse:
        """Newest first; those alone that nobody has acknowledged, unless asked otherwise."""
        page = Page.of(request.page.page_size, request.page.page_token)
        column = signal_tables.signal.c
        wanted = [] if request.acknowledged else [column.acknowledged_at == 0]
        if request.licence:
            wanted.append(column.licence == request.licence)
        if request.rule:
            wanted.append(column.rule == request.rule)
        found, token = await self._reader.run(
            lambda connection: listed(connection, SIGNALS, page, wanted, descending=True)
        )
        return pb.ListSignalsResponse(
            signals=[_brief(each) for each in found], page=operator_pb2.PageInfo(next_page_token=token)
        )

    async def acknowledge_signal(
        self, request: pb.AcknowledgeSignalRequest, caller: Caller
    ) -> pb.AcknowledgeSignalResponse:
        """By one person, with what he makes of it. Raises NotFound, Conflict."""
        note = checked_text(request.note, "note")
        command = AcknowledgeSignal(request.signal, note, caller.operator().operator)
        return await self._changes.once(
            request, caller, command, lambda seen: pb.AcknowledgeSignalResponse(signal=self._whole(seen))
        )

    def _whole(self, signal: Signal) -> signal_pb2.Signal:
        message = _message(signal)
        message.way_back.extend(self._way_back(message))
        return message

    def _way_back(self, signal: signal_pb2.Signal) -> Iterator[str]:
        """What it takes to lift the suspension that followed, by the policy in force."""
        if signal.done != Done.SUSPENDED.value:
            return
        reason = self._suspension.suspend.get(signal.code)
        if reason is None:
            yield f"the policy in force knows no reason {signal.code}: what it takes is for its owner to say"
        else:
            demands = reason.demands
            for item in demands.items:
                yield f"{item}: {self._suspension.described(item)}"
            yield f"not before {demands.wait // HOUR} hours have passed"
            yield f"{demands.persons} persons"
        licence = signal.licence or "LICENCE"
        yield f"licctl licence checklist {licence}"
        yield f"licctl licence reinstate {licence} --reason comfort_full --detail WHY"


def _message(signal: Signal) -> signal_pb2.Signal:
    message = signal_pb2.Signal.FromString(signal.body)
    message.signal, message.done = signal.id, signal.done
    message.suspension, message.case = signal.suspension, signal.case
    message.raised_at_ms, message.due_at_ms = signal.raised_at, signal.due_at
    message.acknowledged_by, message.acknowledged_at_ms = signal.acknowledged_by, signal.acknowledged_at
    message.note = signal.note
    return message


def _brief(signal: Signal) -> signal_pb2.Signal:
    message = _message(signal)
    del message.evidence[:]
    return message
