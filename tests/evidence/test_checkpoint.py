"""Checkpoints and cosignatures: published examples, strictness, and whose log it is."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licd.evidence.checkpoint import Checkpoint, CheckpointInvalid, LogVerifier, parse_checkpoint, sign_checkpoint
from licd.evidence.cosignature import cosign, cosigned_message, verify_cosignature
from licd.evidence.merkle import EMPTY_ROOT
from licd.evidence.note import NoteInvalid, NoteSignature, decode_verifier_key, parse_note
from tests.evidence.sample import GOLDEN, LOG, LOG_SIGNER, ORIGIN, WITNESS, flip, make_signer, verify

ROOT = bytes(range(32))

# The example of c2sp.org/tlog-cosignature; the specification publishes no keys for it.
SPEC_TEXT = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
SPEC_NOTE = (GOLDEN / "evidence_c2sp_cosigned_checkpoint.txt").read_bytes()
SPEC_SECONDS = 1679315147

# A checkpoint of the public log arche2025h1 (staging), cosigned by the public witnesses: signatures of other programs.
PUBLIC_NOTE = (GOLDEN / "evidence_public_checkpoint.txt").read_bytes()
PUBLIC_LOG_KEY = "arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f"
PUBLIC_WITNESS_KEYS = [
    "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
    "witness1.smartit.nu/witness1+a48c820f+BPSFWg9G6KPiO7QPryYO5Xq4oYJJ+kAvLKLSimDhoxMO",
    "witness.stagemole.eu+67f7aea0+BEqSG3yu9YrmcM3BHvQYTxwFj3uSWakQepafafpUqklv",
    "transparency.dev/DEV:witness-little-garden+d8042a87+BCtusOxINQNUTN5Oj8HObRkh2yHf/MwYaGX4CPdiVEPM",
]


SIGNED = sign_checkpoint(Checkpoint(ORIGIN, 42, ROOT), (LOG_SIGNER,))


# -- checkpoints


def test_reads_the_checkpoint_of_the_specification():
    checkpoint = parse_checkpoint(parse_note(SPEC_NOTE).text)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert checkpoint.root.hex() == "0ac5186a91863e8e1d90c808014aa89bf5da8e3ee1d9f07630f0378f68f1ab62"
    assert checkpoint.text() == SPEC_TEXT


def test_verifies_a_checkpoint_of_a_public_log():
    verifier = LogVerifier("arche2025h1.staging.ct.transparency.dev", (decode_verifier_key(PUBLIC_LOG_KEY),), verify)
    assert verifier.open(PUBLIC_NOTE).size == 1432088532
    with pytest.raises(NoteInvalid, match="does not hold"):
        verifier.open(PUBLIC_NOTE.replace(b"1432088532", b"1432088533"))


def test_opens_what_the_log_signed():
    assert LOG.open(SIGNED.encode()) == Checkpoint(LOG.origin, 42, ROOT)


def test_extension_lines_are_signed_and_read_back():
    checkpoint = Checkpoint(LOG_SIGNER.key.name, 42, ROOT, ("one", "two words"))
    data = sign_checkpoint(checkpoint, (LOG_SIGNER,)).encode()
    assert LOG.open(data) == checkpoint
    with pytest.raises(NoteInvalid, match="does not hold"):
        LOG.open(data.replace(b"two words", b"two swords"))


def test_refuses_a_checkpoint_of_another_log_signed_by_the_same_key():
    other = sign_checkpoint(Checkpoint("licd.example/other", 42, ROOT), (LOG_SIGNER,))
    with pytest.raises(CheckpointInvalid, match=r"of 'licd\.example/other', not"):
        LOG.open(other.encode())


def test_refuses_a_checkpoint_signed_only_by_a_witness():
    alone = dataclasses.replace(SIGNED, signatures=(cosign(SIGNED, WITNESS, 0),))
    with pytest.raises(NoteInvalid, match="no signature by a known key"):
        LOG.open(alone.encode())


def test_either_key_suffices_while_a_log_key_is_rotated():
    origin = LOG_SIGNER.key.name
    new_signer = make_signer(origin, bytes(31) + b"n")
    verifier = LogVerifier(origin, (LOG_SIGNER.key, new_signer.key), verify)
    checkpoint = Checkpoint(origin, 42, ROOT)
    for signers in ([LOG_SIGNER], [new_signer], [LOG_SIGNER, new_signer]):
        assert verifier.open(sign_checkpoint(checkpoint, signers).encode()) == checkpoint


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "line 1: a checkpoint has origin, size and root"),
        ("origin", "line 1: a checkpoint ends"),
        ("origin\n", "line 2: a checkpoint has origin, size and root"),
        (SPEC_TEXT.removesuffix("\n"), "line 3: a checkpoint ends"),
        (SPEC_TEXT.replace("example.com/behind-the-sofa", ""), "line 1: is empty"),
        (SPEC_TEXT.replace("example.com", "example\t"), "line 1: has a control"),
        (SPEC_TEXT.replace("20852163", "020852163"), "line 2: the size has a leading zero"),
        (SPEC_TEXT.replace("20852163", "+20852163"), "line 2: the size is not a decimal"),
        (SPEC_TEXT.replace("20852163", "-1"), "line 2: the size is not a decimal"),
        (SPEC_TEXT.replace("20852163", "2_0"), "line 2: the size is not a decimal"),
        (SPEC_TEXT.replace("20852163", "\u0662"), "line 2: the size is not a decimal"),
        (SPEC_TEXT.replace("20852163", ""), "line 2: the size is not a decimal"),
        (SPEC_TEXT.replace("20852163", " 20852163"), "line 2: the size is not a decimal"),
        (SPEC_TEXT.replace("20852163", str(2**63)), "line 2: the size is larger"),
        (SPEC_TEXT.replace("20852163", "1" * 5000), "line 2: the size is not a decimal"),
        (SPEC_TEXT.replace("20852163", "0"), "line 3: an empty tree"),
        (SPEC_TEXT.replace("CsUY", ""), "line 3: a root has 32 bytes, not 29"),
        (SPEC_TEXT.replace("q2I=", "q2J="), "line 3: the root is not canonical"),
        (SPEC_TEXT.replace("q2I=", "q2I"), "line 3: the root is not padded"),
        (SPEC_TEXT + "\n", "line 4: is empty"),
        (SPEC_TEXT + "extension\n\n", "line 5: is empty"),
    ],
)
def test_names_the_line_at_which_a_checkpoint_is_malformed(text: str, why: str):
    with pytest.raises(CheckpointInvalid, match=why):
        parse_checkpoint(text)


@given(st.integers(1, 2**63 - 1), st.binary(min_size=32, max_size=32))
def test_every_size_and_root_survive_the_text(size: int, root: bytes):
    checkpoint = Checkpoint("licd.example/log", size, root)
    assert parse_checkpoint(checkpoint.text()) == checkpoint


def test_the_largest_size_is_the_largest_signed_64_bit_number():
    checkpoint = Checkpoint("licd.example/log", 9223372036854775807, ROOT)
    assert parse_checkpoint(checkpoint.text()) == checkpoint


@given(st.text(max_size=200))
def test_any_text_is_refused_or_read_exactly(text: str):
    try:
        checkpoint = parse_checkpoint(text)
    except CheckpointInvalid:
        return
    assert checkpoint.text() == text


def test_an_empty_log_has_a_checkpoint():
    text = "licd.example/log\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
    assert parse_checkpoint(text) == Checkpoint("licd.example/log", 0, EMPTY_ROOT)


@pytest.mark.parametrize(("size", "root"), [(-1, ROOT), (2**63, ROOT), (1, ROOT[:31]), (0, ROOT)])
def test_refuses_values_no_checkpoint_can_have(size: int, root: bytes):
    with pytest.raises(CheckpointInvalid):
        Checkpoint("licd.example/log", size, root)


def test_finds_every_flipped_bit_of_a_signed_checkpoint():
    data = SIGNED.encode()
    for bit in range(len(data) * 8):
        with pytest.raises((NoteInvalid, CheckpointInvalid)):
            LOG.open(flip(data, bit))


# -- cosignatures


def test_the_cosigned_message_is_that_of_the_specification():
    expected = (
        b"cosignature/v1\ntime 1679315147\nexample.com/behind-the-sofa\n20852163\n"
        b"CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    )
    parsed = parse_note(SPEC_NOTE)
    seconds = int.from_bytes(parsed.signatures[1].signature[:8], "big")
    assert seconds == SPEC_SECONDS
    assert cosigned_message(parsed.text, seconds) == expected


@pytest.mark.parametrize("text", PUBLIC_WITNESS_KEYS)
def test_verifies_the_cosignatures_of_public_witnesses(text: str):
    key = decode_verifier_key(text)
    assert verify_cosignature(parse_note(PUBLIC_NOTE), key, verify) == 0x6A122120 * 1000
    with pytest.raises(NoteInvalid, match="does not hold"):
        verify_cosignature(parse_note(PUBLIC_NOTE.replace(b"1432088532", b"1432088533")), key, verify)


def test_a_cosigned_checkpoint_opens_for_log_and_witness_alike():
    cosigned = parse_note(SIGNED.with_signature(cosign(SIGNED, WITNESS, 1_700_000_000_999)).encode())
    assert LOG.check(cosigned).size == 42
    assert verify_cosignature(cosigned, WITNESS.key, verify) == 1_700_000_000_000


def test_a_newer_cosignature_replaces_the_older():
    once = SIGNED.with_signature(cosign(SIGNED, WITNESS, 1_000))
    twice = once.with_signature(cosign(once, WITNESS, 2_000))
    assert len(twice.signatures) == 2
    assert verify_cosignature(twice, WITNESS.key, verify) == 2_000


def test_finds_every_flipped_bit_of_a_cosignature():
    good = cosign(SIGNED, WITNESS, 1_700_000_000_000)
    for bit in range(72 * 8):
        note = SIGNED.with_signature(dataclasses.replace(good, signature=flip(good.signature, bit)))
        with pytest.raises(NoteInvalid):
            verify_cosignature(note, WITNESS.key, verify)


def test_refuses_a_cosignature_that_is_missing_or_cut_short():
    with pytest.raises(NoteInvalid, match=r"no cosignature by witness\.example/w1"):
        verify_cosignature(SIGNED, WITNESS.key, verify)
    short = NoteSignature(WITNESS.key.name, WITNESS.key.key_id, bytes(64))
    with pytest.raises(NoteInvalid, match=r"72 bytes, the one by witness\.example/w1 has 64"):
        verify_cosignature(SIGNED.with_signature(short), WITNESS.key, verify)


@pytest.mark.parametrize(("seconds", "holds"), [(2**63 - 1, True), (2**63, False)])
def test_a_cosignature_may_be_dated_up_to_the_end_of_signed_64_bit_time(seconds: int, holds: bool):
    signature = seconds.to_bytes(8, "big") + WITNESS.sign(cosigned_message(SIGNED.text, seconds))
    note = SIGNED.with_signature(NoteSignature(WITNESS.key.name, WITNESS.key.key_id, signature))
    if holds:
        assert verify_cosignature(note, WITNESS.key, verify) == seconds * 1000
    else:
        with pytest.raises(NoteInvalid, match="beyond 2"):
            verify_cosignature(note, WITNESS.key, verify)


def test_a_plain_signature_is_not_taken_for_a_cosignature():
    plain = make_signer(WITNESS.key.name, bytes(31) + b"w")
    with pytest.raises(ValueError, match="not for cosignatures"):
        cosign(SIGNED, plain, 0)
    with pytest.raises(ValueError, match="not for cosignatures"):
        verify_cosignature(SIGNED, plain.key, verify)


def test_refuses_to_cosign_before_1970():
    with pytest.raises(ValueError, match="before 1970"):
        cosign(SIGNED, WITNESS, -1)
