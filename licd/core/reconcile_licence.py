"""Reconcile: what was answered about a licence is no longer known. Its epoch goes beyond all of it, and it stops.

The one verb that raises an epoch by more than one: the epochs between were used, and what they said is lost.
"""

from __future__ import annotations

from dataclasses import replace

from licd.core.model import Directive, DirectiveKind, LicenceStatus
from licd.core.state import LicenceState
from licd.core.time import Instant


def reconcile_licence(
    state: LicenceState, now: Instant, *, answered: int, suspension: str, code: str, detail: str, actor: str
) -> Directive:
    """Puts the licence beyond the epoch that was answered, suspended; a terminated one stays terminated.

    One that is suspended already keeps its reason: what it takes to come back must not become less.
    """
    licence = state.licence
    epoch = max(licence.epoch, answered) + 1
    state.put(replace(licence, epoch=epoch, version=licence.version + 1))
    state.record("licence.reconciled", ("actor", actor), ("had", licence.epoch), ("answered", answered))
    match licence.status:
        case LicenceStatus.TERMINATED:
            return state.direct(DirectiveKind.TERMINATE, now, code, detail)
        case LicenceStatus.SUSPENDED:
            return state.direct(DirectiveKind.SUSPEND, now, licence.suspension_code, licence.suspension_detail)
        case LicenceStatus.DRAFT | LicenceStatus.ACTIVE | LicenceStatus.ACTIVE_RESTRICTED:
            suspended = replace(
                state.licence,
                status=LicenceStatus.SUSPENDED,
                suspended_at=now,
                suspension=suspension,
                suspension_code=code,
                suspension_detail=detail,
            )
            state.put(suspended)
            words = (("actor", actor), ("code", code), ("detail", detail), ("suspension", suspension))
            state.record("licence.suspended", *words)
            return state.direct(DirectiveKind.SUSPEND, now, code, detail)
