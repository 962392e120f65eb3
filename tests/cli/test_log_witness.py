"""licctl log cosign: a witness cosigns what goes on from what it cosigned last, and nothing else."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from licd.evidence import merkle
from licd.evidence.addition import encode_addition, parse_addition
from licd.evidence.checkpoint import Checkpoint, sign_checkpoint
from licd.evidence.cosignature import verify_cosignature
from licd.evidence.note import SignatureType, Signer, VerifierKey, decode_verifier_key, parse_note
from licd.keys.file_signer import create_key_file
from licd.keys.kinds import KeyPurpose
from licd.keys.signer import MemorySigner
from licd.v1 import log_service_pb2 as pb
from licd.verify.main import main
from licd.verify.trust import ed25519
from tests.cli.conftest import NOW, Licctl
from tests.cli.trust_samples import EVIDENCE, ORIGIN, log_lines, sealed_entries, signed_checkpoint

LEAVES = [one.leaf_hash for one in sealed_entries(9)]
LOG = VerifierKey(ORIGIN, EVIDENCE.public_key).encode()


class Witness:
    """Somebody's own folder."""

    def __init__(self, licctl: Licctl, folder: Path, name: str = "watch.example/w1") -> None:
        self.licctl, self.folder, self.name = licctl, folder, name
        self.key = folder / "witness.key"
        self.latest = folder / "latest"
        create_key_file(self.key, KeyPurpose.OVERSEER, passphrase=None, randomness=lambda size: b"w" * size)

    def ask(self, data: bytes, *more: str):
        request = self.folder / "request"
        request.write_bytes(data)
        words = ["--key", LOG, "--signer", str(self.key), "--name", self.name, "--latest", str(self.latest)]
        return self.licctl.bare("log", "cosign", str(request), *words, *more)


@pytest.fixture
def witness(licctl: Licctl, tmp_path: Path) -> Witness:
    return Witness(licctl, tmp_path)


def request(old: int, new: int, leaves: list[bytes] = LEAVES) -> bytes:
    return encode_addition(old, merkle.consistency_proof(leaves, old, new), signed_checkpoint(leaves[:new]).encode())


def witness_key(witness: Witness) -> VerifierKey:
    public = MemorySigner(KeyPurpose.OVERSEER, b"w" * 32).public_key
    return VerifierKey(witness.name, public, SignatureType.COSIGNATURE_V1)


def test_the_first_checkpoint_is_taken_and_the_next_goes_on_from_it(witness: Witness):
    for old, new in ((0, 3), (3, 3), (3, 9)):
        result = witness.ask(request(old, new))
        assert result.exit_code == 0, result.output
        note = parse_note(witness.latest.read_bytes())
        assert note.text.splitlines()[1] == str(new)
        assert verify_cosignature(note, witness_key(witness), ed25519) == NOW // 1000 * 1000
        assert result.stdout.encode() == witness.latest.read_bytes()
        assert result.stderr == f"witness {witness_key(witness).encode()}\n"


OTHER = LEAVES[:2] + LEAVES[3:] + LEAVES[:1]


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (request(0, 9), "goes on from size 0, the latest one held is of 5"),
        (request(3, 9), "goes on from size 3, the latest one held is of 5"),
        (request(5, 9, OTHER), "the proof from 5 to 9 does not lead to the"),
        (request(5, 5, OTHER), "the roots differ"),
        (request(5, 9)[:-30], "a note ends in a newline"),
        (b"", "line 1: a request is"),
    ],
)
def test_what_does_not_go_on_is_refused_and_the_latest_stays(witness: Witness, asked: bytes, why: str):
    assert witness.ask(request(0, 5)).exit_code == 0
    before = witness.latest.read_bytes()
    refused = witness.ask(asked)
    assert refused.exit_code == 7
    assert why in refused.stderr
    assert witness.latest.read_bytes() == before


def test_another_logs_checkpoint_is_refused(witness: Witness):
    stranger = Signer(VerifierKey(ORIGIN, MemorySigner(KeyPurpose.EVIDENCE, b"s" * 32).public_key), lambda _: bytes(64))
    signed = sign_checkpoint(Checkpoint(ORIGIN, 3, merkle.root_of(LEAVES[:3])), [stranger]).encode()
    refused = witness.ask(encode_addition(0, (), signed))
    assert (refused.exit_code, witness.latest.exists()) == (7, False)
    assert "no signature by a known key" in refused.stderr


def test_a_latest_that_this_witness_has_not_cosigned_is_not_taken_for_its_own(witness: Witness):
    witness.latest.write_bytes(signed_checkpoint(LEAVES[:3]).encode())
    refused = witness.ask(request(3, 9))
    assert refused.exit_code == 7
    assert "no cosignature by watch.example/w1" in refused.stderr


def test_two_requests_at_once_do_not_make_two_histories(witness: Witness):
    with (witness.folder / ".latest.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        refused = witness.ask(request(0, 3))
    assert (refused.exit_code, witness.latest.exists()) == (4, False)
    assert witness.ask(request(0, 3)).exit_code == 0


def test_an_operators_key_and_a_name_with_spaces_cosign_nothing(licctl: Licctl, tmp_path: Path, witness: Witness):
    own = tmp_path / "own"
    own.mkdir()
    spaced = Witness(licctl, own, "the watch")
    refused = spaced.ask(request(0, 3))
    assert (refused.exit_code, spaced.latest.exists()) == (2, False)
    witness.key.unlink()
    create_key_file(witness.key, KeyPurpose.OPERATOR, passphrase=None, randomness=lambda size: b"o" * size)
    refused = witness.ask(request(0, 3))
    assert refused.exit_code == 2
    assert "is a key for operator, not an authority's" in refused.stderr


def test_a_checkpoint_key_of_another_kind_asks_nothing(witness: Witness):
    refused = witness.ask(request(0, 3), "--key", witness_key(witness).encode())
    assert (refused.exit_code, witness.latest.exists()) == (2, False)


def test_an_operator_writes_what_a_witness_is_asked_with_and_an_outsider_demands_the_cosignature(
    licctl: Licctl, witness: Witness, tmp_path: Path
):
    asked, file = tmp_path / "asked", tmp_path / "log"
    licctl.licd.on("GetCheckpoint", pb.GetCheckpointResponse(checkpoint=signed_checkpoint(LEAVES[:4])))
    assert licctl("log", "checkpoint", "--request", str(asked)).exit_code == 0
    assert witness.ask(asked.read_bytes()).exit_code == 0
    proof = merkle.consistency_proof(LEAVES, 4, 9)
    answer = pb.GetCheckpointResponse(checkpoint=signed_checkpoint(LEAVES), consistency_proof=proof)
    licctl.licd.on("GetCheckpoint", answer)
    assert licctl("log", "checkpoint", "--old", str(witness.latest), "--request", str(asked)).exit_code == 0
    assert parse_addition(asked.read_bytes()).old_size == 4
    assert witness.ask(asked.read_bytes()).exit_code == 0
    file.write_text("".join(f"{line}\n" for line in log_lines(9)))
    known = witness_key(witness).encode()
    assert decode_verifier_key(known) == witness_key(witness)
    words = ["--key", LOG, "--cosigned", str(witness.latest), "--witness", known, "--witnesses"]
    assert main(["log", str(file), *words, "1"]) == 0
    assert main(["log", str(file), *words, "2"]) == 2
