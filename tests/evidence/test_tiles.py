"""The log as static files: paths and shapes of the specification and another implementation, proofs, and forgeries."""

from __future__ import annotations

import random  # noqa: TID251 - seeded mistakes
from functools import cache

import pytest

from licd.evidence import merkle
from licd.evidence.checkpoint import Checkpoint
from licd.evidence.merkle import consistency_ranges, inclusion_ranges, range_root
from licd.evidence.tiles import ENTRIES, TilesInvalid, TileWriter, check_tiles, roots_in, tile_path
from tests.evidence.sample import ORIGIN

SIZES = [0, 1, 255, 256, 257, 700, 65_536, 66_000]


def entry(number: int) -> bytes:
    return b"entry %d" % number


@cache
def leaves(size: int) -> tuple[bytes, ...]:
    return tuple(merkle.leaf_hash(entry(number)) for number in range(size))


@cache
def written(size: int) -> dict[str, bytes]:
    writer = TileWriter()
    files: dict[str, bytes] = {}
    for number in range(size):
        files.update(writer.add(entry(number)))
    return files | dict(writer.finish())


@cache
def stated(size: int) -> Checkpoint:
    return Checkpoint(ORIGIN, size, merkle.root_of(leaves(size)))


# -- published: the examples of c2sp.org/tlog-tiles, and the tables of github.com/transparency-dev/trillian-tessera,
# -- api/layout/paths_test.go


@pytest.mark.parametrize(
    ("level", "index", "width", "path"),
    [
        (0, 1234067, 256, "tile/0/x001/x234/067"),
        (0, 1234067, 89, "tile/0/x001/x234/067.p/89"),
        (ENTRIES, 0, 256, "tile/entries/000"),
        (ENTRIES, 255, 256, "tile/entries/255"),
        (ENTRIES, 123456789, 256, "tile/entries/x123/x456/789"),
        (ENTRIES, 123456789000, 256, "tile/entries/x123/x456/x789/000"),
        (1, 1000, 256, "tile/1/x001/000"),
        (3, 999, 7, "tile/3/999.p/7"),
    ],
)
def test_paths_are_those_of_the_specification(level: int | str, index: int, width: int, path: str):
    assert tile_path(level, index, width) == path


def test_a_tree_of_70_000_has_the_tiles_that_the_specification_counts():
    files = written(70_000)
    level = {n: [path for path in files if path.startswith(f"tile/{n}/")] for n in (0, 1, 2, 3)}
    partial = {n: [path for path in paths if ".p/" in path] for n, paths in level.items()}
    assert (len(level[0]), partial[0]) == (274, ["tile/0/273.p/112"])
    assert (len(level[1]), partial[1]) == (2, ["tile/1/001.p/17"])
    assert (level[2], level[3]) == (["tile/2/000.p/1"], [])
    assert all(len(files[path]) == 8192 for paths in level.values() for path in paths if ".p/" not in path)


def test_a_tree_of_256_is_a_full_tile_and_a_partial_one_above_it():
    assert sorted(written(256)) == ["tile/0/000", "tile/1/000.p/1", "tile/entries/000"]
    assert written(256)["tile/1/000.p/1"] == merkle.root_of(leaves(256))


def test_a_tile_is_the_tree_heads_that_the_specification_writes_down():
    files = written(66_000)
    heads = [merkle.root_of(leaves(66_000)[at << 8 : (at + 1) << 8]) for at in range(256)]
    assert files["tile/1/000"] == b"".join(heads)
    assert files["tile/0/001"] == b"".join(leaves(66_000)[256:512])


# -- whole logs


@pytest.mark.parametrize("size", SIZES)
def test_what_is_written_holds_with_what_was_held_before(size: int):
    held = [stated(each) for each in (0, 1, size // 2, size)]
    check_tiles(written(size).get, stated(size), [one for one in held if one.size <= size])


def test_a_full_file_is_never_changed_when_the_log_grows():
    early, late = written(700), written(66_000)
    assert {path for path in early if ".p/" not in path} <= set(late)
    assert all(late[path] == data for path, data in early.items() if ".p/" not in path)


@pytest.mark.parametrize("size", [1, 257, 700, 66_000])
def test_proofs_out_of_the_files_hold(size: int):
    roots = roots_in(written(size).get, size)
    for index in {0, size // 2, size - 1, min(size - 1, 256)}:
        proof = [range_root(a, b, roots) for a, b in inclusion_ranges(index, size)]
        merkle.verify_inclusion(leaves(size)[index], index, size, proof, stated(size).root)
    for old in {1, size // 3 or 1, size}:
        proof = [range_root(a, b, roots) for a, b in consistency_ranges(old, size)]
        merkle.verify_consistency(old, size, stated(old).root, stated(size).root, proof)


# -- forgeries


def test_another_history_than_the_held_one_is_refused():
    other = Checkpoint(ORIGIN, 300, merkle.root_of(leaves(700)[1:301]))
    with pytest.raises(TilesInvalid, match="the root over the first 300 entries is not the one in the held checkpoint"):
        check_tiles(written(700).get, stated(700), [other])
    with pytest.raises(TilesInvalid, match="is over 256 entries, and one over 700 is held"):
        check_tiles(written(256).get, stated(256), [stated(700)])


def test_every_file_is_needed_and_every_byte_of_it():
    size, chance = 700, random.Random(7)
    for path, data in written(size).items():
        files = written(size) | {}
        del files[path]
        with pytest.raises(TilesInvalid, match="is missing") as missing:
            check_tiles(files.get, stated(size))
        assert missing.value.path == path
        for changed in (data[:-1], data + b"\0", b"", *[altered(data, chance) for _ in range(20)]):
            with pytest.raises(TilesInvalid):
                check_tiles((files | {path: changed}).get, stated(size))


def altered(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]


def test_two_entries_that_changed_places_are_refused():
    files = written(700) | {}
    files["tile/entries/000"], files["tile/entries/001"] = files["tile/entries/001"], files["tile/entries/000"]
    with pytest.raises(TilesInvalid, match=r"tile/0/000: hash 0 is another"):
        check_tiles(files.get, stated(700))


def test_an_entry_too_long_for_a_bundle_is_refused():
    with pytest.raises(ValueError, match="up to 65535 bytes, not 65536"):
        list(TileWriter().add(bytes(65_536)))
