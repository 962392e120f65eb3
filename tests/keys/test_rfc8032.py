"""Ed25519 as this package uses it, against RFC 8032, section 7.1."""

import json
from pathlib import Path

import pytest

from licd.keys.kinds import KeyPurpose
from licd.keys.public_key import parse_public_key
from licd.keys.signer import MemorySigner
from tests.keys.sample import flip, key

VECTORS = json.loads((Path(__file__).parents[1] / "golden" / "keys_rfc8032_ed25519.json").read_text())


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_signs_and_verifies_as_the_rfc_says(vector: dict[str, str]) -> None:
    seed, public_key, message, signature = (
        bytes.fromhex(vector[n]) for n in ("seed", "public", "message", "signature")
    )
    signer = MemorySigner(KeyPurpose.EVIDENCE, seed)
    assert signer.public_key == public_key
    assert signer.sign(message) == signature
    assert key(signer).verifies(signature, message)
    parse_public_key(public_key).verify(signature, message)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_refuses_the_same_with_one_bit_turned(vector: dict[str, str]) -> None:
    message, signature = bytes.fromhex(vector["message"]), bytes.fromhex(vector["signature"])
    verifier = key(MemorySigner(KeyPurpose.EVIDENCE, bytes.fromhex(vector["seed"])))
    assert not any(verifier.verifies(flip(signature, bit), message) for bit in range(len(signature) * 8))
    assert not any(verifier.verifies(signature, flip(message, bit)) for bit in range(min(len(message), 16) * 8))


def test_there_are_the_five_vectors_of_the_section() -> None:
    assert [vector["name"] for vector in VECTORS] == ["TEST 1", "TEST 2", "TEST 3", "TEST 1024", "TEST SHA(abc)"]
    assert len(VECTORS[3]["message"]) == 2 * 1023


@pytest.mark.parametrize("length", [0, 63, 65, 128])
def test_a_signature_of_another_length_is_simply_wrong(length: int) -> None:
    vector = VECTORS[0]
    verifier = key(MemorySigner(KeyPurpose.EVIDENCE, bytes.fromhex(vector["seed"])))
    signature = (bytes.fromhex(vector["signature"]) * 2)[:length]
    assert not verifier.verifies(signature, b"")
