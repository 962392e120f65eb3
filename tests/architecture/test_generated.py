import re
import subprocess
import sys
import tomllib

from packaging.requirements import Requirement
from packaging.version import Version

from tests.architecture.sources import GENERATED, ROOT


def test_generated_code_is_what_the_protos_make() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / ".ci" / "generate.py", "--check"], capture_output=True, check=False, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr


def floor(package: str) -> Version:
    """The lowest version of a package that pyproject.toml admits."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    [requirement] = [r for r in map(Requirement, declared) if r.name == package]
    [lowest] = [s.version for s in requirement.specifier if s.operator == ">="]
    return Version(lowest)


def test_the_grpc_floor_is_what_the_generated_code_needs() -> None:
    texts = [path.read_text(encoding="utf-8") for path in GENERATED.glob("*_pb2_grpc.py")]
    needed = {Version(v) for text in texts for v in re.findall(r"GRPC_GENERATED_VERSION = '([\d.]+)'", text)}
    assert needed == {floor("grpcio")}


def test_the_protobuf_floor_is_what_the_generated_code_needs() -> None:
    texts = [path.read_text(encoding="utf-8") for path in GENERATED.glob("*_pb2.py")]
    needed = {Version(v) for text in texts for v in re.findall(r"# Protobuf Python Version: ([\d.]+)", text)}
    assert needed == {floor("protobuf")}
