"""What was kept of a fork, put together with the log's proofs, so that whoever has it needs no licd to check it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from licd.core.deployment import system_of
from licd.core.errors import NotFound
from licd.core.model import Deployment
from licd.evidence.entry import ErasedField, decode
from licd.evidence.merkle import Roots, inclusion_ranges, range_root
from licd.ledger import tables
from licd.ledger.database import Connection
from licd.ledger.log import read_head
from licd.ledger.records import Fork, LoggedEntry
from licd.ledger.rows import DEPLOYMENTS, FORKS, LOG_ENTRIES
from licd.v1 import deployment_service_pb2 as pb
from licd.v1.envelope_pb2 import Envelope
from licd.v1.fork_pb2 import ForkEvidence, ProvedEntry

FORKED: Final = "deployment.forked"
ENROLLED: Final = "deployment.enrolled"


def fork_of(connection: Connection, roots: Roots, name: str, enrolment: int) -> pb.GetForkResponse:
    """The evidence of a deployment's fork, of its last one where enrolment is 0. Raises NotFound. roots: the log's."""
    deployment = DEPLOYMENTS.get(connection, name)
    if deployment is None:
        raise NotFound(f"there is no deployment {name}", field="deployment")
    column = tables.fork.c
    known = FORKS.where(connection, column.deployment == name)
    wanted = [each for each in known if enrolment in {0, each.enrolment}]
    if not wanted:
        raise NotFound(f"no copies of {name} were seen", field="enrolment" if known else "deployment")
    fork = max(wanted, key=lambda each: each.seen_at)
    return pb.GetForkResponse(
        evidence=_evidence(connection, roots, deployment, fork), enrolment=fork.enrolment, seen_at_ms=fork.seen_at
    )


def _evidence(connection: Connection, roots: Roots, deployment: Deployment, fork: Fork) -> ForkEvidence:
    head = read_head(connection)
    if head is None:
        raise NotFound("the log is empty")

    def proved(kind: str) -> ProvedEntry:
        found = _entry(connection, deployment, kind, fork.enrolment)
        proof = [range_root(start, end, roots) for start, end in inclusion_ranges(found.index, head.size)]
        return ProvedEntry(index=found.index, entry=found.body, inclusion_proof=proof)

    return ForkEvidence(
        system=system_of(deployment),
        accepted=Envelope.FromString(fork.accepted) if fork.accepted else None,
        reply=fork.reply,
        reply_kind=fork.reply_kind,
        divergent=Envelope.FromString(fork.frame),
        enrolled=proved(ENROLLED),
        forked=proved(FORKED),
        checkpoint=head.checkpoint.decode(),
    )


def _entry(connection: Connection, deployment: Deployment, kind: str, enrolment: int) -> LoggedEntry:
    """What the log says of this kind about an enrolment of the deployment. Raises NotFound."""
    column = tables.log_entry.c
    about: Sequence[LoggedEntry] = LOG_ENTRIES.where(
        connection, column.licence == deployment.licence, column.kind == kind
    )
    wanted = {"system": deployment.id.encode(), "enrolment": b"%d" % enrolment}
    for line in about:
        if wanted.items() <= _told(line).items():
            return line
    raise NotFound(f"the log has no {kind} of enrolment {enrolment} of {deployment.id}")


def _told(line: LoggedEntry) -> dict[str, bytes]:
    return {each.name: each.value for each in decode(line.body).fields if not isinstance(each, ErasedField)}
