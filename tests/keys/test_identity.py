"""Who is at the other end has one spelling, and nothing else is read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licd.keys.identity import (
    ContactIdentity,
    Identity,
    IdentityError,
    OperatorIdentity,
    OverseerIdentity,
    ServerIdentity,
    SystemIdentity,
    check_trust_domain,
    parse_identity,
    parse_path,
    path_of,
    spiffe_uri,
)
from tests.keys.sample import DOMAIN

EXAMPLES = [
    (SystemIdentity("acme", "s-1"), "customer/acme/system/s-1"),
    (ContactIdentity("acme", "p.smith"), "customer/acme/contact/p.smith"),
    (OperatorIdentity("anne"), "operator/anne"),
    (OverseerIdentity("parliament"), "overseer/parliament"),
    (ServerIdentity("licd_1"), "server/licd_1"),
]
NAMES = st.from_regex(r"[a-z0-9]([a-z0-9._-]{0,30}[a-z0-9])?", fullmatch=True)
IDENTITIES = st.one_of(
    st.builds(SystemIdentity, NAMES, NAMES),
    st.builds(ContactIdentity, NAMES, NAMES),
    st.builds(OperatorIdentity, NAMES),
    st.builds(OverseerIdentity, NAMES),
    st.builds(ServerIdentity, NAMES),
)


@pytest.mark.parametrize(("identity", "path"), EXAMPLES)
def test_each_kind_of_identity_has_its_path(identity: Identity, path: str) -> None:
    assert path_of(identity) == path
    assert parse_path(path) == identity
    assert spiffe_uri(identity, DOMAIN) == f"spiffe://{DOMAIN}/{path}"
    assert parse_identity(f"spiffe://{DOMAIN}/{path}", DOMAIN) == identity


@given(IDENTITIES)
def test_whatever_is_written_is_read_back(identity: Identity) -> None:
    assert parse_identity(spiffe_uri(identity, DOMAIN), DOMAIN) == identity


@pytest.mark.parametrize(
    "path",
    [
        "", "/", "operator", "operator/", "/operator/anne", "operator/anne/", "operator//anne", "operator/anne/x",
        "customer/acme", "customer/acme/system", "customer/acme/system/", "customer//system/s", "customer/acme/seat/s",
        "customer/acme/system/s/x", "system/s", "root/anne", "Operator/anne",
        "operator/Anne", "operator/..", "operator/.",
        "operator/%61nne", "operator/a%2Fb", "operator/anne?x=1", "operator/anne#x", "operator/an ne", "operator/änne",
        "operator/anne\n", "operator/anne\x00", "operator/-anne", "operator/anne-", "operator/" + "a" * 129,
        "operator/anne:x", "operator/anne@x", "operator/\u0430nne",
    ],
)  # fmt: skip
def test_refuses_a_path(path: str) -> None:
    with pytest.raises(IdentityError):
        parse_path(path)
    with pytest.raises(IdentityError):
        parse_identity(f"spiffe://{DOMAIN}/{path}", DOMAIN)


@pytest.mark.parametrize(
    "uri",
    [
        "", "operator/anne", f"https://{DOMAIN}/operator/anne", f"SPIFFE://{DOMAIN}/operator/anne",
        "spiffe://other.example/operator/anne", f"spiffe://{DOMAIN}.evil.example/operator/anne",
        f"spiffe://{DOMAIN.upper()}/operator/anne", f"spiffe://{DOMAIN}:443/operator/anne",
        f"spiffe://anne@{DOMAIN}/operator/anne", f"spiffe:///{DOMAIN}/operator/anne", f"spiffe://{DOMAIN}",
        f"spiffe://{DOMAIN}/", f" spiffe://{DOMAIN}/operator/anne", f"spiffe://{DOMAIN}/operator/anne ",
        f"spiffe://{DOMAIN}/" + "a" * 3000, "spiffe:///operator/anne",
    ],
)  # fmt: skip
def test_refuses_a_uri(uri: str) -> None:
    with pytest.raises(IdentityError):
        parse_identity(uri, DOMAIN)


@given(st.text())
def test_no_text_does_anything_but_parse_or_be_refused(text: str) -> None:
    for prefix in ("", f"spiffe://{DOMAIN}/", f"spiffe://{DOMAIN}/operator/"):
        try:
            identity = parse_identity(prefix + text, DOMAIN)
        except IdentityError:
            continue
        assert spiffe_uri(identity, DOMAIN) == prefix + text


@pytest.mark.parametrize(
    "identity",
    [OperatorIdentity(""), OperatorIdentity("a/b"), OperatorIdentity("A"), SystemIdentity("a", "b/system/c")],
)
def test_does_not_write_what_it_could_not_read(identity: Identity) -> None:
    with pytest.raises(IdentityError):
        spiffe_uri(identity, DOMAIN)


@pytest.mark.parametrize("name", ["licd.example", "a", "a-1.b-2", "localhost", "x" * 63])
def test_takes_a_trust_domain(name: str) -> None:
    assert check_trust_domain(name) == name


@pytest.mark.parametrize(
    "name",
    ["", ".", "a.", ".a", "a..b", "-a", "a-", "A", "a_b", "a b", "a/b", "a:1", "ä", "a\n", "x" * 64,
     ".".join(["abc"] * 70)],
)  # fmt: skip
def test_refuses_a_trust_domain(name: str) -> None:
    with pytest.raises(IdentityError, match="trust domain"):
        check_trust_domain(name)
    with pytest.raises(IdentityError, match="trust domain"):
        parse_identity(f"spiffe://{name}/operator/anne", name)


def test_looks_no_further_into_a_uri_that_is_too_long() -> None:
    with pytest.raises(IdentityError, match="at most 2048 bytes"):
        parse_identity(f"spiffe://{DOMAIN}/" + "a" * 2048, DOMAIN)


def test_a_message_quotes_no_more_than_a_little_of_what_came() -> None:
    with pytest.raises(IdentityError) as caught:
        parse_path("A" * 2000)
    assert len(str(caught.value)) < 200
