"""What is over by the deciding clock is written down as over, before that clock is set back.

Everything else that ends by time is derived from time at each decision, and would come back with it.
"""

from __future__ import annotations

from dataclasses import replace

from licd.core.deployment import expire_invitation
from licd.core.model import DeploymentStatus, LicenceStatus
from licd.core.rights import expire_licence
from licd.core.time import Instant, Millis
from licd.ledger import tables
from licd.ledger.queries import licences_to_reap
from licd.ledger.records import ApprovalStatus
from licd.ledger.rows import APPROVALS, DEPLOYMENTS, LICENCES
from licd.ledger.transaction import Transaction
from licd.ledger.verbs.overlays import expire_overlays


def end_what_is_over(tx: Transaction, unvouched: Millis) -> int:
    """Ends leases, terms, overlays, join tokens and approvals whose time has come by now. Returns how many.

    A term, or an overlay, comes back by two persons for each licence alone, so it is over only if it would be without
    the time that nobody vouches for. The rest is asked for anew in a minute.
    """
    tx.flush()
    leases = sum(tx.state(licence).reap(tx.now) for licence in licences_to_reap(tx.connection, tx.now))
    at = tx.now - unvouched
    return leases + _terms(tx, at) + expire_overlays(tx, at) + _invitations(tx) + _approvals(tx)


def _terms(tx: Transaction, at: Instant) -> int:
    column = tables.licence.c
    standing = LICENCES.where(tx.connection, column.status != LicenceStatus.TERMINATED.value, column.expired_at == 0)
    over = [each.id for each in standing if each.terms.not_after <= at]
    for licence in over:
        expire_licence(tx.state(licence), tx.now)
    return len(over)


def _invitations(tx: Transaction) -> int:
    column = tables.deployment.c
    invited = column.status == DeploymentStatus.INVITED.value
    over = DEPLOYMENTS.where(tx.connection, invited, column.token_hash != b"", column.token_expires_at <= tx.now)
    for each in over:
        expire_invitation(tx.state(each.licence), each.id)
    return len(over)


def _approvals(tx: Transaction) -> int:
    column = tables.approval.c
    over = APPROVALS.where(tx.connection, column.status == ApprovalStatus.PENDING.value, column.expires_at <= tx.now)
    for each in over:
        tx.put(replace(each, status=ApprovalStatus.REJECTED, rejected_by="licd", rejection="its time was over"))
    return len(over)
