import pytest

from licd.keys.envelope import seal, verify
from licd.keys.hold import HoldableSigner, SigningHeld
from licd.keys.kinds import KeyPurpose, Kind
from licd.keys.signer import MemorySigner
from tests.keys.sample import NOW, ring, signer, stream

ONLINE = signer(KeyPurpose.PERMIT_ONLINE)


class Switch:
    def __init__(self) -> None:
        self.is_set = False

    def __call__(self) -> bool:
        return self.is_set


def test_a_generated_key_comes_from_the_randomness_it_was_given() -> None:
    made = MemorySigner.generate(KeyPurpose.ROOT, stream("a"))
    assert made.key_id == MemorySigner(KeyPurpose.ROOT, stream("a")(32)).key_id
    assert made.key_id != MemorySigner.generate(KeyPurpose.ROOT, stream("b")).key_id


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_secret_has_32_bytes(length: int) -> None:
    with pytest.raises(ValueError, match=f"32 bytes, not {length}"):
        MemorySigner(KeyPurpose.ROOT, bytes(length))


def test_a_signer_does_not_show_its_secret() -> None:
    made = MemorySigner(KeyPurpose.ROOT, b"\x07" * 32)
    assert repr(made) == f"MemorySigner(root, {made.key_id})"
    assert repr(HoldableSigner(made, Switch())) == f"HoldableSigner(MemorySigner(root, {made.key_id}))"


def test_a_signer_that_is_not_held_signs_as_the_one_inside() -> None:
    holdable = HoldableSigner(ONLINE, Switch())
    assert verify(seal(Kind.PERMIT, b"p", holdable), Kind.PERMIT, ring(ONLINE), NOW).key_ids == (ONLINE.key_id,)
    assert (holdable.key_id, holdable.purpose, holdable.public_key) == (
        ONLINE.key_id,
        ONLINE.purpose,
        ONLINE.public_key,
    )


def test_a_held_signer_signs_nothing_from_that_moment_on() -> None:
    switch = Switch()
    holdable = HoldableSigner(ONLINE, switch)
    holdable.sign(b"before")
    switch.is_set = True
    with pytest.raises(SigningHeld, match="held on this machine"):
        seal(Kind.PERMIT, b"p", holdable)
    switch.is_set = False
    holdable.sign(b"after")


def test_a_switch_that_cannot_be_read_signs_nothing() -> None:
    def unreadable() -> bool:
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        HoldableSigner(ONLINE, unreadable).sign(b"x")
