"""The Merkle tree of RFC 6962 section 2.1 and RFC 9162 section 2.1, over SHA-256.

Leaves are passed around as leaf hashes, 32 bytes each. Growing a log needs only its `Frontier`. A proof is a tuple
of hashes, nearest to the leaf first. The verify functions return nothing and raise `ProofInvalid` when a proof does
not hold, so that a forgotten `if` cannot turn a bad proof into a good one.
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Self

from licd.evidence.canonical import MAX_SIZE
from licd.evidence.errors import EvidenceInvalid

HASH_SIZE: Final = 32
EMPTY_ROOT: Final = sha256(b"").digest()
"""The root of a tree without leaves (RFC 6962 section 2.1)."""

TILE_BITS: Final = 8
TILE: Final = 1 << TILE_BITS
"""How many roots of one level make one of the next, where roots are stored (C2SP tlog-tiles)."""

Roots = Callable[[int, int, int], Sequence[bytes]]
"""(level, first, end): the roots of the subtrees first to end - 1 of TILE ** level leaves; at level 0 leaf hashes."""

_SIZE: Final = struct.Struct(">Q")


class ProofInvalid(EvidenceInvalid):
    """An inclusion or consistency proof does not lead to the root it was checked against."""


class FrontierInvalid(EvidenceInvalid):
    """Bytes that are no stored frontier: storage is damaged or of another version."""


def leaf_hash(data: bytes) -> bytes:
    """SHA-256(0x00 || data), 32 bytes."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right), 32 bytes."""
    return sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Frontier:
    """A tree reduced to what is needed to grow it: its size and the roots of its perfect subtrees, largest first.

    A value: `append` and `extend` answer a new frontier, so a rolled back transaction simply keeps the old one.
    Raises ValueError when the number of hashes does not fit the size, which has one per bit set.
    """

    size: int = 0
    edge: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.size <= MAX_SIZE or len(self.edge) != self.size.bit_count():
            raise ValueError(f"a frontier of size {self.size} cannot have {len(self.edge)} hashes")

    def append(self, leaf: bytes) -> "Frontier":
        """The frontier with one more leaf hash at the right. Raises ValueError unless it is 32 bytes."""
        return self.extend((leaf,))

    def extend(self, leaves: Iterable[bytes]) -> "Frontier":
        """The frontier with these leaf hashes added in order; about one hash and one microsecond a leaf."""
        edge = list(self.edge)
        size = self.size
        pop, push = edge.pop, edge.append
        for leaf in leaves:
            if len(leaf) != HASH_SIZE:
                raise ValueError(f"a leaf hash has 32 bytes, not {len(leaf)}")
            node, carry = leaf, size
            while carry & 1:
                node = sha256(b"\x01" + pop() + node).digest()
                carry >>= 1
            push(node)
            size += 1
        return Frontier(size, tuple(edge))

    def root(self) -> bytes:
        """The root of the whole tree; EMPTY_ROOT when there is no leaf. At most one hash per bit of the size."""
        if not self.edge:
            return EMPTY_ROOT
        root = self.edge[-1]
        for left in reversed(self.edge[:-1]):
            root = node_hash(left, root)
        return root

    def to_bytes(self) -> bytes:
        """Size as eight bytes big endian, then the hashes, largest subtree first: at most 2 024 bytes."""
        return _SIZE.pack(self.size) + b"".join(self.edge)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The frontier written by `to_bytes`. Raises FrontierInvalid."""
        if len(data) < _SIZE.size:
            raise FrontierInvalid(f"a frontier has at least 8 bytes, not {len(data)}")
        (size,) = _SIZE.unpack_from(data)
        expected = _SIZE.size + HASH_SIZE * size.bit_count()
        if size > MAX_SIZE or len(data) != expected:
            raise FrontierInvalid(f"a frontier of size {size} has {expected} bytes, not {len(data)}")
        return cls(size, tuple(data[at : at + HASH_SIZE] for at in range(_SIZE.size, expected, HASH_SIZE)))


EMPTY: Final = Frontier()
"""The frontier of a log that has no entry yet."""


def root_of(leaf_hashes: Iterable[bytes]) -> bytes:
    """The root over these leaf hashes (MTH of RFC 9162 section 2.1.1)."""
    return EMPTY.extend(leaf_hashes).root()


def inclusion_ranges(index: int, size: int) -> Iterator[tuple[int, int]]:
    """The leaf ranges [a, b) whose subtree roots are the inclusion proof of `index`, in proof order.

    Whoever stores subtree roots (tiles) can look them up instead of hashing leaves. Raises ValueError unless
    0 <= index < size.
    """
    if not 0 <= index < size:
        raise ValueError(f"no leaf {index} in a tree of size {size}")
    start, end = 0, size
    ranges = []
    while end - start > 1:
        middle = start + _left_size(end - start)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    return reversed(ranges)


def consistency_ranges(old: int, new: int) -> Iterator[tuple[int, int]]:
    """The leaf ranges [a, b) whose subtree roots prove that tree `new` extends tree `old`, in proof order.

    Raises ValueError unless 0 <= old <= new. Nothing is needed when old is 0 or equals new.
    """
    if not 0 <= old <= new:
        raise ValueError(f"a tree of size {new} cannot extend one of size {old}")
    if old == 0:
        return iter(())
    start, end = 0, new
    ranges = []
    while end != old:
        middle = start + _left_size(end - start)
        if old <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    if start:
        ranges.append((start, end))
    return reversed(ranges)


def inclusion_proof(leaf_hashes: Sequence[bytes], index: int, size: int) -> tuple[bytes, ...]:
    """The proof that leaf `index` is in the tree of the first `size` leaves (PATH of RFC 9162 section 2.1.3.1).

    Hashes every leaf once, so O(size). Raises ValueError when there is no such leaf.
    """
    _need(leaf_hashes, size)
    return tuple(root_of(leaf_hashes[start:end]) for start, end in inclusion_ranges(index, size))


def consistency_proof(leaf_hashes: Sequence[bytes], old: int, new: int) -> tuple[bytes, ...]:
    """The proof that the tree of size `new` only adds to the tree of size `old` (RFC 9162 section 2.1.4.1).

    Empty when old is 0 or equals new. Hashes every leaf once. Raises ValueError when the sizes do not fit.
    """
    _need(leaf_hashes, new)
    return tuple(root_of(leaf_hashes[start:end]) for start, end in consistency_ranges(old, new))


def range_root(start: int, end: int, roots: Roots) -> bytes:
    """The root over the leaves [start, end), a range as `inclusion_ranges` and `consistency_ranges` give them.

    Reads the largest whole subtrees there are: at most 255 roots of each level.
    """
    edge: list[bytes] = []
    at = start
    for level in range((end - start).bit_length() // TILE_BITS, -1, -1):
        bits = TILE_BITS * level
        first, count = at >> bits, (end - at) >> bits
        for node in roots(level, first, first + count):
            edge.append(_joined(edge, node, (at - start) >> bits))
            at += 1 << bits
    return Frontier(end - start, tuple(edge)).root()


def _joined(edge: list[bytes], node: bytes, before: int) -> bytes:
    """The node with the subtrees of its own size that it completes, which leave the edge."""
    while before & 1:
        node = node_hash(edge.pop(), node)
        before >>= 1
    return node


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Raise ProofInvalid unless `leaf` (a leaf hash) is number `index` of the tree of this size and root.

    The loop of RFC 9162 section 2.1.3.2. Size and root must come from one signed checkpoint: a root alone does
    not fix the size.
    """
    if not 0 <= index < size:
        raise ProofInvalid(f"no leaf {index} in a tree of size {size}")
    _need_hashes((leaf, root, *proof))
    at, last, node = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise ProofInvalid(f"the proof has {len(proof)} hashes, too many for leaf {index} of {size}")
        if at & 1 or at == last:
            node = node_hash(sibling, node)
            at, last = _climb(at, last)
        else:
            node = node_hash(node, sibling)
        at, last = at >> 1, last >> 1
    if last != 0:
        raise ProofInvalid(f"the proof has {len(proof)} hashes, too few for leaf {index} of {size}")
    if node != root:
        raise ProofInvalid(f"the proof for leaf {index} of {size} leads to another root")


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Raise ProofInvalid unless the tree (new, new_root) extends the tree (old, old_root).

    The loop of RFC 9162 section 2.1.4.2; in addition every tree extends the empty one, with an empty proof.
    """
    if not 0 <= old <= new:
        raise ProofInvalid(f"a tree of size {new} cannot extend one of size {old}")
    _need_hashes((old_root, new_root, *proof))
    if old in (0, new):
        _verify_trivial(old_root, new_root if old == new else EMPTY_ROOT, proof)
        return
    path = (old_root, *proof) if old.bit_count() == 1 else tuple(proof)
    if not path:
        raise ProofInvalid(f"the proof from {old} to {new} is empty")
    at, last = _skip_right_edges(old - 1, new - 1)
    from_old = from_new = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise ProofInvalid(f"the proof has {len(proof)} hashes, too many from {old} to {new}")
        if at & 1 or at == last:
            from_old, from_new = node_hash(sibling, from_old), node_hash(sibling, from_new)
            at, last = _climb(at, last)
        else:
            from_new = node_hash(from_new, sibling)
        at, last = at >> 1, last >> 1
    if last != 0:
        raise ProofInvalid(f"the proof has {len(proof)} hashes, too few from {old} to {new}")
    if from_old != old_root:
        raise ProofInvalid(f"the proof from {old} to {new} does not lead to the old root")
    if from_new != new_root:
        raise ProofInvalid(f"the proof from {old} to {new} does not lead to the new root")


def _left_size(size: int) -> int:
    """The largest power of two smaller than `size`, for size > 1: where RFC 9162 splits a tree."""
    return 1 << ((size - 1).bit_length() - 1)


def _climb(at: int, last: int) -> tuple[int, int]:
    """Skip the levels at which the node at the right edge has no sibling."""
    while at and not at & 1:
        at, last = at >> 1, last >> 1
    return at, last


def _skip_right_edges(at: int, last: int) -> tuple[int, int]:
    """From the last leaf up to the largest perfect subtree that ends with it."""
    while at & 1:
        at, last = at >> 1, last >> 1
    return at, last


def _verify_trivial(old_root: bytes, expected: bytes, proof: Sequence[bytes]) -> None:
    if proof:
        raise ProofInvalid("trees of equal size, or an empty old tree, need an empty proof")
    if old_root != expected:
        raise ProofInvalid("the roots differ")


def _need(leaf_hashes: Sequence[bytes], size: int) -> None:
    if size > len(leaf_hashes):
        raise ValueError(f"a tree of size {size} needs as many leaf hashes, there are {len(leaf_hashes)}")


def _need_hashes(hashes: Iterable[bytes]) -> None:
    for one in hashes:
        if len(one) != HASH_SIZE:
            raise ProofInvalid(f"a hash has 32 bytes, not {len(one)}")
