"""A licence as lists and records show it."""

from typing import Final

from licd.cli.json_form import enum_word
from licd.cli.printing import Columns, Pairs
from licd.cli.terms_words import terms_pairs
from licd.cli.times import iso, when
from licd.core.time import Instant
from licd.v1.operator_pb2 import Licence


def status_of(licence: Licence) -> str:
    """Its state in words: `active restricted`."""
    return enum_word(Licence.DESCRIPTOR.fields_by_name["status"], licence.status).lower().replace("_", " ")


COLUMNS: Final[Columns] = (
    ("LICENCE", lambda one: one.licence),
    ("CUSTOMER", lambda one: one.customer),
    ("STATUS", status_of),
    ("EPOCH", lambda one: str(one.epoch)),
    ("LIVE", lambda one: str(one.live)),
    ("COOLING", lambda one: str(one.cooling)),
    ("SYSTEMS", lambda one: str(one.deployments)),
    ("VALID UNTIL", lambda one: iso(one.terms.not_after_ms)),
)


def licence_pairs(licence: Licence, now: Instant, *, counted: bool = True) -> Pairs:
    """Its state first, then its terms. What an approval has stored of a licence is not counted."""
    state = [
        ("licence", licence.licence),
        ("status", f"{status_of(licence)}, epoch {licence.epoch}, version {licence.version}"),
    ]
    if counted:
        state.append(("leases", f"{licence.live} live, {licence.cooling} cooling"))
        state.append(("systems", f"{licence.deployments} enrolled"))
    if licence.suspended_at_ms:
        why = f"{licence.suspension_code}: {licence.suspension_detail}"
        state.append(("suspended", f"{when(licence.suspended_at_ms, now)}, {why}"))
    return [*state, *list(terms_pairs(licence.terms, now))[1:]]
