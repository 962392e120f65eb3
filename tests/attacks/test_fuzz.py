"""Proto fuzz on every RPC: right requests with something wrong in their bytes."""

from __future__ import annotations

from random import Random  # noqa: TID251 - seeded

import grpc
import pytest
from google.protobuf.message import Message

from licd.core.errors import Code, LicdError
from licd.server.caller import Listener
from tests.attacks.test_copies import look
from tests.daemon import VERBS, Daemon, new_id, open_channel, raw_call
from tests.office import Office
from tests.wired_system import System, acquire, joined, licence_of

MUTATIONS = 25


def filled(message: Message, chance: Random, system: System, depth: int = 0) -> Message:
    """A request that looks right: every field set, names that exist, a signed link where an envelope is asked for."""
    for field in message.DESCRIPTOR.fields:
        if field.name == "all":
            continue  # a suspension of everything is for another test
        value = getattr(message, field.name)
        if field.message_type is not None:
            inner = value.add() if field.is_repeated else value
            if field.message_type.name == "Envelope":
                inner.CopyFrom(system.link(acquire(chance.randrange(9))))
            elif depth < 4:
                filled(inner, chance, system, depth + 1)
                inner.SetInParent()
            continue
        one = {
            field.TYPE_STRING: new_id() if field.name == "request_id" else chance.choice(("north", system.deployment)),
            field.TYPE_BYTES: chance.randbytes(32),
            field.TYPE_BOOL: True,
            field.TYPE_ENUM: 1,
        }.get(field.type, chance.randrange(1, 1 << 20))
        if field.is_repeated:
            value.append(one)
        else:
            setattr(message, field.name, one)
    return message


def mutated(raw: bytes, chance: Random) -> bytes:
    """A few bytes changed, cut off, doubled, or put in."""
    data = bytearray(raw)
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(5):
            case 0 if at < len(data):
                data[at] ^= 1 << chance.randrange(8)
            case 1:
                del data[at:]
            case 2:
                data[at:at] = data[at : at + 40]
            case 3:
                data[at:at] = chance.randbytes(chance.randrange(1, 9))
            case _:
                data[at : at + 2] = b"\xff\xff"
    return bytes(data)


@pytest.fixture(scope="module")
def doors(daemon: Daemon) -> tuple[System, dict[Listener, grpc.Channel]]:
    office = Office(daemon)
    system = joined(office)
    system.open(acquire(1))
    return system, {
        Listener.ENROLMENT: open_channel(daemon.address(Listener.ENROLMENT), daemon.authority, None),
        Listener.CUSTOMER: system.channel,
        Listener.OPERATOR: office.admit("reader", "auditor").channel,
    }


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_proto_fuzz_on_every_rpc(doors: tuple[System, dict[Listener, grpc.Channel]], office: Office, verb: str):
    """An answer or a refusal that was meant, never a crash, and no lease for a mutated link."""
    system, channels = doors
    method, chance = VERBS[verb], Random(verb)
    before = look(office, system)
    seats = office.alice.licence_of(licence_of(office, system)).live
    for _ in range(MUTATIONS):
        raw = mutated(filled(method.request(), chance, system).SerializeToString(), chance)
        try:
            raw_call(channels[method.listener], verb, raw, read=method.response.FromString)
        except LicdError as error:
            assert error.code is not Code.INTERNAL, (verb, raw)
    assert look(office, system) == before
    assert office.alice.licence_of(licence_of(office, system)).live == seats
