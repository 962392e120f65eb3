"""A request of every RPC with every field filled, as a descriptor says it: where changes begin."""

from __future__ import annotations

from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from tests.daemon import VERBS
from tests.office import draft
from tests.wired_system import System, acquisition

SAMPLE_ID: Final = "019a0000-0000-7000-8000-000000000000"
"""Stands for a fresh request id: replaced just before the call."""
DEEPEST: Final = 4
NUMBERS: Final = {FieldDescriptor.TYPE_BOOL: True, FieldDescriptor.TYPE_STRING: "x", FieldDescriptor.TYPE_BYTES: b"x"}


def samples_of(verb: str, system: System, licence: str) -> tuple[bytes, ...]:
    """An empty request, a full one, and the full one about things that are there."""
    kind = VERBS[verb].request
    return (b"", filled(kind, {}).SerializeToString(), filled(kind, known(system, licence)).SerializeToString())


def known(system: System, licence: str) -> dict[str, Any]:
    """Values by name of field, for what the daemon under test has."""
    _, customer, _, deployment = system.name.split("/")
    return {
        "customer": customer,
        "deployment": deployment,
        "licence": licence,
        "operator": "carol",
        "roles": ["operator"],
        "reason_code": "manual",
        "system": system.name,
        "csr": system.csr,
        "terms": draft(system.daemon.clock.wall()),
        "acquisition": acquisition(7),
        "version": 1,
        "epoch": 1,
    }


def filled(kind: type[Message], values: dict[str, Any], depth: int = 0) -> Message:
    """A message with a value in each of its fields. `all` stays unset: a suspension of everything ends the fuzzing."""
    message: Any = kind()
    made: Message = message
    for field in message.DESCRIPTOR.fields:
        if field.name == "all" or depth > DEEPEST:
            continue
        value = _value(field, values, depth)
        if field.message_type is not None and not field.is_repeated:
            getattr(message, field.name).CopyFrom(value)
        elif field.is_repeated:
            getattr(message, field.name).extend(value if isinstance(value, list) else [value])
        else:
            setattr(message, field.name, value)
    return made


def _value(field: FieldDescriptor, values: dict[str, Any], depth: int) -> Any:
    if field.name == "request_id":
        return SAMPLE_ID
    if field.name in values and _fits(field, values[field.name]):
        return values[field.name]
    if field.message_type is not None:
        return filled(GetMessageClass(field.message_type), values, depth + 1)
    return NUMBERS.get(field.type, 1)


def _fits(field: FieldDescriptor, value: Any) -> bool:
    if isinstance(value, Message):
        return field.message_type is value.DESCRIPTOR
    if isinstance(value, list):
        return field.is_repeated and field.message_type is None
    kinds = {FieldDescriptor.TYPE_STRING: str, FieldDescriptor.TYPE_BYTES: bytes}
    return isinstance(value, kinds.get(field.type, int)) and field.message_type is None
