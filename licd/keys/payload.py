"""From verified bytes to a message in which nothing is left that this reader does not understand."""

from collections.abc import Iterator, Mapping
from typing import TypeVar

from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet

from licd.keys.envelope import Verified
from licd.keys.seal_reasons import SealInvalid, SealReason

M = TypeVar("M", bound=Message)


def read_payload(verified: Verified, message_type: type[M]) -> M:
    """Read a verified payload as `message_type`. Raises SealInvalid: MALFORMED, UNKNOWN_FIELD."""
    try:
        message = message_type.FromString(verified.payload)
    except DecodeError as error:
        raise SealInvalid(SealReason.MALFORMED, f"the payload of this {verified.kind} cannot be read") from error
    size = message.ByteSize()
    message.DiscardUnknownFields()
    if message.ByteSize() != size:
        # The walk that finds out which field it is costs ten times as much; this is a hot path.
        refuse_unknown_fields(message_type.FromString(verified.payload))
    return message


def refuse_unknown_fields(message: Message) -> None:
    """Refuse a message that has, at any depth, a field this reader does not know.

    An old verifier must not grant what a new limit forbids. Raises SealInvalid(UNKNOWN_FIELD) with the path, as in
    `TrustBundle.keys[1]: field 2047`.
    """
    path = _path_to_unknown(message)
    if path is not None:
        raise SealInvalid(SealReason.UNKNOWN_FIELD, message.DESCRIPTOR.name + path)


def _path_to_unknown(message: Message) -> str | None:
    unknown = UnknownFieldSet(message)
    if len(unknown):
        return f": field {unknown[0].field_number}"
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for step, child in _children(value):
            path = _path_to_unknown(child)
            if path is not None:
                return f".{field.name}{'' if step is None else f'[{step!r}]'}{path}"
    return None


def _children(value: object) -> Iterator[tuple[object, Message]]:
    # What a map entry does not know, the parser counts as unknown in the message that holds the map.
    match value:
        case Message():
            yield None, value
        case Mapping():
            yield from ((key, child) for key, child in value.items() if isinstance(child, Message))
        case _:
            yield from enumerate(value)  # type: ignore[arg-type]  # a repeated field of messages: no common type
