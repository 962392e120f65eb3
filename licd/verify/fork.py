"""Does a file of fork evidence show that one system's key spoke twice? The file alone, and the keys of licd's log."""

from pathlib import Path
from typing import Final

from google.protobuf import json_format

from licd.evidence.checkpoint import LogVerifier
from licd.evidence.errors import EvidenceInvalid
from licd.keys.errors import KeysError
from licd.keys.fork_evidence import ForkFinding, check_fork
from licd.v1.fork_pb2 import ForkEvidence
from licd.verify.files import Refused, read_whole

_DEEPEST: Final = 8


def read_fork(path: Path, verifier: LogVerifier) -> ForkFinding:
    """What the evidence in a file shows. Raises Refused for what shows nothing, OSError."""
    data = read_whole(path)
    try:
        evidence = json_format.Parse(data, ForkEvidence(), max_recursion_depth=_DEEPEST)
        return check_fork(evidence, verifier)
    except (json_format.ParseError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(f"{path}: no fork evidence: {error}") from error
    except (EvidenceInvalid, KeysError, ValueError) as error:
        raise Refused(f"{path}: {error}") from error
