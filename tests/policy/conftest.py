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


@pytest.fixture(scope="session")
def publishers() -> Path:
    """The folder of the publishers' own files, beside the checkout; they are not ours to redistribute."""
    folder = Path(__file__).parents[3] / "shared" / "data"
    if not (folder / "wgidataset.xlsx").is_file():
        pytest.skip("the publishers' own files are not beside this checkout, in ../shared/data")
    return folder
