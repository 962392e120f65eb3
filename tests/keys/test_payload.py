"""S4 and S5: a field that this reader does not know is refused, wherever in a signed message it stands."""

import importlib
import pkgutil
from collections.abc import Iterator

import pytest
from google.protobuf import struct_pb2
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

import licd.v1
from licd.keys.envelope import Verified
from licd.keys.kinds import Kind
from licd.keys.payload import read_payload, refuse_unknown_fields
from licd.keys.seal_reasons import SealInvalid, SealReason
from licd.v1 import trust_pb2
from tests.keys.sample import bundle_message

FIELD_2047 = b"\xf8\x7f\x01"
DEEPEST = 5


def message_types() -> list[Descriptor]:
    """Every message of the protocol, nested ones as well."""
    found: dict[str, Descriptor] = {}
    for module in pkgutil.iter_modules(licd.v1.__path__):
        if module.name.endswith("_pb2"):
            file = importlib.import_module(f"licd.v1.{module.name}").DESCRIPTOR
            waiting = list(file.message_types_by_name.values())
            while waiting:
                kind = waiting.pop()
                waiting += kind.nested_types
                if not kind.GetOptions().map_entry:
                    found[kind.full_name] = kind
    return [found[name] for name in sorted(found)]


def children(message: Message, depth: int = 0) -> Iterator[Message]:
    """The message itself, and one child made in every field that holds messages, and theirs."""
    yield message
    if depth == DEEPEST:
        return
    for field in message.DESCRIPTOR.fields:
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            if field.message_type.fields_by_name["value"].message_type is not None:
                yield from children(getattr(message, field.name)["key"], depth + 1)
        elif field.is_repeated:
            yield from children(getattr(message, field.name).add(), depth + 1)
        else:
            child = getattr(message, field.name)
            child.SetInParent()
            yield from children(child, depth + 1)


def refusal(message: Message) -> str:
    with pytest.raises(SealInvalid) as caught:
        refuse_unknown_fields(message)
    assert caught.value.reason is SealReason.UNKNOWN_FIELD
    return caught.value.detail


@pytest.mark.parametrize("kind", message_types(), ids=lambda kind: kind.name)
def test_field_2047_is_refused_in_every_message_at_every_depth(kind: Descriptor) -> None:
    cls = GetMessageClass(kind)
    count = sum(1 for _ in children(cls()))
    for chosen in range(count):
        message = cls()
        for index, child in enumerate(children(message)):
            if index == chosen:
                child.MergeFromString(FIELD_2047)
                # A member of a oneof is cleared as soon as the next one is made: look at once.
                break
        assert refusal(cls.FromString(message.SerializeToString())).endswith(": field 2047")


def test_a_message_that_is_understood_passes() -> None:
    refuse_unknown_fields(bundle_message())
    refuse_unknown_fields(trust_pb2.TrustBundle())


def test_says_where_the_field_stands() -> None:
    message = bundle_message()
    message.keys[1].MergeFromString(FIELD_2047)
    assert refusal(message) == "TrustBundle.keys[1]: field 2047"


def test_says_which_key_of_a_map_leads_to_the_field() -> None:
    message = struct_pb2.Struct()
    message.fields["a"].struct_value.fields["b"].MergeFromString(FIELD_2047)
    assert refusal(message) == "Struct.fields['a'].struct_value.fields['b']: field 2047"


def test_a_field_hidden_in_a_map_entry_is_refused() -> None:
    entry = b"\x0a\x01k" + b"\x12\x02\x20\x01" + FIELD_2047
    message = struct_pb2.Struct.FromString(b"\x0a" + bytes([len(entry)]) + entry)
    assert refusal(message).startswith("Struct: field ")


def test_a_field_hidden_in_a_list_is_refused() -> None:
    message = struct_pb2.ListValue()
    message.values.add().number_value = 1
    message.values.add().list_value.values.add().MergeFromString(FIELD_2047)
    assert refusal(message) == "ListValue.values[1].list_value.values[0]: field 2047"


def test_a_known_field_of_the_wrong_wire_type_is_an_unknown_one() -> None:
    assert refusal(trust_pb2.TrustBundle.FromString(b"\x0a\x01x")) == "TrustBundle: field 1"


def test_reads_a_verified_payload() -> None:
    verified = Verified(Kind.TRUST_BUNDLE, bundle_message().SerializeToString(), ())
    assert read_payload(verified, trust_pb2.TrustBundle) == bundle_message()


@pytest.mark.parametrize(
    ("payload", "reason"),
    [(b"\xff", SealReason.MALFORMED), (FIELD_2047, SealReason.UNKNOWN_FIELD)],
)
def test_refuses_a_verified_payload_it_does_not_understand(payload: bytes, reason: SealReason) -> None:
    with pytest.raises(SealInvalid) as caught:
        read_payload(Verified(Kind.TRUST_BUNDLE, payload, ()), trust_pb2.TrustBundle)
    assert caught.value.reason is reason
