"""Writes licd/v1 from proto/ (`make generate`), or says where the two differ (`make generate-check`)."""

import argparse
import filecmp
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import grpc_tools
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
TARGET = ROOT / "licd" / "v1"
WELL_KNOWN = Path(grpc_tools.__file__).parent / "_proto"
MYPY_PLUGINS = {name: Path(sys.executable).parent / f"protoc-gen-{name}" for name in ("mypy", "mypy_grpc")}


def run_protoc(out: Path, files: list[Path], *options: str) -> None:
    """One run of protoc; `options` name what to write."""
    plugins = [f"--plugin=protoc-gen-{name}={path}" for name, path in MYPY_PLUGINS.items()]
    names = [str(file.relative_to(PROTO)) for file in files]
    arguments = ["protoc", f"-I{PROTO}", f"-I{WELL_KNOWN}", *plugins, *(o.format(out=out) for o in options), *names]
    if protoc.main(arguments) != 0:
        sys.exit("protoc refused; its reasons stand above")


def generate_into(out: Path) -> None:
    """Messages for all files; services only where there are some, or a useless _pb2_grpc.py comes out."""
    files = sorted(PROTO.glob("licd/**/*.proto"))
    run_protoc(out, files, "--python_out={out}", "--mypy_out=quiet:{out}")
    services = [file for file in files if file.name.endswith("_service.proto")]
    if services:
        run_protoc(out, services, "--grpc_python_out={out}", "--mypy_grpc_out=quiet:{out}")


def generated(folder: Path) -> dict[str, Path]:
    return {path.name: path for path in folder.glob("*_pb2*.py*") if path.suffix in {".py", ".pyi"}}


def differences(fresh: dict[str, Path], present: dict[str, Path]) -> list[str]:
    found = [f"missing: licd/v1/{name}" for name in fresh.keys() - present.keys()]
    found += [f"no .proto makes it: licd/v1/{name}" for name in present.keys() - fresh.keys()]
    both = fresh.keys() & present.keys()
    found += [f"stale: licd/v1/{name}" for name in both if not filecmp.cmp(fresh[name], present[name], shallow=False)]
    return sorted(found)


def write(fresh: dict[str, Path], present: dict[str, Path]) -> None:
    """Touches only what changed, so that nobody's build is disturbed for nothing."""
    for name in present.keys() - fresh.keys():
        present[name].unlink()
    for name, path in fresh.items():
        if name not in present or not filecmp.cmp(path, present[name], shallow=False):
            (TARGET / name).write_bytes(path.read_bytes())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where licd/v1 is not fresh")
    check = parser.parse_args().check
    TARGET.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        generate_into(Path(folder))
        fresh, present = generated(Path(folder) / "licd" / "v1"), generated(TARGET)
        found = differences(fresh, present)
        if check and found:
            sys.exit("\n".join([*found, f"run `make generate` (grpcio-tools {version('grpcio-tools')})"]))
        if not check:
            write(fresh, present)
    print(f"licd/v1: {len(fresh)} files, {'fresh' if check else f'{len(found)} changed'}")


if __name__ == "__main__":
    main()
