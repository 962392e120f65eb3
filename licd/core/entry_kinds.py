"""What kinds of entries licd's own log has: what every change of rights, grant, end and denial is called there.

tests/architecture/test_entry_kinds.py compares this with what the code says, both ways.
"""

from typing import Final

ENTRY_KINDS: Final = frozenset(
    {
        "approval.executed",
        "approval.rejected",
        "approval.requested",
        "approval.signed",
        "chain.head",
        "chain.taken-up",
        "clock.accepted",
        "clock.restarted",
        "continuity.delivered",
        "continuity.issued",
        "continuity.used",
        "customer.banned",
        "customer.created",
        "customer.unbanned",
        "denied",
        "denied.counted",
        "deployment.enrolled",
        "deployment.fenced",
        "deployment.forked",
        "deployment.invitation-expired",
        "deployment.invited",
        "deployment.reinvited",
        "deployment.revoked",
        "directive.acknowledged",
        "lease.ended",
        "lease.force-released",
        "lease.granted",
        "ledger.reconciled",
        "licence.amended",
        "licence.expired",
        "licence.extended",
        "licence.gap",
        "licence.issued",
        "licence.lost",
        "licence.reconciled",
        "licence.reinstated",
        "licence.renewed",
        "licence.resealed",
        "licence.suspended",
        "licence.terminated",
        "operator.added",
        "operator.disabled",
        "session.opened",
        "trust.published",
    }
)
