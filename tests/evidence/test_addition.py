"""What a witness is asked: the published form, another implementation's figures, and everything it must refuse."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licd.evidence import merkle
from licd.evidence.addition import Addition, AdditionInvalid, check_addition, encode_addition, parse_addition
from licd.evidence.checkpoint import Checkpoint, LogVerifier, parse_checkpoint
from licd.evidence.cosignature import cosign, verify_cosignature
from licd.evidence.errors import EvidenceInvalid
from licd.evidence.merkle import ProofInvalid
from licd.evidence.note import NoteInvalid, SignatureType, decode_verifier_key, parse_note
from tests.evidence.sample import GOLDEN, LOG, ORIGIN, flip, make_signer, sealed_entry, signed_checkpoint, verify

# The example of c2sp.org/tlog-witness. Its old root is published nowhere, so only its form can be checked.
SPEC = (GOLDEN / "evidence_c2sp_add_checkpoint.txt").read_bytes()

# Figures of another implementation's tests (github.com/transparency-dev/witness, internal/witness/witness_test.go):
# its log's key, two checkpoints that it signed, the proof between them, and one of another origin by the same key.
FOREIGN_KEY = "monkeys+db4d9f7e+AULaJMvTtDLHPUcUrjdDad9vDlh/PTfC2VV60JUtCfWT"
FOREIGN_OTHER_KEY = "bananas+cf639f13+AaPjhFnPCQnid/Ql32KWhmh+uk72FVRfK+2DLmO3BI3M"
FOREIGN_ORIGIN = "Log Checkpoint v0"
FOREIGN_OLD = """Log Checkpoint v0
5
41smjBUiAU70EtKlT6lIOIYtRTYxYXsDB+XHfcvu/BE=

— monkeys 202ffu1mJ0hrPIodgN0YQV7uZk9CAEzh+hOQyRjkf9CDY1IOr/oiH6WkzGIy7aEF0rw/9SHiZztjDiTOb53i6CE/zQ8=
""".encode()
FOREIGN_NEW = """Log Checkpoint v0
8
V8K9aklZ4EPB+RMOk1/8VsJUdFZR77GDtZUQq84vSbo=

— monkeys 202ffm1n5/h7F3x0D6CCysNnqiL2WBu7iubseJggohhX6JBbeLts5NWKY/g0r6yNRVN/k+QJJx1Sii0MzbMUTnmO+wA=
""".encode()
FOREIGN_PROOF = tuple(
    bytes.fromhex(each)
    for each in (
        "b9e1d62618f7fee8034e4c5010f727ab24d8e4705cb296c374bf2025a87a10d2",
        "aac66cd7a79ce4012d80762fe8eec3a77f22d1ca4145c3f4cee022e7efcd599d",
        "89d0f753f66a290c483b39cd5e9eafb12021293395fad3d4a2ad053cfbcfdc9e",
        "29e40bb79c966f4c6fe96aff6f30acfce5f3e8d84c02215175d6e018a5dee833",
    )
)
FOREIGN_OF_ANOTHER = """Frog Checkpoint v0
8
V8K9aklZ4EPB+RMOk1/8VsJUdFZR77GDtZUQq84vSbo=

— monkeys 202ffgCVdfZmrroccRdQoEfn2TfmXHez4R++GvVrFvFiaI85O12aTV5GpNOvWsuQW77eNxQ2b7ggYeglzF/QSy/EBws=
""".encode()
FOREIGN = LogVerifier(FOREIGN_ORIGIN, (decode_verifier_key(FOREIGN_KEY),), verify)

LEAVES = [sealed_entry(number).leaf_hash for number in range(12)]


def cosigned_at(size: int) -> Checkpoint:
    return Checkpoint(ORIGIN, size, merkle.root_of(LEAVES[:size]))


def asked(old: int, new: int) -> Addition:
    data = encode_addition(old, merkle.consistency_proof(LEAVES, old, new), signed_checkpoint(LEAVES[:new]))
    return parse_addition(data)


# -- published


def test_the_request_of_the_specification_is_read_and_written_byte_for_byte():
    found = parse_addition(SPEC)
    assert (found.old_size, len(found.proof), len(found.checkpoint.signatures)) == (20852014, 4, 2)
    assert parse_checkpoint(found.checkpoint.text).size == 20852163
    assert found.encode() == SPEC


def test_another_implementations_checkpoints_go_on_from_one_another_by_its_proof():
    latest = FOREIGN.open(FOREIGN_OLD)
    request = parse_addition(encode_addition(5, FOREIGN_PROOF, FOREIGN_NEW))
    assert check_addition(request, FOREIGN, latest).size == 8


@pytest.mark.parametrize(
    ("proof", "data", "why"),
    [
        (FOREIGN_PROOF[:3], FOREIGN_NEW, "too few from 5 to 8"),
        ((*FOREIGN_PROOF[:3], bytes(32)), FOREIGN_NEW, "does not lead to the old root"),
        (FOREIGN_PROOF, FOREIGN_OF_ANOTHER, "the checkpoint is of 'Frog Checkpoint v0', not 'Log Checkpoint v0'"),
        (FOREIGN_PROOF, FOREIGN_NEW.replace(b"\n8\n", b"\n9\n"), "the signature by monkeys.* does not hold"),
    ],
)
def test_what_the_other_implementation_refuses_is_refused(proof: tuple[bytes, ...], data: bytes, why: str):
    request = parse_addition(encode_addition(5, proof, data))
    with pytest.raises(EvidenceInvalid, match=why):
        check_addition(request, FOREIGN, FOREIGN.open(FOREIGN_OLD))


def test_another_logs_key_does_not_open_it():
    stranger = LogVerifier(FOREIGN_ORIGIN, (decode_verifier_key(FOREIGN_OTHER_KEY),), verify)
    with pytest.raises(NoteInvalid, match="no signature by a known key"):
        check_addition(parse_addition(encode_addition(0, (), FOREIGN_OLD)), stranger, None)


# -- a witness's rules


@pytest.mark.parametrize(("old", "new"), [(0, 1), (0, 12), (1, 12), (5, 12), (8, 12), (11, 12), (12, 12)])
def test_a_checkpoint_that_goes_on_is_taken_and_can_be_cosigned(old: int, new: int):
    request = asked(old, new)
    assert check_addition(request, LOG, cosigned_at(old) if old else None) == cosigned_at(new)
    witness = make_signer("witness.example/w2", bytes(31) + b"2", SignatureType.COSIGNATURE_V1)
    cosigned = request.checkpoint.with_signature(cosign(request.checkpoint, witness, 5_000))
    assert verify_cosignature(parse_note(cosigned.encode()), witness.key, verify) == 5_000
    assert LOG.open(cosigned.encode()).size == new


def test_a_request_that_goes_on_from_another_size_than_the_latest_is_refused():
    with pytest.raises(AdditionInvalid, match="goes on from size 5, the latest one held is of 8"):
        check_addition(asked(5, 12), LOG, cosigned_at(8))
    with pytest.raises(AdditionInvalid, match="goes on from size 5, the latest one held is of 0"):
        check_addition(asked(5, 12), LOG, None)


def test_a_log_is_not_rolled_back():
    request = replace(asked(5, 8), old_size=12)
    with pytest.raises(AdditionInvalid, match="the old size is 12, and the checkpoint is over 8 entries"):
        check_addition(request, LOG, cosigned_at(12))


def test_another_tree_of_the_same_size_is_refused():
    other = Checkpoint(ORIGIN, 8, merkle.root_of(LEAVES[1:9]))
    with pytest.raises(ProofInvalid, match="the roots differ"):
        check_addition(asked(8, 8), LOG, other)
    with pytest.raises(ProofInvalid, match="does not lead to the new root"):
        check_addition(asked(8, 12), LOG, other)


def test_every_flipped_bit_of_a_request_is_refused():
    data = asked(5, 12).encode()
    for bit in range(len(data) * 8):
        with pytest.raises(EvidenceInvalid):
            check_addition(parse_addition(flip(data, bit)), LOG, cosigned_at(5))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "line 1: a request is"),
        (b"old 5\n", "line 1: a request is"),
        (b"new 5\n\ntext\n", "line 1: a request is"),
        (b"old 05\n\ntext\n", "line 1: the old size has a leading zero"),
        (b"old -1\n\ntext\n", "line 1: the old size is not a decimal number"),
        (b"old 5\n\xff\n\ntext\n", "line 2: the hash is not padded standard base64"),
        (b"old 5\nAAAA\n\ntext\n", "line 2: a hash has 32 bytes, not 3"),
        (b"old 5" + b"\nAAAA" * 64 + b"\n\ntext\n", "line 65: a proof has at most 63 hashes, not 64"),
        (b"old 5\n\ntext\n", "a note is a text"),
        (b"x" * (1 << 21), "a request has at most"),
    ],
)
def test_a_malformed_request_is_refused_with_its_line(data: bytes, why: str):
    with pytest.raises(EvidenceInvalid, match=why):
        parse_addition(data)


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_or_read_exactly(data: bytes):
    try:
        found = parse_addition(data)
    except EvidenceInvalid:
        return
    assert found.encode() == data
