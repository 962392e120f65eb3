"""Bytes that were once written and must be written and read the same for ever. `make golden` records new files."""

from pathlib import Path

import pytest

from licd.keys.armour import armour, dearmour
from licd.keys.bundle_update import PayloadPin, advance, pin_first, reload
from licd.keys.envelope import open_envelope, parse_envelope, seal
from licd.keys.file_signer import read_key_file, write_key_file
from licd.keys.kinds import KeyPurpose, Kind
from licd.keys.private_file import write_new
from licd.v1.envelope_pb2 import Envelope
from tests.keys.sample import NOW, bundle_message, ring, roots, sealed, signer, signer_for, stream
from tests.keys.test_file_signer import CHEAP, PASSPHRASE, SEED

GOLDEN = Path(__file__).parents[1] / "golden"


def golden_bytes(name: str) -> bytes:
    return bytes.fromhex((GOLDEN / name).read_text(encoding="ascii"))


def envelope_of(kind: Kind) -> bytes:
    return seal(kind, f"payload of a {kind}".encode(), signer_for(kind)).SerializeToString()


def bundle_of(version: int) -> Envelope:
    """Version 1 of two roots of three, version 2 with one root exchanged and a key withdrawn."""
    if version == 1:
        return sealed(bundle_message(1))
    changed = [*roots(2), signer(KeyPurpose.ROOT, 11)]
    withdrawn = signer(KeyPurpose.PERMIT_ONLINE).key_id
    return sealed(bundle_message(2, root_signers=changed, withdrawn_key_ids=[withdrawn]), *roots(2))


@pytest.mark.parametrize("kind", Kind)
def test_an_envelope_of_each_kind_has_its_bytes(kind: Kind) -> None:
    raw = golden_bytes(f"keys_envelope_{kind}.hex")
    assert envelope_of(kind) == raw
    assert open_envelope(raw, kind, ring(signer_for(kind)), NOW).payload == f"payload of a {kind}".encode()


@pytest.mark.parametrize("kind", Kind)
def test_the_armour_of_each_kind_has_its_text(kind: Kind) -> None:
    text = (GOLDEN / f"keys_armour_{kind}.txt").read_bytes()
    assert armour(envelope_of(kind)).encode() == text
    assert dearmour(text).raw == envelope_of(kind)


@pytest.mark.parametrize("version", [1, 2])
def test_a_bundle_has_its_bytes(version: int) -> None:
    raw = golden_bytes(f"keys_bundle_{version}.hex")
    assert bundle_of(version).SerializeToString() == raw
    assert reload(raw).version == version


def test_the_bundles_of_then_are_followed_today() -> None:
    first, second = (parse_envelope(golden_bytes(f"keys_bundle_{version}.hex")) for version in (1, 2))
    pin = PayloadPin(bytes.fromhex("3ba0dcf81debaf0919fbeec82727e3f2e600599e128a488c13aafc34a6b28042"))
    reached = advance(pin_first(first, pin, NOW), second)
    assert reached.withdrawn_key_ids == {signer(KeyPurpose.PERMIT_ONLINE).key_id}


@pytest.mark.parametrize(("name", "passphrase"), [("protected", PASSPHRASE), ("unprotected", None)])
def test_a_key_file_has_its_bytes(tmp_path: Path, name: str, passphrase: bytes | None) -> None:
    golden = (GOLDEN / f"keys_file_{name}.json").read_bytes()
    write_key_file(
        tmp_path / "new", KeyPurpose.ROOT, SEED, passphrase=passphrase, randomness=stream("golden"), cost=CHEAP
    )
    assert (tmp_path / "new").read_bytes() == golden
    write_new(tmp_path / "then", golden)
    assert read_key_file(tmp_path / "then", passphrase).key_id == read_key_file(tmp_path / "new", passphrase).key_id
