import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licd.policy.lines import KeyPath, locate
from tests.policy.folder import SHIPPED

DOCUMENT = '''\
# a comment with [brackets] and "quotes"
title = "a # that is no comment" # and one that is
'quoted key' = 1
"k\\u00e9y" = 2
a.b . c = 3

[table]
list = [ # here
  "one",
  # between
  "two", [
    3, 4 ],
] # after
inline = { x = 1, y = { z = [5, 6] }, "q.r" = 7 }

[table.below]
long = """
first
\\""" still
[not.a.table]
""" # end
raw = \'\'\'
it\'s
[[neither]]\'\'\'
date = 1979-05-27 07:32:00
after = true

[[row]]
n = 1
  [row.of]
  deep = 1
  [[row.of.cells]]
  c = 1
  [[row.of.cells]]
  c = 2
[[row]]
n = 2
  [[row.of.cells]]
  c = 3
[last]
'''

EXPECTED: dict[KeyPath, int] = {
    (): 1,
    ("title",): 2,
    ("quoted key",): 3,
    ("kéy",): 4,
    ("a",): 5,
    ("a", "b"): 5,
    ("a", "b", "c"): 5,
    ("table",): 7,
    ("table", "list"): 8,
    ("table", "list", 0): 9,
    ("table", "list", 1): 11,
    ("table", "list", 2): 11,
    ("table", "list", 2, 0): 12,
    ("table", "list", 2, 1): 12,
    ("table", "inline"): 14,
    ("table", "inline", "x"): 14,
    ("table", "inline", "y"): 14,
    ("table", "inline", "y", "z"): 14,
    ("table", "inline", "y", "z", 0): 14,
    ("table", "inline", "y", "z", 1): 14,
    ("table", "inline", "q.r"): 14,
    ("table", "below"): 16,
    ("table", "below", "long"): 17,
    ("table", "below", "raw"): 22,
    ("table", "below", "date"): 25,
    ("table", "below", "after"): 26,
    ("row",): 28,
    ("row", 0): 28,
    ("row", 0, "n"): 29,
    ("row", 0, "of"): 30,
    ("row", 0, "of", "deep"): 31,
    ("row", 0, "of", "cells"): 32,
    ("row", 0, "of", "cells", 0): 32,
    ("row", 0, "of", "cells", 0, "c"): 33,
    ("row", 0, "of", "cells", 1): 34,
    ("row", 0, "of", "cells", 1, "c"): 35,
    ("row", 1): 36,
    ("row", 1, "n"): 37,
    ("row", 1, "of"): 38,
    ("row", 1, "of", "cells"): 38,
    ("row", 1, "of", "cells", 0): 38,
    ("row", 1, "of", "cells", 0, "c"): 39,
    ("last",): 40,
}


def paths_of(value: Any, path: KeyPath = ()) -> set[KeyPath]:
    found = {path}
    if isinstance(value, dict):
        for key, item in value.items():
            found |= paths_of(item, (*path, key))
    if isinstance(value, list):
        for index, item in enumerate(value):
            found |= paths_of(item, (*path, index))
    return found


def test_finds_every_kind_of_key_at_its_line():
    assert dict(locate(DOCUMENT)) == EXPECTED
    assert paths_of(tomllib.loads(DOCUMENT)) == set(EXPECTED)


def test_line_endings_of_another_system_do_not_move_lines():
    assert dict(locate(DOCUMENT.replace("\n", "\r\n"))) == EXPECTED


@pytest.mark.parametrize(
    "text", ["", "\n", "# only a comment", "a = 1", "[t]", "a = []", "a = {}", 'a = ""', "a = ''''''"]
)
def test_finds_what_little_there_is(text: str):
    assert set(locate(text)) == paths_of(tomllib.loads(text))


@pytest.mark.parametrize(
    "value",
    [
        '""""""""',
        '"""a"""""',
        '"""a\\\\"""',
        '"\\\\"',
        "'\\'",
        '"\\""',
        "'''''''",
        "-1",
        "+inf",
        "0xf_f",
        "1e3",
        "07:32:00",
    ],
)
def test_a_value_ends_where_toml_ends_it(value: str):
    text = f"a = {value}\nb = [{value}, 2]\nc = {{ d = {value} }}\ne = 1\n"
    assert set(locate(text)) == paths_of(tomllib.loads(text))
    assert locate(text)["e",] == 4


@pytest.mark.parametrize("file", sorted(SHIPPED.rglob("*.toml")), ids=lambda file: file.name)
def test_finds_every_part_of_the_shipped_policies(file: Path):
    text = file.read_text(encoding="utf-8")
    where = locate(text)
    assert set(where) == paths_of(tomllib.loads(text))
    assert list(where.values()) == sorted(where.values())


bare = st.text("abcxyz019_-", min_size=1, max_size=4)
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=8)
quoted = texts.map(lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"')
literal = texts.map(lambda text: "'" + text.replace("'", "") + "'")
multiline = st.lists(texts, max_size=3).map(
    lambda rows: '"""' + "\n".join(rows).replace("\\", "\\\\").replace('"', '\\"') + '"""'
)
scalars = st.one_of(
    st.integers(-9, 99).map(str), st.sampled_from(["true", "1.5", "1979-05-27"]), quoted, literal, multiline
)
filling = st.sampled_from(["", " ", "\n", " # ], }\n", "\n\n  "])
keys = st.one_of(bare, quoted)


def arrays(items: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(st.tuples(filling, items, filling), max_size=3).map(
        lambda rows: "[" + ",".join(before + item + after for before, item, after in rows) + "]"
    )


def inline_tables(items: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(
        st.tuples(keys, items), max_size=3, unique_by=lambda pair: tomllib.loads(f"{pair[0]} = 1").popitem()
    ).map(lambda pairs: "{ " + ", ".join(f"{key} = {item}" for key, item in pairs) + " }")


values = st.recursive(scalars, lambda items: st.one_of(arrays(items), inline_tables(items)), max_leaves=8)
headers = st.lists(bare, min_size=1, max_size=3).flatmap(
    lambda names: st.sampled_from([f"[{' . '.join(names)}]", f"[[{'.'.join(names)}]]"])
)
lines = st.one_of(
    st.tuples(st.lists(keys, min_size=1, max_size=2), values).map(lambda pair: f"{'.'.join(pair[0])} = {pair[1]}"),
    headers,
    st.just("# [x] = 1"),
)


@given(st.lists(lines, max_size=8))
def test_finds_exactly_the_paths_that_tomllib_finds(document: list[str]):
    """Lines that would make the document invalid are left out, one by one."""
    text = ""
    starts: list[int] = []
    for line in document:
        try:
            tomllib.loads(text + line + "\n")
        except tomllib.TOMLDecodeError:
            continue
        starts.append(text.count("\n") + 1)
        text += line + "\n"
    where = locate(text)
    assert set(where) == paths_of(tomllib.loads(text))
    assert set(starts) - {line for line in starts if text.splitlines()[line - 1].startswith("#")} <= set(where.values())
