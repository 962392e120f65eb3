"""Messages as JSON that scripts can rely on.

Field names are those of proto/licd/v1. Every field is there, also when it is empty, except the members of a oneof that
are not set. Bytes are lower-case hex; lease ids are decimal strings (they have 64 bits, and JSON readers do not); other
numbers are numbers; enum values are their names without the enum's prefix (`ACTIVE`); instants are unix milliseconds.
"""

import re
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message


def as_json(message: Message) -> dict[str, Any]:
    """A message as what json.dumps takes."""
    shown = [one for one in message.DESCRIPTOR.fields if not one.containing_oneof or message.HasField(one.name)]
    return {one.name: _field(message, one) for one in shown}


def enum_word(one: FieldDescriptor, number: int) -> str:
    """The name of an enum's value without its prefix; the number itself where this reader knows no name."""
    kind = one.enum_type
    if kind is None or number not in kind.values_by_number:
        return str(number)
    prefix = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.name).upper() + "_"
    return kind.values_by_number[number].name.removeprefix(prefix)


def _field(message: Message, one: Any) -> Any:
    value = getattr(message, one.name)
    if one.is_repeated:
        return [_value(one, each) for each in value]
    if one.message_type is not None and not message.HasField(one.name):
        return None
    return _value(one, value)


def _value(one: FieldDescriptor, value: Any) -> Any:
    match value:
        case Message():
            return as_json(value)
        case bytes():
            return value.hex()
        case int() if one.type == FieldDescriptor.TYPE_ENUM:
            return enum_word(one, value)
        case int() if one.type == FieldDescriptor.TYPE_FIXED64:
            return str(value)
        case _:
            return value
