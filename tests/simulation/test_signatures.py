"""What the simulation leaves out of Ed25519 changes no answer."""

import pytest

from licd.keys.kinds import KeyPurpose
from licd.keys.signer import MemorySigner, verification_key_of
from licd.keys.verification_key import VerificationKey
from simulator.deterministic.signatures import remembered

ONE, OTHER = (MemorySigner(KeyPurpose.SYSTEM, bytes([n]) * 32) for n in (1, 2))


def key(signer: MemorySigner) -> VerificationKey:
    return verification_key_of(signer, not_before_ms=0, not_after_ms=1)


def test_a_signature_holds_over_its_own_bytes_by_its_own_key_alone():
    before = ONE.sign(b"before")
    with remembered():
        made = ONE.sign(b"message")
        assert key(ONE).verifies(made, b"message")
        assert key(ONE).verifies(before, b"before")
        assert not key(ONE).verifies(made, b"another message")
        assert not key(OTHER).verifies(made, b"message")
        assert not key(ONE).verifies(bytes([made[0] ^ 1]) + made[1:], b"message")
        assert not key(ONE).verifies(before, b"message")


def test_the_arithmetic_is_left_out_for_what_was_made_here_and_comes_back_afterwards():
    asked = []

    class Counting:
        def verify(self, signature: bytes, message: bytes) -> None:
            asked.append(message)

    counting = VerificationKey("id", KeyPurpose.SYSTEM, ONE.public_key, 0, 1, 0, "", Counting())  # type: ignore[arg-type]
    with pytest.raises(ZeroDivisionError), remembered():
        assert counting.verifies(ONE.sign(b"made here"), b"made here")
        assert counting.verifies(OTHER.sign(b"elsewhere"), b"elsewhere")
        raise ZeroDivisionError
    assert counting.verifies(ONE.sign(b"later"), b"later")
    assert asked == [b"elsewhere", b"later"]
