"""Proofs from stored subtree roots are those from the leaves, and read few of them."""

from collections.abc import Sequence
from hashlib import sha256

from hypothesis import given, settings
from hypothesis import strategies as st

from licd.evidence import merkle
from licd.evidence.merkle import TILE

LEAVES = [sha256(b"%d" % number).digest() for number in range(TILE * TILE + 3 * TILE + 77)]
LEVELS = [LEAVES]
while len(LEVELS[-1]) >= TILE:
    below = LEVELS[-1]
    LEVELS.append([merkle.root_of(below[at : at + TILE]) for at in range(0, len(below) - TILE + 1, TILE)])


class Stored:
    """The roots of a log, and how many were read."""

    def __init__(self) -> None:
        self.read = 0

    def __call__(self, level: int, first: int, end: int) -> Sequence[bytes]:
        found = LEVELS[level][first:end]
        assert len(found) == end - first
        self.read += len(found)
        return found


SIZES = st.one_of(
    st.integers(1, len(LEAVES)),
    st.sampled_from(
        [1, TILE - 1, TILE, TILE + 1, 2 * TILE, TILE * TILE - 1, TILE * TILE, TILE * TILE + 1, len(LEAVES)]
    ),
)


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_an_inclusion_proof_from_stored_roots_is_the_one_from_the_leaves(data: st.DataObject):
    size = data.draw(SIZES)
    index = data.draw(st.integers(0, size - 1))
    stored = Stored()
    proof = tuple(merkle.range_root(*each, stored) for each in merkle.inclusion_ranges(index, size))
    assert proof == merkle.inclusion_proof(LEAVES, index, size)
    assert stored.read <= 3 * TILE + 64


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_a_consistency_proof_from_stored_roots_is_the_one_from_the_leaves(data: st.DataObject):
    new = data.draw(SIZES)
    old = data.draw(st.integers(0, new))
    stored = Stored()
    proof = tuple(merkle.range_root(*each, stored) for each in merkle.consistency_ranges(old, new))
    assert proof == merkle.consistency_proof(LEAVES, old, new)
    assert stored.read <= 3 * TILE + 64
