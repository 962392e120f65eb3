"""A command that waits for persons: read from the very bytes that are signed, and from nothing beside them."""

from dataclasses import dataclass

from google.protobuf.message import DecodeError, Message

from licd.cli.failure import Exit, Stopped
from licd.cli.methods import path_of, request_type
from licd.keys.envelope import claimed_kind, seal
from licd.keys.kinds import Kind
from licd.keys.payload import refuse_unknown_fields
from licd.keys.signer import Signer
from licd.v1.envelope_pb2 import Envelope
from licd.v1.operator_pb2 import Approval
from licd.v1.session_pb2 import OperatorCommand


@dataclass(frozen=True, slots=True)
class ReadCommand:
    """What an approval would do. `payload` is what is signed; `command` and `request` are what it says."""

    payload: bytes
    command: OperatorCommand
    request: Message


def read_command(approval: Approval) -> ReadCommand:
    """Reads the command of an approval. Raises Stopped(UNVERIFIED) for what cannot be understood to the last field."""
    envelope = approval.command
    if claimed_kind(envelope) is not Kind.OPERATOR_COMMAND:
        raise _unfit(approval, f"it is a {claimed_kind(envelope)}, not an operator's command")
    try:
        command = OperatorCommand.FromString(envelope.payload)
        refuse_unknown_fields(command)
        kind = request_type(command.method)
        if kind is None:
            raise _unfit(approval, f"this licctl does not know the method {command.method!r}")
        request = kind.FromString(command.request)
        refuse_unknown_fields(request)
    except DecodeError as error:
        raise _unfit(approval, "its bytes cannot be read") from error
    if command.approval != approval.approval:
        raise _unfit(approval, f"its bytes are those of approval {command.approval!r}")
    if approval.method not in {"", command.method}:
        raise _unfit(approval, f"licd says that it is {approval.method}, its bytes say {command.method}")
    return ReadCommand(envelope.payload, command, request)


def refuse_other_request(approval: Approval, sent: Message, caller: str) -> ReadCommand:
    """Reads the command that licd made of `sent`; raises Stopped(UNVERIFIED) unless it is that, byte for byte."""
    found = read_command(approval)
    if found.command.method != path_of(sent):
        raise _unfit(approval, f"asked for was {path_of(sent)}, its bytes say {found.command.method}")
    if found.command.request != sent.SerializeToString():
        raise _unfit(approval, "its request is not the one that was sent")
    if found.command.requested_by != caller:
        raise _unfit(approval, f"its bytes say that {found.command.requested_by!r} asked, not {caller!r}")
    return found


def signed(found: ReadCommand, signer: Signer) -> Envelope:
    """The same payload bytes under the signature of one person."""
    return seal(Kind.OPERATOR_COMMAND, found.payload, signer)


def _unfit(approval: Approval, why: str) -> Stopped:
    return Stopped(Exit.UNVERIFIED, f"approval {approval.approval}: {why}; nothing was signed")
