"""A file of fork evidence: written as the JSON form of licd.v1.ForkEvidence, read strictly, shown in words."""

from pathlib import Path
from typing import Final

from google.protobuf import json_format

from licd.cli.failure import Exit, Stopped
from licd.cli.printing import Pairs
from licd.cli.times import when
from licd.core.time import Instant
from licd.keys.fork_evidence import ForkFinding, ForkGround
from licd.v1.fork_pb2 import ForkEvidence
from licd.v1.session_pb2 import Link

MOST_BYTES: Final = 4 << 20

GROUNDS: Final = {
    ForkGround.TWO_LINKS: "PROVED: the key signed two different links with one number",
    ForkGround.WENT_BACK: "PROVED: one run of the process signed the lower number after the higher",
    ForkGround.CLAIMED: "CLAIMED by licd: the links do not show it by themselves; what licd accepted stands in its log",
}


def write_fork(evidence: ForkEvidence) -> bytes:
    """The evidence as the text of such a file."""
    return json_format.MessageToJson(evidence, preserving_proto_field_name=True, sort_keys=True).encode() + b"\n"


def read_fork(path: Path) -> ForkEvidence:
    """The evidence in a file; nothing in it is believed yet. Raises Stopped(UNVERIFIED), OSError."""
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise Stopped(Exit.UNVERIFIED, f"{path}: larger than fork evidence can be")
    try:
        return json_format.Parse(data, ForkEvidence(), max_recursion_depth=8)
    except (json_format.ParseError, UnicodeDecodeError, RecursionError) as error:
        raise Stopped(Exit.UNVERIFIED, f"{path}: no fork evidence: {error}") from error


def fork_pairs(finding: ForkFinding, now: Instant) -> Pairs:
    """What was found, for people."""
    return [
        ("finding", GROUNDS[finding.ground]),
        ("system", f"{finding.system}, enrolment {finding.enrolment}"),
        ("key", finding.public_key.hex()),
        ("enrolled", when(finding.enrolled_at, now)),
        ("seen", when(finding.seen_at, now)),
        ("accepted", _link_words(finding.accepted) if finding.accepted else "no link yet"),
        ("divergent", _link_words(finding.divergent)),
        ("proved", f"both entries, in the tree of {finding.checkpoint.size} entries of {finding.checkpoint.origin}"),
        ("not shown", "who made the copy, why, and which of the two was the first"),
    ]


def fork_json(finding: ForkFinding) -> dict[str, object]:
    """The same for programs."""
    return {
        "valid": True,
        "ground": finding.ground.value,
        "is_proof": finding.ground.is_proof,
        "system": finding.system,
        "enrolment": finding.enrolment,
        "public_key": finding.public_key.hex(),
        "enrolled_at_ms": finding.enrolled_at,
        "seen_at_ms": finding.seen_at,
        "accepted_sequence": finding.accepted.sequence if finding.accepted else 0,
        "divergent_sequence": finding.divergent.sequence,
        "log_size": finding.checkpoint.size,
    }


def _link_words(link: Link) -> str:
    action = "opens a session" if link.HasField("opening") else "goes on with a session"
    return f"link {link.sequence}, {action}, follows {link.previous.hex()[:16]}…, boot clock {link.boot_time_ms} ms"
