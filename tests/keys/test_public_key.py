"""Which 32 bytes are a public key. The curve is done here once more, slowly, from RFC 8032, section 5.1."""

from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licd.keys.kinds import KeyPurpose
from licd.keys.public_key import _SMALL_ORDER_Y, PublicKeyError, parse_public_key
from licd.keys.signer import MemorySigner

P = 2**255 - 19
D = -121665 * pow(121666, P - 2, P) % P
NEUTRAL = (0, 1)

Point: TypeAlias = tuple[int, int]


def add(one: Point, other: Point) -> Point:
    (x1, y1), (x2, y2) = one, other
    product = D * x1 * x2 * y1 * y2
    x = (x1 * y2 + x2 * y1) * pow(1 + product, P - 2, P)
    y = (y1 * y2 + x1 * x2) * pow(1 - product, P - 2, P)
    return x % P, y % P


def x_of(y: int) -> int | None:
    """An x on the curve beside this y, or None."""
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    return x if x * x % P == square else None


def times_eight(point: Point) -> Point:
    for _ in range(3):
        point = add(point, point)
    return point


def torsion() -> set[Point]:
    """Every point whose order divides eight: multiply any points by the prime order of the large subgroup."""
    order = 2**252 + 27742317777372353535851937790883648493
    found = {NEUTRAL}
    for y in range(2, 20):
        x = x_of(y)
        if x is None:
            continue
        product, power, bits = NEUTRAL, (x, y), order
        while bits:
            if bits & 1:
                product = add(product, power)
            power, bits = add(power, power), bits >> 1
        found |= {product, (-product[0] % P, product[1])}
    return found


def test_there_are_eight_points_of_small_order_and_the_list_has_them_all() -> None:
    points = torsion()
    assert len(points) == 8
    assert all(times_eight(point) == NEUTRAL for point in points)
    assert {y for _, y in points} == _SMALL_ORDER_Y


@pytest.mark.parametrize("sign", [0, 1])
@pytest.mark.parametrize("y", sorted(_SMALL_ORDER_Y))
def test_refuses_a_point_of_small_order(y: int, sign: int) -> None:
    with pytest.raises(PublicKeyError, match="small order"):
        parse_public_key((y | sign << 255).to_bytes(32, "little"))


@pytest.mark.parametrize("sign", [0, 1])
@pytest.mark.parametrize("y", [P, P + 1, 2**255 - 1])
def test_refuses_a_second_spelling_of_a_point(y: int, sign: int) -> None:
    with pytest.raises(PublicKeyError, match="canonical"):
        parse_public_key((y | sign << 255).to_bytes(32, "little"))


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_refuses_another_length(length: int) -> None:
    with pytest.raises(PublicKeyError, match=f"32 bytes, not {length}"):
        parse_public_key(bytes(length))


@given(st.binary(min_size=32, max_size=32))
def test_accepts_every_key_that_is_made(seed: bytes) -> None:
    public_key = MemorySigner(KeyPurpose.ROOT, seed).public_key
    assert parse_public_key(public_key).raw == public_key
