"""A command that waits for persons: read from the very bytes that are signed, and from nothing beside them."""

from dataclasses import dataclass
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from licd.cli.failure import Exit, Stopped
from licd.cli.methods import path_of, request_type
from licd.keys.envelope import seal
from licd.keys.kinds import Kind
from licd.keys.payload import refuse_unknown_fields
from licd.keys.seal_reasons import SealInvalid
from licd.keys.signer import Signer
from licd.v1.envelope_pb2 import Envelope
from licd.v1.operator_pb2 import Approval
from licd.v1.session_pb2 import OperatorCommand

M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class ReadCommand:
    """What an approval would do. `payload` is what is signed; `command` and `request` are what it says."""

    payload: bytes
    command: OperatorCommand
    request: Message


def read_command(approval: Approval) -> ReadCommand:
    """Reads the command of an approval. Raises Stopped(UNVERIFIED) for what cannot be understood to the last field."""
    command = _command_in(approval)
    kind = request_type(command.method)
    if kind is None:
        raise _unfit(approval, f"this licctl does not know the method {command.method!r}")
    if approval.method not in {"", command.method}:
        raise _unfit(approval, f"licd says that it is {approval.method}, its bytes say {command.method}")
    return ReadCommand(approval.command.payload, command, _read(approval, kind, command.request))


def refuse_other_request(approval: Approval, sent: Message, caller: str) -> ReadCommand:
    """Reads the command that licd made of `sent`; raises Stopped(UNVERIFIED) unless it is that, byte for byte."""
    command = _command_in(approval)
    if command.method != path_of(sent):
        raise _unfit(approval, f"asked for was {path_of(sent)}, its bytes say {command.method}")
    if command.request != sent.SerializeToString():
        raise _unfit(approval, "its request is not the one that was sent")
    if command.requested_by != caller:
        raise _unfit(approval, f"its bytes say that {command.requested_by!r} asked, not {caller!r}")
    return read_command(approval)


def read_result(approval: Approval, kind: type[M]) -> M:
    """What carrying out the approval gave. Raises Stopped(UNVERIFIED) for bytes that are no such message."""
    try:
        return kind.FromString(approval.result)
    except DecodeError as error:
        why = f"what it gave is no {kind.DESCRIPTOR.name}"
        raise Stopped(Exit.UNVERIFIED, f"approval {approval.approval}: it was carried out, but {why}") from error


def signed(found: ReadCommand, signer: Signer) -> Envelope:
    """The same payload bytes under the signature of one person."""
    return seal(Kind.OPERATOR_COMMAND, found.payload, signer)


def _command_in(approval: Approval) -> OperatorCommand:
    if approval.command.payload_type != Kind.OPERATOR_COMMAND.payload_type:
        raise _unfit(approval, f"its bytes are said to be {approval.command.payload_type!r}")
    command = _read(approval, OperatorCommand, approval.command.payload)
    if command.approval != approval.approval:
        raise _unfit(approval, f"its bytes are those of approval {command.approval!r}")
    return command


def _read(approval: Approval, kind: type[M], data: bytes) -> M:
    try:
        message = kind.FromString(data)
        refuse_unknown_fields(message)
    except DecodeError as error:
        raise _unfit(approval, f"its bytes are no {kind.DESCRIPTOR.name}") from error
    except SealInvalid as error:
        raise _unfit(approval, str(error)) from error
    return message


def _unfit(approval: Approval, why: str) -> Stopped:
    return Stopped(Exit.UNVERIFIED, f"approval {approval.approval}: {why}; nothing was signed")
