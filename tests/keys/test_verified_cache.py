"""The cache answers as `open_envelope` does, whatever has changed in between."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licd.keys.ed25519 import PublicKey
from licd.keys.envelope import open_envelope, seal
from licd.keys.keyring import Keyring
from licd.keys.kinds import KeyPurpose, Kind
from licd.keys.seal_reasons import SealInvalid, SealReason
from licd.keys.verified_cache import VerifiedCache
from tests.keys.sample import DAY, NOW, key, ring, signer

ONLINE, OTHER = signer(KeyPurpose.PERMIT_ONLINE), signer(KeyPurpose.PERMIT_ONLINE, 2)
PERMIT = seal(Kind.PERMIT, b"leases", ONLINE).SerializeToString()


@dataclass
class Counting:
    """Counts the signatures that are really checked."""

    inner: PublicKey
    count: int = 0

    def verify(self, signature: bytes, message: bytes) -> None:
        self.count += 1
        self.inner.verify(signature, message)


def counted(version: int = 1) -> tuple[Keyring, Counting]:
    known = key(ONLINE)
    counting = Counting(known.parsed)
    return Keyring([replace(known, parsed=cast("PublicKey", counting))], version=version), counting


def reason_of(cache: VerifiedCache, raw: bytes, kind: Kind, keyring: Keyring, now: int = NOW) -> SealReason:
    with pytest.raises(SealInvalid) as caught:
        cache.open(raw, kind, keyring, now)
    return caught.value.reason


def test_the_same_bytes_are_verified_once() -> None:
    keyring, counting = counted()
    cache = VerifiedCache()
    first = cache.open(PERMIT, Kind.PERMIT, keyring, NOW)
    assert all(cache.open(PERMIT, Kind.PERMIT, keyring, NOW + later) is first for later in range(5))
    assert counting.count == 1


def test_another_bundle_verifies_again() -> None:
    cache = VerifiedCache()
    cache.open(PERMIT, Kind.PERMIT, counted(version=1)[0], NOW)
    keyring, counting = counted(version=2)
    cache.open(PERMIT, Kind.PERMIT, keyring, NOW)
    assert counting.count == 1


@pytest.mark.parametrize(
    ("now", "reason"), [(NOW - DAY - 1, SealReason.KEY_NOT_YET_VALID), (NOW + DAY, SealReason.KEY_EXPIRED)]
)
def test_the_keys_validity_is_looked_at_on_every_use(now: int, reason: SealReason) -> None:
    cache = VerifiedCache()
    cache.open(PERMIT, Kind.PERMIT, ring(ONLINE), NOW)
    assert reason_of(cache, PERMIT, Kind.PERMIT, ring(ONLINE), now) is reason


def test_a_key_withdrawn_since_is_refused_even_under_the_same_version() -> None:
    cache = VerifiedCache()
    cache.open(PERMIT, Kind.PERMIT, ring(ONLINE), NOW)
    withdrawn = ring(ONLINE, withdrawn=[ONLINE.key_id])
    assert reason_of(cache, PERMIT, Kind.PERMIT, withdrawn) is SealReason.KEY_WITHDRAWN


def test_what_one_systems_keyring_verified_is_not_good_for_anothers() -> None:
    cache = VerifiedCache()
    mine, other = signer(KeyPurpose.SYSTEM, 1), signer(KeyPurpose.SYSTEM, 2)
    link = seal(Kind.LINK, b"link", mine).SerializeToString()
    cache.open(link, Kind.LINK, ring(mine, version=0), NOW)
    assert reason_of(cache, link, Kind.LINK, ring(other, version=0)) is SealReason.KEY_UNKNOWN


def test_a_key_that_has_changed_its_owner_since_is_read_anew() -> None:
    cache = VerifiedCache()
    cache.open(PERMIT, Kind.PERMIT, Keyring([key(ONLINE, owner="")]), NOW)
    moved = cache.open(PERMIT, Kind.PERMIT, Keyring([key(ONLINE, owner="operator/o")]), NOW)
    assert moved.owners == {"operator/o"}


def test_a_kind_remembered_is_not_good_for_another_kind() -> None:
    cache = VerifiedCache()
    cache.open(PERMIT, Kind.PERMIT, ring(ONLINE), NOW)
    assert reason_of(cache, PERMIT, Kind.DENIAL, ring(ONLINE)) is SealReason.KIND_MISMATCH


def test_a_threshold_of_one_remembered_is_not_good_for_two() -> None:
    cache = VerifiedCache()
    cache.open(PERMIT, Kind.PERMIT, ring(ONLINE, OTHER), NOW)
    with pytest.raises(SealInvalid) as caught:
        cache.open(PERMIT, Kind.PERMIT, ring(ONLINE, OTHER), NOW, threshold=2)
    assert caught.value.reason is SealReason.TOO_FEW_SIGNATURES


def test_one_byte_more_is_another_envelope() -> None:
    cache = VerifiedCache()
    cache.open(PERMIT, Kind.PERMIT, ring(ONLINE), NOW)
    assert reason_of(cache, PERMIT + b"\x00", Kind.PERMIT, ring(ONLINE)) is SealReason.MALFORMED


def test_refusals_are_not_kept() -> None:
    cache = VerifiedCache()
    assert reason_of(cache, PERMIT, Kind.PERMIT, ring(OTHER)) is SealReason.KEY_UNKNOWN
    assert len(cache) == 0
    assert cache.open(PERMIT, Kind.PERMIT, ring(ONLINE), NOW).payload == b"leases"


def test_what_was_not_used_for_longest_is_forgotten_first() -> None:
    keyring, counting = counted()
    cache = VerifiedCache(capacity=2)
    one, two, three = (seal(Kind.PERMIT, bytes([n]), ONLINE).SerializeToString() for n in range(3))
    for raw in (one, two, one, three, one):
        cache.open(raw, Kind.PERMIT, keyring, NOW)
    assert (counting.count, len(cache)) == (3, 2)
    cache.open(two, Kind.PERMIT, keyring, NOW)
    assert counting.count == 4


def test_forgets_everything_when_asked() -> None:
    keyring, counting = counted()
    cache = VerifiedCache()
    cache.open(PERMIT, Kind.PERMIT, keyring, NOW)
    cache.clear()
    cache.open(PERMIT, Kind.PERMIT, keyring, NOW)
    assert counting.count == 2


def test_a_cache_of_nothing_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="at least one"):
        VerifiedCache(capacity=0)


STEPS = st.lists(
    st.tuples(
        st.sampled_from([PERMIT, seal(Kind.DENIAL, b"no", OTHER).SerializeToString(), PERMIT[:-1]]),
        st.sampled_from([Kind.PERMIT, Kind.DENIAL]),
        st.sampled_from([ring(ONLINE), ring(OTHER), ring(ONLINE, OTHER), ring(ONLINE, withdrawn=[ONLINE.key_id])]),
        st.sampled_from([NOW, NOW + DAY, NOW - 2 * DAY]),
    )
)


def outcome(call: Callable[..., object], *arguments: Any) -> object:
    try:
        return call(*arguments)
    except SealInvalid as refused:
        return refused.reason


@given(STEPS)
def test_answers_as_if_it_were_not_there(steps: list[tuple[bytes, Kind, Keyring, int]]) -> None:
    cache = VerifiedCache(capacity=2)
    for step in steps:
        assert outcome(cache.open, *step) == outcome(open_envelope, *step)
