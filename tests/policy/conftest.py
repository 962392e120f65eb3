from pathlib import Path

import pytest

from licd.policy import Policies, load
from tests.policy.folder import SHIPPED, Folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "policies")


@pytest.fixture(scope="session")
def policies() -> Policies:
    return load(SHIPPED)
