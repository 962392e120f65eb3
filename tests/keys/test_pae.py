"""The pre-authentication encoding against the texts of the DSSE project (github.com/secure-systems-lab/dsse)."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from licd.keys.envelope import pae
from licd.keys.kinds import Kind

IN_TOTO = "application/vnd.in-toto+json"
STATEMENT = b'{"_type":"https://in-toto.io/Statement/v1"}'
KEY_A = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
KEY_B = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"

# testvectors/vectors.json: (key, type, body, signature).
VECTORS = [
    (KEY_A, IN_TOTO, STATEMENT,
     "2WAfaHm5jluo0w+0rk8uVkluELJYWjSmU9x7EUzx+AyteDGJ4/nqyJXfmAUVFIAoQafWm7AxBZNw5M9ixNHiCA=="),
    (KEY_B, IN_TOTO, STATEMENT,
     "c1+67/aT0yqEpwx8PsVY3MLHsj9D0CZ014/Fv/QlG59P+9CobUZ7xECJ/V3USG0Ob9CiE5LjReEZUzNF2l7eBw=="),
    (KEY_A, "application/vnd.exämple+json", STATEMENT,
     "xmSk/ug66ysT7ayhkCIjhAq42zgZXSsEWuzUaNL7w2eGAdF/NU6/fRXPtmfN+5DNSAs5/i2lUnHjbbjPsu0tAw=="),
    (KEY_A, IN_TOTO, b"",
     "gSggCAaTLTYyRH6FIDBem6meyIynsYy8RTHVzwx9tnTb7Bg/1jMWnuVgI/gffqmbsC2VX5/jHfkkDqsj7CDbDg=="),
    (KEY_A, "", STATEMENT,
     "iC3q/+3Rm0+lpAJRueDmDh15PnwCfxKmS0NAfKsbv+zgulXQC/WM9trc+j1XEqlwDIg/vf/uNfebeD6sxInrDg=="),
]  # fmt: skip


def test_encodes_the_example_of_the_protocol() -> None:
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_counts_bytes_and_not_characters() -> None:
    assert pae("ä", b"x").startswith(b"DSSEv1 2 ")


@pytest.mark.parametrize(("seed", "payload_type", "body", "signature"), VECTORS)
def test_signatures_over_it_are_those_of_the_dsse_project(
    seed: str, payload_type: str, body: bytes, signature: str
) -> None:
    made = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed)).sign(pae(payload_type, body))
    assert base64.b64encode(made).decode() == signature


@given(st.tuples(st.text(), st.binary()), st.tuples(st.text(), st.binary()))
def test_two_different_pairs_never_encode_alike(one: tuple[str, bytes], other: tuple[str, bytes]) -> None:
    assert (pae(*one) == pae(*other)) == (one == other)


@given(st.sampled_from(list(Kind)), st.binary())
def test_a_kinds_prefix_is_the_beginning_of_the_encoding(kind: Kind, payload: bytes) -> None:
    assert kind.pae_prefix + b"%d %b" % (len(payload), payload) == pae(kind.payload_type, payload)
