from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from licd.keys.certificate_request import make_private_key
from licd.keys.identity import IdentityError, OperatorIdentity
from licd.keys.pem_files import (
    MAX_PEM_BYTES,
    certificates_from_pem,
    certificates_to_pem,
    load_authority,
    private_key_to_pem,
    read_private_key,
    write_certificates,
    write_private_key,
)
from licd.keys.pki import CertificateError, issue_leaf, make_authority
from licd.keys.private_file import KeyFileError, KeyFileReason, write_new
from tests.keys.sample import DAY, DOMAIN, NOW, stream

AUTHORITY = make_authority(DOMAIN, "licd authority", now_ms=NOW, life_ms=DAY, randomness=stream("authority"))
KEY = make_private_key()
LEAF = issue_leaf(
    AUTHORITY, KEY.public_key(), OperatorIdentity("anne"), now_ms=NOW, life_ms=DAY, randomness=stream("leaf")
)


def test_an_authority_comes_back_as_it_was_made(tmp_path: Path) -> None:
    write_certificates(tmp_path / "ca.pem", [AUTHORITY.certificate])
    write_private_key(tmp_path / "ca.key", AUTHORITY.private_key)
    read = load_authority(DOMAIN, tmp_path / "ca.pem", tmp_path / "ca.key")
    assert (read.trust_domain, read.certificate) == (DOMAIN, AUTHORITY.certificate)
    assert private_key_to_pem(read.private_key) == private_key_to_pem(AUTHORITY.private_key)


def test_a_key_is_for_its_owner_alone_and_a_certificate_for_everybody(tmp_path: Path) -> None:
    write_private_key(tmp_path / "leaf.key", KEY)
    write_certificates(tmp_path / "leaf.pem", [LEAF, AUTHORITY.certificate])
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("leaf.key", "leaf.pem")] == [0o600, 0o644]


def test_a_chain_is_written_leaf_first_and_a_renewed_one_takes_its_place(tmp_path: Path) -> None:
    write_certificates(tmp_path / "leaf.pem", [AUTHORITY.certificate])
    write_certificates(tmp_path / "leaf.pem", [LEAF, AUTHORITY.certificate])
    assert certificates_from_pem((tmp_path / "leaf.pem").read_bytes()) == (LEAF, AUTHORITY.certificate)


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    write_private_key(tmp_path / "leaf.key", KEY)
    with pytest.raises(KeyFileError) as caught:
        write_private_key(tmp_path / "leaf.key", make_private_key())
    assert caught.value.reason is KeyFileReason.EXISTS


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    write_private_key(tmp_path / "leaf.key", KEY)
    (tmp_path / "leaf.key").chmod(0o640)
    with pytest.raises(KeyFileError) as caught:
        read_private_key(tmp_path / "leaf.key")
    assert caught.value.reason is KeyFileReason.READABLE_BY_OTHERS


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        certificates_to_pem([LEAF]),
        KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")),
        private_key_to_pem(ec.generate_private_key(ec.SECP384R1())),
        ed25519.Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    ],
    ids=["empty", "damaged", "certificate", "encrypted", "p384", "ed25519"],
)
def test_what_is_no_p256_key_is_refused(tmp_path: Path, pem: bytes) -> None:
    write_new(tmp_path / "key", pem)
    with pytest.raises(KeyFileError) as caught:
        read_private_key(tmp_path / "key")
    assert caught.value.reason is KeyFileReason.MALFORMED


@pytest.mark.parametrize("pem", [b"", b"text", private_key_to_pem(KEY), certificates_to_pem([LEAF])[:-40]])
def test_what_is_no_certificate_is_refused(pem: bytes) -> None:
    with pytest.raises(CertificateError):
        certificates_from_pem(pem)


def test_reads_so_much_pem_and_no_more() -> None:
    with pytest.raises(CertificateError, match="more than"):
        certificates_from_pem(b" " * (MAX_PEM_BYTES + 1))


def test_a_certificate_and_a_key_that_do_not_belong_together_are_no_authority(tmp_path: Path) -> None:
    write_certificates(tmp_path / "ca.pem", [AUTHORITY.certificate])
    write_private_key(tmp_path / "ca.key", KEY)
    with pytest.raises(CertificateError, match="do not belong together"):
        load_authority(DOMAIN, tmp_path / "ca.pem", tmp_path / "ca.key")


def test_an_authority_is_loaded_for_a_trust_domain(tmp_path: Path) -> None:
    write_certificates(tmp_path / "ca.pem", [AUTHORITY.certificate])
    write_private_key(tmp_path / "ca.key", AUTHORITY.private_key)
    with pytest.raises(IdentityError):
        load_authority("", tmp_path / "ca.pem", tmp_path / "ca.key")
