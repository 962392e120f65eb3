import hashlib
import re
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest

from licd.core import region_table
from licd.policy import Policies, PolicyError, load
from tests.policy.folder import SHIPPED, Folder


def test_the_version_is_the_hash_of_the_content(policies: Policies):
    assert re.fullmatch("[0-9a-f]{64}", policies.version)
    assert load(SHIPPED).version == policies.version


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("defaults.toml", "# The protocol's figures", "# The figures"),
        ("defaults.toml", "act_milliseconds = 1_000", "act_milliseconds   =   1000 # a second"),
        ("categories.test.toml", "366", "367"),
    ],
)
def test_comments_spacing_and_tests_do_not_change_the_version(
    folder: Folder, policies: Policies, file: str, old: str, new: str
):
    folder.edit(file, old, new)
    assert folder.load().version == policies.version


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("defaults.toml", "act_milliseconds = 1_000", "act_milliseconds = 1_001"),
        ("defaults.toml", "example = true", "example = false"),
        ("regions.toml", 'include = ["EE", "LT", "LV"]', 'include = ["EE", "LT"]'),
        ("licences/river-police.toml", "term_days = 270", "term_days = 269"),
        ("denials.toml", "Check the licence", "Look at the licence"),
    ],
)
def test_anything_else_changes_the_version(folder: Folder, policies: Policies, file: str, old: str, new: str):
    folder.edit(file, old, new)
    assert folder.load().version != policies.version


def test_another_table_of_regions_is_another_version(policies: Policies, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("licd.policy.folder.TABLE_VERSION", region_table.VERSION + "x")
    assert load(SHIPPED).version != policies.version


def test_renaming_a_template_changes_the_version(folder: Folder, policies: Policies):
    (folder.path / "licences/river-police.toml").rename(folder.path / "licences/lake-police.toml")
    assert folder.load().version != policies.version


def test_keeps_every_file_as_it_was_read(policies: Policies):
    assert len(policies.files) == 12 + len(policies.templates)
    for file in policies.files:
        content = (SHIPPED / file.path).read_bytes()
        assert file.text.encode() == content
        assert file.sha256 == hashlib.sha256(content).hexdigest()


def test_says_which_files_are_still_examples(folder: Folder, policies: Policies):
    assert policies.examples == tuple(file.path for file in policies.files)
    folder.edit("defaults.toml", "example = true", "example = false")
    assert "defaults.toml" not in folder.load().examples


def test_all_or_nothing_and_every_problem_is_told(folder: Folder):
    folder.edit("defaults.toml", "heartbeat_seconds = 5", "heartbeat_seconds = 0")
    folder.edit("roles.toml", "ttl_seconds = 14_400", "ttl_seconds = 0")
    with pytest.raises(PolicyError) as refused:
        folder.load()
    assert [problem.line for problem in refused.value.problems] == [
        folder.line("defaults.toml", "heartbeat_seconds"),
        folder.line("roles.toml", "four_eyes", "ttl_seconds"),
    ]
    assert str(refused.value).count("\n") == 1


def test_a_failing_test_does_not_stop_the_daemon_from_loading(folder: Folder):
    """What is loaded is what stands there; holding it against its tests is the business of check."""
    folder.edit("regions.test.toml", "expect = true", "expect = false")
    assert folder.problems()
    assert folder.load().regions.named


def _tables(policies: Policies) -> list[Mapping[Any, Any]]:
    parts = (policies, policies.regions, policies.purposes, policies.offences, policies.roles, policies.suspension)
    values = [getattr(part, field.name) for part in parts for field in fields(part)]
    return [value for value in values if isinstance(value, Mapping)]


def test_policies_cannot_be_changed(policies: Policies):
    with pytest.raises(FrozenInstanceError):
        policies.version = "x"  # type: ignore[misc]
    assert len(_tables(policies)) == 15
    for table in _tables(policies):
        with pytest.raises(TypeError):
            table["x"] = None  # type: ignore[index]


def test_files_of_others_in_the_folder_are_left_alone(folder: Folder, policies: Policies):
    folder.write("retention.toml", "this is = not [ours")
    (folder.path / "README").write_text("also not")
    assert folder.load().version == policies.version
