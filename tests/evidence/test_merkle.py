"""The tree against the published vectors, and against a slow recursive reference written from RFC 9162."""

from collections.abc import Callable
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licd.evidence import merkle
from licd.evidence.merkle import EMPTY, EMPTY_ROOT, Frontier, FrontierInvalid, ProofInvalid
from tests.evidence.sample import flip

BIGGEST = 70
LEAVES = [sha256(b"\x00" + str(number).encode()).digest() for number in range(BIGGEST)]

# Leaves, roots and proofs of the Certificate Transparency test suite (google/certificate-transparency,
# merkletree tests; today transparency-dev/merkle, testonly).
CT_DATA = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
CT_LEAVES = [merkle.leaf_hash(data) for data in CT_DATA]
CT_ROOTS = [bytes.fromhex(text) for text in (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)]  # fmt: skip
CT_INCLUSION = {
    (0, 8): ("96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
             "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
             "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"),
    (5, 8): ("bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
             "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
             "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"),
    (2, 3): ("fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",),
}  # fmt: skip
CT_CONSISTENCY = {
    (6, 8): ("0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
             "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
             "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"),
    (2, 5): ("5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
             "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"),
}  # fmt: skip


def slow_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 9162 section 2.1.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = slow_split(len(leaves))
    return sha256(b"\x01" + slow_root(leaves[:k]) + slow_root(leaves[k:])).digest()


def slow_path(m: int, leaves: list[bytes]) -> list[bytes]:
    """PATH of RFC 9162 section 2.1.3.1."""
    if len(leaves) == 1:
        return []
    k = slow_split(len(leaves))
    if m < k:
        return [*slow_path(m, leaves[:k]), slow_root(leaves[k:])]
    return [*slow_path(m - k, leaves[k:]), slow_root(leaves[:k])]


def slow_subproof(m: int, leaves: list[bytes], whole: bool) -> list[bytes]:
    """SUBPROOF of RFC 9162 section 2.1.4.1."""
    if m == len(leaves):
        return [] if whole else [slow_root(leaves)]
    k = slow_split(len(leaves))
    if m <= k:
        return [*slow_subproof(m, leaves[:k], whole), slow_root(leaves[k:])]
    return [*slow_subproof(m - k, leaves[k:], False), slow_root(leaves[:k])]


def slow_split(size: int) -> int:
    k = 1
    while k * 2 < size:
        k *= 2
    return k


ROOTS = [slow_root(LEAVES[:size]) for size in range(BIGGEST + 1)]


def holds(check: Callable[..., None], *arguments: object) -> bool:
    try:
        check(*arguments)
    except ProofInvalid:
        return False
    return True


# -- published vectors


def test_the_roots_of_the_ct_suite_come_out():
    assert [merkle.root_of(CT_LEAVES[:size]) for size in range(9)] == CT_ROOTS


@pytest.mark.parametrize(("index", "size"), CT_INCLUSION)
def test_the_inclusion_proofs_of_the_ct_suite_come_out_and_hold(index: int, size: int):
    proof = merkle.inclusion_proof(CT_LEAVES, index, size)
    assert [one.hex() for one in proof] == list(CT_INCLUSION[index, size])
    merkle.verify_inclusion(CT_LEAVES[index], index, size, proof, CT_ROOTS[size])


@pytest.mark.parametrize(("old", "new"), CT_CONSISTENCY)
def test_the_consistency_proofs_of_the_ct_suite_come_out_and_hold(old: int, new: int):
    proof = merkle.consistency_proof(CT_LEAVES, old, new)
    assert [one.hex() for one in proof] == list(CT_CONSISTENCY[old, new])
    merkle.verify_consistency(old, new, CT_ROOTS[old], CT_ROOTS[new], proof)


# -- every tree up to 70 leaves against the slow reference


def test_every_root_is_that_of_the_slow_reference():
    assert [merkle.root_of(LEAVES[:size]) for size in range(BIGGEST + 1)] == ROOTS


def test_every_inclusion_proof_is_that_of_the_slow_reference_and_holds():
    for size in range(1, BIGGEST + 1):
        for index in range(size):
            proof = merkle.inclusion_proof(LEAVES, index, size)
            assert list(proof) == slow_path(index, LEAVES[:size])
            merkle.verify_inclusion(LEAVES[index], index, size, proof, ROOTS[size])


def test_every_consistency_proof_is_that_of_the_slow_reference_and_holds():
    for new in range(1, BIGGEST + 1):
        for old in range(1, new + 1):
            proof = merkle.consistency_proof(LEAVES, old, new)
            assert list(proof) == slow_subproof(old, LEAVES[:new], True)
            merkle.verify_consistency(old, new, ROOTS[old], ROOTS[new], proof)


def test_an_inclusion_proof_holds_for_no_other_index():
    for size in range(1, 40):
        for index in range(size):
            proof = merkle.inclusion_proof(LEAVES, index, size)
            wrong = [at for at in range(size) if at != index
                     and holds(merkle.verify_inclusion, LEAVES[index], at, size, proof, ROOTS[size])]  # fmt: skip
            assert wrong == []


def test_an_inclusion_proof_holds_for_no_other_leaf_and_no_other_root():
    for size in range(2, 40):
        for index in range(size):
            proof = merkle.inclusion_proof(LEAVES, index, size)
            assert not holds(merkle.verify_inclusion, LEAVES[index - 1], index, size, proof, ROOTS[size])
            assert not holds(merkle.verify_inclusion, LEAVES[index], index, size, proof, ROOTS[size - 1])


def test_a_consistency_proof_holds_for_no_other_old_tree():
    for new in range(2, 40):
        for old in range(1, new):
            proof = merkle.consistency_proof(LEAVES, old, new)
            for other in range(1, new):
                if other != old:
                    assert not holds(merkle.verify_consistency, other, new, ROOTS[other], ROOTS[new], proof)


def test_a_proof_one_hash_shorter_or_longer_never_holds():
    for size in range(2, 40):
        for index in range(size):
            proof = merkle.inclusion_proof(LEAVES, index, size)
            for wrong in (proof[:-1], proof[1:], (*proof, LEAVES[0]), (LEAVES[0], *proof)):
                assert not holds(merkle.verify_inclusion, LEAVES[index], index, size, wrong, ROOTS[size])
        for old in range(1, size):
            proof = merkle.consistency_proof(LEAVES, old, size)
            for wrong in (proof[:-1], proof[1:], (*proof, LEAVES[0]), (LEAVES[0], *proof)):
                assert not holds(merkle.verify_consistency, old, size, ROOTS[old], ROOTS[size], wrong)


def test_says_whether_a_proof_is_too_short_or_too_long():
    inclusion = merkle.inclusion_proof(LEAVES, 2, 7)
    consistency = merkle.consistency_proof(LEAVES, 3, 7)
    with pytest.raises(ProofInvalid, match="has 2 hashes, too few for leaf 2 of 7"):
        merkle.verify_inclusion(LEAVES[2], 2, 7, inclusion[:-1], ROOTS[7])
    with pytest.raises(ProofInvalid, match="has 4 hashes, too many for leaf 2 of 7"):
        merkle.verify_inclusion(LEAVES[2], 2, 7, (*inclusion, LEAVES[0]), ROOTS[7])
    with pytest.raises(ProofInvalid, match="has 3 hashes, too few from 3 to 7"):
        merkle.verify_consistency(3, 7, ROOTS[3], ROOTS[7], consistency[:-1])
    with pytest.raises(ProofInvalid, match="has 5 hashes, too many from 3 to 7"):
        merkle.verify_consistency(3, 7, ROOTS[3], ROOTS[7], (*consistency, LEAVES[0]))


# -- a single flipped bit


@given(st.data())
def test_finds_any_flipped_bit_of_an_inclusion_proof(data: st.DataObject):
    size = data.draw(st.integers(2, BIGGEST))
    index = data.draw(st.integers(0, size - 1))
    parts = [LEAVES[index], ROOTS[size], *merkle.inclusion_proof(LEAVES, index, size)]
    place = data.draw(st.integers(0, len(parts) - 1))
    parts[place] = flip(parts[place], data.draw(st.integers(0, 255)))
    leaf, root, *proof = parts
    with pytest.raises(ProofInvalid, match="another root"):
        merkle.verify_inclusion(leaf, index, size, proof, root)


@given(st.data())
def test_finds_any_flipped_bit_of_a_consistency_proof(data: st.DataObject):
    new = data.draw(st.integers(2, BIGGEST))
    old = data.draw(st.integers(1, new - 1))
    parts = [ROOTS[old], ROOTS[new], *merkle.consistency_proof(LEAVES, old, new)]
    place = data.draw(st.integers(0, len(parts) - 1))
    parts[place] = flip(parts[place], data.draw(st.integers(0, 255)))
    old_root, new_root, *proof = parts
    with pytest.raises(ProofInvalid, match="does not lead to the"):
        merkle.verify_consistency(old, new, old_root, new_root, proof)


@given(
    st.integers(-3, 2**64),
    st.integers(-3, 2**64),
    st.lists(st.binary(max_size=40), max_size=70),
    st.binary(max_size=40),
)
def test_no_proof_crashes_the_verifiers(index: int, size: int, proof: list[bytes], root: bytes):
    assert not holds(merkle.verify_inclusion, LEAVES[0], index, size, [*proof, LEAVES[1]], root)
    assert not holds(merkle.verify_consistency, index, size, LEAVES[0], root, [*proof, LEAVES[1]])


# -- the edges of the rules


@pytest.mark.parametrize(("index", "size"), [(0, 0), (3, 3), (4, 3), (-1, 3)])
def test_refuses_a_leaf_outside_the_tree(index: int, size: int):
    with pytest.raises(ProofInvalid, match="no leaf"):
        merkle.verify_inclusion(LEAVES[0], index, size, (), ROOTS[3])
    with pytest.raises(ValueError, match="no leaf"):
        merkle.inclusion_proof(LEAVES, index, size)


def test_refuses_to_prove_from_fewer_leaves_than_the_tree_has():
    with pytest.raises(ValueError, match="needs as many leaf hashes"):
        merkle.inclusion_proof(LEAVES[:4], 0, 5)
    with pytest.raises(ValueError, match="needs as many leaf hashes"):
        merkle.consistency_proof(LEAVES[:4], 2, 5)


def test_refuses_a_tree_that_shrank():
    with pytest.raises(ProofInvalid, match="cannot extend"):
        merkle.verify_consistency(5, 4, ROOTS[5], ROOTS[4], ())
    with pytest.raises(ValueError, match="cannot extend"):
        merkle.consistency_proof(LEAVES, 5, 4)


def test_every_tree_extends_the_empty_one_with_an_empty_proof_only():
    merkle.verify_consistency(0, 7, EMPTY_ROOT, ROOTS[7], merkle.consistency_proof(LEAVES, 0, 7))
    with pytest.raises(ProofInvalid, match="empty proof"):
        merkle.verify_consistency(0, 7, EMPTY_ROOT, ROOTS[7], (LEAVES[0],))
    with pytest.raises(ProofInvalid, match="roots differ"):
        merkle.verify_consistency(0, 7, ROOTS[1], ROOTS[7], ())


def test_trees_of_one_size_are_consistent_only_when_equal():
    merkle.verify_consistency(7, 7, ROOTS[7], ROOTS[7], ())
    merkle.verify_consistency(0, 0, EMPTY_ROOT, EMPTY_ROOT, ())
    with pytest.raises(ProofInvalid, match="roots differ"):
        merkle.verify_consistency(7, 7, ROOTS[7], ROOTS[6], ())
    with pytest.raises(ProofInvalid, match="empty proof"):
        merkle.verify_consistency(7, 7, ROOTS[7], ROOTS[7], (LEAVES[0],))


def test_refuses_an_empty_proof_where_one_is_needed():
    with pytest.raises(ProofInvalid, match="from 3 to 5 is empty"):
        merkle.verify_consistency(3, 5, ROOTS[3], ROOTS[5], ())


def test_refuses_hashes_that_are_not_32_bytes():
    proof = merkle.inclusion_proof(LEAVES, 0, 2)
    with pytest.raises(ProofInvalid, match="32 bytes, not 31"):
        merkle.verify_inclusion(LEAVES[0][:31], 0, 2, proof, ROOTS[2])
    with pytest.raises(ProofInvalid, match="32 bytes, not 33"):
        merkle.verify_consistency(1, 2, ROOTS[1], ROOTS[2], (proof[0] + b"\x00",))


def test_a_leaf_cannot_be_passed_off_as_a_node():
    left, right = LEAVES[:2]
    assert merkle.leaf_hash(left + right) != merkle.node_hash(left, right)
    assert merkle.leaf_hash(b"\x01" + left + right) != merkle.node_hash(left, right)


# -- the frontier


def test_a_frontier_grown_leaf_by_leaf_has_every_root():
    frontier, roots = EMPTY, [EMPTY.root()]
    for leaf in LEAVES:
        frontier = frontier.append(leaf)
        roots.append(frontier.root())
    assert roots == ROOTS


@given(st.lists(st.integers(0, 20), max_size=8))
def test_a_frontier_grown_in_batches_equals_one_grown_at_once(batches: list[int]):
    frontier, start = EMPTY, 0
    for batch in batches:
        frontier = frontier.extend(LEAVES[start : start + batch])
        start = min(start + batch, BIGGEST)
    assert frontier == EMPTY.extend(LEAVES[:start])
    assert (frontier.size, frontier.root()) == (start, ROOTS[start])


def test_a_frontier_is_a_value_that_growing_leaves_alone():
    before = EMPTY.extend(LEAVES[:5])
    before.extend(LEAVES[5:9])
    assert (before.size, before.root()) == (5, ROOTS[5])


def test_a_frontier_survives_its_bytes_at_every_size():
    for size in range(BIGGEST + 1):
        frontier = EMPTY.extend(LEAVES[:size])
        data = frontier.to_bytes()
        assert len(data) == 8 + 32 * size.bit_count()
        assert Frontier.from_bytes(data) == frontier


@given(st.binary(max_size=120))
def test_bytes_that_are_no_frontier_are_refused_or_read_exactly(data: bytes):
    try:
        frontier = Frontier.from_bytes(data)
    except FrontierInvalid:
        return
    assert frontier.to_bytes() == data


def test_a_frontier_can_be_as_large_as_a_signed_64_bit_number_and_no_larger():
    largest = b"\x7f" + b"\xff" * 7 + bytes(32 * 63)
    assert Frontier.from_bytes(largest).size == 2**63 - 1
    with pytest.raises(FrontierInvalid, match="size 9223372036854775808"):
        Frontier.from_bytes(b"\x80" + bytes(7) + bytes(32))


@pytest.mark.parametrize(
    "data", [b"", b"\x00" * 7, b"\x00" * 9, b"\xff" * 8 + b"\x00" * 32 * 64, b"\x00" * 7 + b"\x03" + b"\x00" * 32]
)
def test_refuses_bytes_that_are_no_frontier(data: bytes):
    with pytest.raises(FrontierInvalid, match="a frontier"):
        Frontier.from_bytes(data)


def test_refuses_a_leaf_hash_of_another_length():
    with pytest.raises(ValueError, match="32 bytes, not 31"):
        EMPTY.append(LEAVES[0][:31])


def test_refuses_a_frontier_with_the_wrong_number_of_hashes():
    with pytest.raises(ValueError, match="cannot have 1 hashes"):
        Frontier(3, (LEAVES[0],))
