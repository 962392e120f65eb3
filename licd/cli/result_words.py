"""What a method gave, in words: as the noun's own command shows it where that is clearer than field by field."""

from google.protobuf.message import Message

from licd.cli.licence_view import licence_pairs
from licd.cli.printing import Pairs
from licd.cli.request_words import message_pairs
from licd.core.time import Instant
from licd.v1.key_service_pb2 import OperatorAdmission
from licd.v1.operator_pb2 import Licence


def result_pairs(message: Message, now: Instant) -> Pairs:
    """Names and values of what a method gave."""
    match message:
        case Licence():
            return licence_pairs(message, now, counted=False)
        case OperatorAdmission():
            lines = message.certificate_chain_pem.splitlines()
            certificate = [("certificate" if at == 0 else "", line) for at, line in enumerate(lines)]
            return [*message_pairs(message.operator, now), *certificate]
        case _:
            return message_pairs(message, now)
