"""Coverage-guided fuzzing of one target by atheris: `python -m tests.fuzz.guided TARGET CORPUS FOUND SECONDS SEED`.

Runs in a process of its own, for libFuzzer ends the process it is in. The target's own changes are libFuzzer's mutator.
"""

from __future__ import annotations

import importlib
import random  # noqa: TID251 -- seeded
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

MEMORY_MIB: Final = 2048
ONE_INPUT_SECONDS: Final = 30


def main(name: str, corpus: str, found: str, seconds: str, seed: str) -> None:
    """Fuzzes until the time is over, or until something is found. Never returns."""
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["licd"], enable_loader_override=False):
        registry = importlib.import_module("tests.fuzz.registry")
        opened = registry.opened(name)
    with opened as target:
        write_seeds(Path(corpus), target.seeds)

        def one(data: bytes) -> None:
            target.check(bytes(data))

        def mutate(data: bytes, size: int, number: int) -> bytes:
            changed: bytes = target.mutate(bytes(data), random.Random(number))[:size]
            return changed

        options = [
            "tests.fuzz", corpus, f"-max_total_time={seconds}", f"-seed={seed}", f"-rss_limit_mb={MEMORY_MIB}",
            f"-timeout={ONE_INPUT_SECONDS}", f"-artifact_prefix={found}/", "-max_len=65536", "-len_control=0",
            "-print_final_stats=1",
        ]  # fmt: skip
        atheris.Setup(options, one, custom_mutator=mutate)
        atheris.Fuzz()


def write_seeds(corpus: Path, seeds: tuple[bytes, ...]) -> None:
    """Valid samples, beside what earlier runs have found worth keeping.

    Nothing is kept from other samples: what their keys had signed would look like a forgery now.
    """
    digest = sha256(b"".join(seeds)).hexdigest()
    mark = corpus.with_suffix(".samples")
    if not mark.is_file() or mark.read_text() != digest:
        for path in corpus.iterdir():
            path.unlink()
        mark.write_text(digest)
    for at, seed in enumerate(seeds):
        (corpus / f"seed-{at:04}").write_bytes(seed)


if __name__ == "__main__":
    main(*sys.argv[1:])
