"""What a certificate says, who may have one, and for how long."""

import ipaddress
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from licd.keys.certificate_request import check_request, make_private_key, make_request
from licd.keys.identity import (
    ContactIdentity,
    Identity,
    IdentityError,
    OperatorIdentity,
    OverseerIdentity,
    ServerIdentity,
    SystemIdentity,
)
from licd.keys.pki import (
    Authority,
    CertificateError,
    identity_of,
    issue_leaf,
    key_thumbprint,
    make_authority,
    thumbprint,
)
from tests.keys.sample import DAY, DOMAIN, NOW, stream

AUTHORITY = make_authority(DOMAIN, "licd authority", now_ms=NOW, life_ms=100 * DAY, randomness=stream("authority"))
PEOPLE_AND_SYSTEMS: list[Identity] = [
    SystemIdentity("acme", "s1"),
    ContactIdentity("acme", "p1"),
    OperatorIdentity("anne"),
    OverseerIdentity("parliament"),
]
SERVER = ServerIdentity("licd1")
KEY = check_request(make_request(make_private_key()))


def leaf(
    identity: Identity = PEOPLE_AND_SYSTEMS[0], authority: Authority = AUTHORITY, **changes: Any
) -> x509.Certificate:
    asked: dict[str, Any] = {"now_ms": NOW, "life_ms": DAY, "randomness": stream("leaf")}
    if isinstance(identity, ServerIdentity):
        asked["dns_names"] = ["licd.example"]
    return issue_leaf(authority, KEY, identity, **(asked | changes))


def value_of(certificate: x509.Certificate, kind: type) -> tuple[Any, bool]:
    extension: Any = certificate.extensions.get_extension_for_class(kind)
    return extension.value, extension.critical


def instant(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, tz=UTC)


@pytest.mark.parametrize("identity", [*PEOPLE_AND_SYSTEMS, SERVER])
def test_a_certificate_says_who_its_owner_is(identity: Identity) -> None:
    assert identity_of(leaf(identity), DOMAIN) == identity


@pytest.mark.parametrize("identity", [*PEOPLE_AND_SYSTEMS, SERVER])
def test_a_leaf_is_for_its_own_side_of_the_channel_only(identity: Identity) -> None:
    usage, _ = value_of(leaf(identity), x509.ExtendedKeyUsage)
    server = isinstance(identity, ServerIdentity)
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH]


def test_a_leaf_signs_handshakes_and_nothing_else() -> None:
    usage, critical = value_of(leaf(), x509.KeyUsage)
    assert critical
    assert usage.digital_signature
    assert not any((usage.key_cert_sign, usage.crl_sign, usage.key_encipherment, usage.key_agreement))
    constraints, critical = value_of(leaf(), x509.BasicConstraints)
    assert (constraints.ca, critical) == (False, True)


def test_an_authority_signs_leaves_and_no_authorities() -> None:
    usage, critical = value_of(AUTHORITY.certificate, x509.KeyUsage)
    assert critical
    assert usage.key_cert_sign
    assert not usage.digital_signature
    constraints, critical = value_of(AUTHORITY.certificate, x509.BasicConstraints)
    assert (constraints.ca, constraints.path_length, critical) == (True, 0, True)


def test_a_leaf_names_the_key_that_signed_it() -> None:
    own, _ = value_of(AUTHORITY.certificate, x509.SubjectKeyIdentifier)
    issuer, _ = value_of(leaf(), x509.AuthorityKeyIdentifier)
    assert issuer.key_identifier == own.digest
    assert value_of(leaf(), x509.SubjectKeyIdentifier)[0] == x509.SubjectKeyIdentifier.from_public_key(KEY)
    leaf().verify_directly_issued_by(AUTHORITY.certificate)


def test_the_name_is_critical_because_the_subject_is_empty() -> None:
    assert not list(leaf().subject)
    assert value_of(leaf(), x509.SubjectAlternativeName)[1]


def test_a_certificate_begins_a_minute_early_and_ends_after_its_life() -> None:
    made = leaf(life_ms=3_600_000)
    assert made.not_valid_before_utc == instant(NOW - 60_000)
    assert made.not_valid_after_utc == instant(NOW + 3_600_000)


def test_a_certificate_does_not_outlive_its_authority() -> None:
    made = leaf(life_ms=1000 * DAY)
    assert made.not_valid_after_utc == AUTHORITY.certificate.not_valid_after_utc == instant(NOW + 100 * DAY)


@pytest.mark.parametrize("changes", [{"now_ms": NOW + 100 * DAY}, {"life_ms": 0}, {"life_ms": -1}])
def test_no_certificate_is_issued_that_would_never_be_valid(changes: dict[str, Any]) -> None:
    with pytest.raises(CertificateError, match="over before it begins"):
        leaf(**changes)


def test_a_server_says_where_it_answers() -> None:
    names, _ = value_of(leaf(SERVER, addresses=["127.0.0.1", "::1"]), x509.SubjectAlternativeName)
    assert names.get_values_for_type(x509.DNSName) == ["licd.example"]
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address(a) for a in ("127.0.0.1", "::1")]


@pytest.mark.parametrize(
    ("identity", "changes"),
    [
        (SERVER, {"dns_names": []}),
        (PEOPLE_AND_SYSTEMS[0], {"dns_names": ["licd.example"]}),
        (PEOPLE_AND_SYSTEMS[2], {"addresses": ["127.0.0.1"]}),
        (SERVER, {"dns_names": ["*.licd.example"]}),
        (SERVER, {"dns_names": ["Licd.example"]}),
        (SERVER, {"dns_names": ["licd.example\n"]}),
        (SERVER, {"dns_names": [""]}),
        (SERVER, {"addresses": ["127.0.0.256"]}),
        (SERVER, {"addresses": ["localhost"]}),
    ],
)
def test_refuses_to_issue(identity: Identity, changes: dict[str, Any]) -> None:
    with pytest.raises(CertificateError):
        leaf(identity, **changes)


def test_refuses_to_issue_to_a_name_that_could_not_be_read_back() -> None:
    with pytest.raises(IdentityError):
        leaf(OperatorIdentity("a/b"))


def test_serial_numbers_come_from_the_randomness_and_are_positive_and_short_enough() -> None:
    randomness = stream("serials")
    serials = {leaf(randomness=randomness).serial_number for _ in range(50)}
    assert len(serials) == 50
    assert all(0 < serial < 2**127 for serial in serials)
    assert leaf(randomness=bytes).serial_number > 0


def test_a_certificate_of_another_trust_domain_is_nobody_here() -> None:
    with pytest.raises(IdentityError):
        identity_of(leaf(), "other.example")


def test_an_authority_is_nobody() -> None:
    with pytest.raises(IdentityError):
        identity_of(AUTHORITY.certificate, DOMAIN)


def named(*names: x509.GeneralName) -> x509.Certificate:
    """A certificate with just these names, as a careless authority would sign it."""
    key = make_private_key()
    builder = x509.CertificateBuilder(
        issuer_name=x509.Name([]),
        subject_name=x509.Name([]),
        public_key=key.public_key(),
        serial_number=1,
        not_valid_before=instant(NOW),
        not_valid_after=instant(NOW + DAY),
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=True)
    return builder.sign(key, hashes.SHA256())


def uri(path: str) -> x509.UniformResourceIdentifier:
    return x509.UniformResourceIdentifier(f"spiffe://{DOMAIN}/{path}")


@pytest.mark.parametrize(
    "certificate",
    [named(), named(x509.DNSName("licd.example")), named(uri("operator/anne"), uri("operator/bert"))],
    ids=["no names", "no uri", "two uris"],
)
def test_a_certificate_without_exactly_one_uri_names_nobody(certificate: x509.Certificate) -> None:
    with pytest.raises(CertificateError):
        identity_of(certificate, DOMAIN)


@given(st.text(alphabet=st.characters(codec="ascii", exclude_characters="\x00"), max_size=40))
def test_any_uri_in_a_certificate_parses_or_is_refused(path: str) -> None:
    try:
        identity = identity_of(named(uri(path)), DOMAIN)
    except IdentityError:
        return
    assert identity is not None


def test_thumbprints_are_of_the_certificate_and_of_its_key() -> None:
    one, renewed = leaf(), leaf(randomness=stream("renewed"))
    assert thumbprint(one) == one.fingerprint(hashes.SHA256())
    assert thumbprint(one) != thumbprint(renewed)
    spki = hashes.Hash(hashes.SHA256())
    spki.update(KEY.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    assert key_thumbprint(KEY) == spki.finalize()
    public_key = renewed.public_key()
    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    assert key_thumbprint(public_key) == key_thumbprint(KEY)


def test_an_authority_does_not_show_its_key() -> None:
    assert "private_key" not in repr(AUTHORITY)


def test_an_authority_speaks_for_a_trust_domain() -> None:
    with pytest.raises(IdentityError):
        make_authority("Not A Domain", "licd authority", now_ms=NOW, life_ms=DAY, randomness=stream("x"))
