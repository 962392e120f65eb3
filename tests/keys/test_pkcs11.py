"""A key on a PKCS#11 token signs as any other, and never leaves it. On SoftHSM2."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pkcs11
import pytest

from licd.keys.envelope import seal, verify
from licd.keys.kinds import KeyPurpose, Kind
from licd.keys.pkcs11_signer import Pkcs11Signer, TokenError, read_pin
from licd.keys.pkcs11_uri import Pkcs11Uri, Pkcs11UriError, parse_pkcs11_uri
from licd.keys.private_file import KeyFileError, KeyFileReason
from licd.server.doctor.examine import examine
from licd.server.doctor.finding import Level
from tests.ceremony import SECOND, Ceremonies
from tests.daemon import copy_state, make_state, serving
from tests.keys.sample import NOW, ring
from tests.keys.token import PIN, Token
from tests.office import Office
from tests.wired_system import joined

CHECKS = {"keys", "key files"}
PERMIT = KeyPurpose.PERMIT_ONLINE


@pytest.fixture
def signer(token: Token) -> Pkcs11Signer:
    return Pkcs11Signer(PERMIT, parse_pkcs11_uri(token.uri("permit")), token.module, read_pin(token.pin_file))


def test_what_a_token_signs_every_verifier_believes(signer: Pkcs11Signer) -> None:
    envelope = seal(Kind.PERMIT, b"payload", signer)
    assert verify(envelope, Kind.PERMIT, ring(signer), NOW).key_ids == (signer.key_id,)


def test_the_secret_stays_on_the_token(signer: Pkcs11Signer) -> None:
    assert signer._key[pkcs11.Attribute.SENSITIVE]
    assert not signer._key[pkcs11.Attribute.EXTRACTABLE]


def test_two_keys_of_one_token_are_used_side_by_side(token: Token, signer: Pkcs11Signer) -> None:
    other = Pkcs11Signer(KeyPurpose.EVIDENCE, parse_pkcs11_uri(token.uri("evidence")), token.module, PIN)
    assert other.key_id != signer.key_id
    assert len(other.sign(b"one")) == len(signer.sign(b"two")) == 64


def test_a_session_that_has_gone_is_opened_again(signer: Pkcs11Signer) -> None:
    before = signer.sign(b"message")
    signer._session.close()
    assert signer.sign(b"message") == before


def test_a_key_is_found_by_its_id_as_well(token: Token, signer: Pkcs11Signer) -> None:
    uri = parse_pkcs11_uri("pkcs11:token=licd%20test;id=%01")
    assert Pkcs11Signer(PERMIT, uri, token.module, PIN).public_key == signer.public_key


@pytest.mark.parametrize(
    ("label", "pin", "told"),
    [
        ("nobody", PIN, "there is no such Ed25519 key"),
        ("permit", "0000", "PinIncorrect|UserAlreadyLoggedIn"),
        ("twice", PIN, "more than one such"),
    ],
)
def test_a_key_that_cannot_be_used_is_refused_and_the_pin_is_never_told(
    fresh_process: None, token: Token, label: str, pin: str, told: str
) -> None:
    with pytest.raises(TokenError, match=told) as caught:
        Pkcs11Signer(PERMIT, parse_pkcs11_uri(token.uri(label)), token.module, pin)
    assert pin not in str(caught.value)


@pytest.fixture
def fresh_process(token: Token) -> Iterator[None]:
    """Nobody is logged in, as in a process that has just begun."""
    library = pkcs11.lib(str(token.module))
    library.reinitialize()
    yield
    library.reinitialize()


def test_a_public_key_that_does_not_belong_to_the_private_one_is_refused(token: Token) -> None:
    with pytest.raises(TokenError, match="does not fit the public key"):
        Pkcs11Signer(PERMIT, parse_pkcs11_uri(token.uri("mixed")), token.module, PIN)


def test_a_pin_that_others_may_read_is_refused(token: Token, tmp_path: Path) -> None:
    pin = tmp_path / "pin"
    pin.write_text(PIN)
    pin.chmod(0o640)
    with pytest.raises(KeyFileError) as caught:
        read_pin(pin)
    assert caught.value.reason is KeyFileReason.READABLE_BY_OTHERS


def test_the_permit_key_moves_from_a_file_to_a_token_without_a_restart(token: Token, tmp_path: Path) -> None:
    with serving(make_state(tmp_path / "state")) as daemon:
        office = Office(daemon)
        ceremonies = Ceremonies(daemon, office.alice)
        state = daemon.state
        text = (state.root / "licd.toml").read_text()
        (state.root / "pin").write_text(PIN)
        (state.root / "pin").chmod(0o600)
        keys = (
            f'[keys]\npermit_online = ["{token.uri("permit")}"]\npkcs11_module = "{token.module}"\npin_file = "pin"\n'
        )
        (state.root / "licd.toml").write_text(text + keys)
        on_token = Pkcs11Signer(PERMIT, parse_pkcs11_uri(token.uri("permit")), token.module, PIN)
        # The state is as old as this second, and of two keys the one that begins later signs.
        ceremonies.publish(ceremonies.add(on_token, begins=(ceremonies.now // SECOND + 1) * SECOND))
        daemon.clock.passed += 2 * 3_600_000
        assert daemon.up.daemon.keychain.signer(PERMIT).key_id == on_token.key_id
        joined(office)  # a permit by the token's key is believed
        (state.root / "keys/permit-online.key").rename(tmp_path / "put-away")
        found = [each.finding for each in examine(state.root, daemon.clock.wall()) if each.check in CHECKS]
        assert Level.FAIL not in {each.level for each in found}
        assert any(on_token.key_id in each.what for each in found)
        (tmp_path / "put-away").rename(state.root / "keys/permit-online.key")
    with serving(copy_state(state.root, tmp_path / "copy"), daemon.clock) as again:  # without [keys]: the file's key
        assert again.up.daemon.keychain.signer(PERMIT).key_id != on_token.key_id


# ------------------------------------------------------------------------------------------------------------ the URI
def test_reads_what_rfc_7512_writes() -> None:
    uri = parse_pkcs11_uri("pkcs11:token=a%20b;object=permit;id=%01%ff?module-path=/x.so&pin-source=file:/run/pin")
    assert uri == Pkcs11Uri("a b", b"", "permit", b"\x01\xff", Path("/x.so"), Path("/run/pin"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("file:/key", "no PKCS#11 URI"),
        ("pkcs11:token=t", "object or id"),
        ("pkcs11:object=o", "token or serial"),
        ("pkcs11:token=t;object=o;object=p", "twice"),
        ("pkcs11:token=t;object=o?pin-value=1234", "pin-value"),
        ("pkcs11:token=t;object=o;slot-id=1", "slot-id"),
        ("pkcs11:token=t;object=o;type=public", "private key"),
        ("pkcs11:token=t;object=o?pin-source=pin", "absolute"),
        ("pkcs11:token=%ff;object=o", "UTF-8"),
        ("pkcs11:token=t;object", "no attribute"),
        ("pkcs11:" + "x" * 3_000, "no PKCS#11 URI"),
    ],
)
def test_a_uri_that_could_mean_another_key_is_refused(text: str, told: str) -> None:
    with pytest.raises(Pkcs11UriError, match=told):
        parse_pkcs11_uri(text)
