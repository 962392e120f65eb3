"""gRPC ignores an option whose name it does not know, and says nothing: every name that licd gives it is one it has."""

import ast
from importlib.util import find_spec
from pathlib import Path

from tests.architecture.sources import name, python_files, tree

PREFIX = "grpc."
LEAST = 20


def given() -> dict[str, str]:
    """Every text in licd that reads like an option, and where it stands."""
    found: dict[str, str] = {}
    for path in python_files("licd"):
        for node in ast.walk(tree(path)):
            match node:
                case ast.Constant(value=str(text)) if text.startswith(PREFIX) and text.replace(".", "_").isidentifier():
                    found[text] = f"{name(path)}:{node.lineno}"
    return found


def test_every_option_is_one_that_grpc_knows() -> None:
    found = find_spec("grpc._cython.cygrpc")
    assert found is not None
    assert found.origin is not None
    library = Path(found.origin).read_bytes()
    options = given()
    assert len(options) >= LEAST
    unknown = {option: where for option, where in options.items() if option.encode() + b"\0" not in library}
    assert unknown == {}
