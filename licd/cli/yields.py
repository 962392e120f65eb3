"""What a command yields besides an answer: a signed licence, a certificate, an invitation, for a file."""

from dataclasses import dataclass
from pathlib import Path

from google.protobuf.message import Message

from licd.cli.desk import Desk
from licd.cli.failure import Exit, Stopped
from licd.keys.armour import armour
from licd.keys.private_file import EVERYBODY, OWNER_ONLY, KeyFileError, write_new
from licd.v1.deployment_service_pb2 import Invitation
from licd.v1.key_service_pb2 import OperatorAdmission
from licd.v1.operator_pb2 import Licence


@dataclass(frozen=True, slots=True)
class Yield:
    """What it is, in words; its text; the mode of a file with it."""

    what: str
    text: str
    mode: int


def yielded(message: Message | None) -> Yield | None:
    """What a message carries out; None when it carries nothing out."""
    match message:
        case Licence() if message.HasField("token"):
            return Yield("the signed licence", armour(message.token.SerializeToString()), EVERYBODY)
        case OperatorAdmission():
            return Yield("the operator's certificate", message.certificate_chain_pem, EVERYBODY)
        case Invitation():
            return Yield("the join token", message.join_token + "\n", OWNER_ONLY)
        case _:
            return None


def hand_out(desk: Desk, message: Message | None, save: Path | None) -> None:
    """Writes to the file what the message carries out. Raises Stopped(USAGE) when it carries nothing."""
    if save is None:
        return
    found = yielded(message)
    if found is None:
        raise Stopped(Exit.USAGE, f"--save: nothing came that could be written to {save}")
    try:
        write_new(save, found.text.encode(), found.mode)
    except (KeyFileError, OSError):
        desk.printer.text(found.text)  # it was given out once: shown is better than lost
        raise
    desk.printer.remark(f"written: {save}, {found.what}")
