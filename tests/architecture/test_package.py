"""What is installed: the lock, and the wheel."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

from packaging.requirements import Requirement

from tests.architecture.sources import ROOT

LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def locked() -> list[tuple[str, str]]:
    """Names and versions. A name may come twice, for different Pythons."""
    return re.findall(r"^([a-z0-9.-]+)==([^\s;]+)", LOCK, re.MULTILINE)


def is_met(asked: Requirement) -> bool:
    return any(name == asked.name.lower() and asked.specifier.contains(version) for name, version in locked())


def test_the_lock_has_a_version_for_all_that_pyproject_asks_for() -> None:
    extras = PROJECT["project"]["optional-dependencies"]["postgres"]
    asked = PROJECT["project"]["dependencies"] + extras + PROJECT["dependency-groups"]["dev"]
    requirements = [Requirement(text) for text in asked + PROJECT["build-system"]["requires"]]
    unmet = [str(each) for each in requirements if not is_met(each)]
    assert unmet == [], "run `make lock`"


def test_every_locked_package_has_hashes() -> None:
    entries = re.split(r"^(?=[a-z0-9.-]+==)", LOCK, flags=re.MULTILINE)[1:]
    assert len(entries) == len(locked())
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_the_lock_names_no_address() -> None:
    assert re.findall(r"\S*://\S*|^--(?:extra-)?index-url.*|^--find-links.*", LOCK, re.MULTILINE) == []


def test_the_wheel_carries_the_policies_and_the_type_marker(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    done = subprocess.run(build, check=False, capture_output=True, cwd=ROOT, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    [wheel] = tmp_path.glob("*.whl")
    files = set(zipfile.ZipFile(wheel).namelist())
    policies = {f"licd/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "policies").rglob("*.toml")}
    assert policies
    assert policies | {"licd/py.typed", "licd/__init__.py", "simulator/__init__.py"} <= files
