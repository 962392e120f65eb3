"""policies/roles.toml: who may call what, and what takes two persons.

Rules
- A verb is Service.Method of the operator API. What no role names, nobody may call.
- Stopping is never slowed down: no verb of ALONE may need a second person.
- A role that changes nothing calls nothing but verbs that read.
- Accepting a clock that moves the deciding time takes two persons, whatever else does.
- So does a continuity permit: until it ends nothing stops a system that cannot be reached.
- So does a look at who reported: nobody looks alone.
- Every verb that needs a second person can be asked for by somebody, and approved by somebody.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from licd.core.time import HOUR, SECOND, Millis
from licd.policy.problems import unknown
from licd.policy.reader import Reader

LONGEST_APPROVAL: Millis = 4 * HOUR
APPROVE = "ApprovalService.SignApproval"
CLOCK = "StatusService.AcceptClock"
CONTINUITY = "LicenceService.IssueContinuityPermit"
DISCLOSURE = "AllegationService.PermitDisclosure"
ALONE = frozenset(
    (
        "LicenceService.SuspendLicence",
        "LicenceService.PreviewSuspension",
        "LicenceService.GetSuspension",
        "LeaseService.ForceReleaseLease",
        "DeploymentService.RevokeDeployment",
        "CustomerService.BanCustomer",
        "KeyService.DisableOperator",
        "OverlayService.WithdrawOverlay",
        "ApprovalService.SignApproval",
        "ApprovalService.RejectApproval",
    )
)
_VERB = re.compile(r"[A-Z][A-Za-z]*Service\.[A-Z][A-Za-z]*")
_READS = re.compile(r"[A-Za-z]+\.(?:Get|List|Export|Preview|Verify|Watch|Check)[A-Z][A-Za-z]*")


@dataclass(frozen=True, slots=True)
class Role:
    """What a person may call, with all that the roles it includes may call."""

    name: str
    description: str
    verbs: frozenset[str]


@dataclass(frozen=True, slots=True)
class RolePolicy:
    """The whole file. second_person_when_widening: those verbs need one only if the change gives more right."""

    roles: Mapping[str, Role]
    second_person: frozenset[str]
    second_person_when_widening: frozenset[str]
    approval_life: Millis

    def may_call(self, roles: Collection[str], verb: str) -> bool:
        """Whether any of the roles names the verb; a role that does not exist names nothing."""
        return any(verb in self.roles[role].verbs for role in roles if role in self.roles)

    def may_agree(self, persons: Mapping[str, Collection[str]], verb: str) -> bool:
        """Whether one of these persons, with their roles, can ask for the verb, and another one approve it."""
        ask = [name for name, roles in persons.items() if self.may_call(roles, verb)]
        approve = [name for name, roles in persons.items() if self.may_call(roles, APPROVE)]
        return any(one != other for one in ask for other in approve)

    def needs_second_person(self, verb: str, *, widens: bool) -> bool:
        """Whether a call of the verb waits for another person's signature."""
        return verb in self.second_person or (widens and verb in self.second_person_when_widening)


def read_roles(reader: Reader) -> RolePolicy:
    """Reads the file."""
    tables = dict(reader.named("role"))
    roles = {name: _read_role(name, tables) for name in tables}
    callable_verbs = frozenset(verb for role in roles.values() for verb in role.verbs)
    four_eyes = reader.table_at("four_eyes")
    policy = RolePolicy(
        roles=MappingProxyType(roles),
        second_person=_read_paired(four_eyes, "verbs", callable_verbs),
        second_person_when_widening=_read_paired(four_eyes, "verbs_when_widening", callable_verbs),
        approval_life=four_eyes.span("ttl_seconds", SECOND, most=LONGEST_APPROVAL // SECOND),
    )
    four_eyes.done()
    if CLOCK in callable_verbs and CLOCK not in policy.second_person | policy.second_person_when_widening:
        reader.note("four_eyes", f"{CLOCK} must wait for a second person: whoever moves the clock moves every term")
    if CONTINUITY in callable_verbs and CONTINUITY not in policy.second_person:
        reader.note("four_eyes", f"{CONTINUITY} must wait for a second person: until it ends nothing calls it back")
    if DISCLOSURE in callable_verbs and DISCLOSURE not in policy.second_person:
        reader.note("four_eyes", f"{DISCLOSURE} must wait for a second person: nobody alone looks at who reported")
    if APPROVE not in callable_verbs:
        reader.note("role", f"no role names {APPROVE}: nothing could ever be approved")
    return policy


def _read_role(name: str, tables: Mapping[str, Reader]) -> Role:
    reader = tables[name]
    reader.name(name)
    description = reader.text("description")
    verbs = frozenset(_read_verbs(reader, "verbs"))
    for index, other in enumerate(reader.texts("includes", default=[], least=0)):
        if other not in tables:
            reader.note("includes", unknown("role", other, tables), element=index)
        elif tables[other].has("includes"):
            reader.note("includes", f"{other} includes roles itself; name those that are meant", element=index)
        else:
            verbs |= _verbs_of(tables[other])
    if reader.flag("changes_nothing", default=False):
        for verb in sorted(verbs):
            if not _READS.fullmatch(verb):
                reader.note("changes_nothing", f"{name} changes nothing, but may call {verb}")
    reader.done()
    return Role(name, description, verbs)


def _verbs_of(reader: Reader) -> frozenset[str]:
    """The verbs of a role that is read for itself elsewhere, with its problems."""
    return frozenset(Reader(reader.source, [], reader.path, reader.table).texts("verbs"))


def _read_verbs(reader: Reader, key: str) -> tuple[str, ...]:
    verbs = reader.texts(key)
    for index, verb in enumerate(verbs):
        if not _VERB.fullmatch(verb):
            reader.note(key, f'"{verb}" is not a verb; write Service.Method', element=index)
    return verbs


def _read_paired(reader: Reader, key: str, callable_verbs: Collection[str]) -> frozenset[str]:
    verbs = _read_verbs(reader, key)
    for index, verb in enumerate(verbs):
        if verb in ALONE:
            reader.note(
                key, f"{verb} never waits for a second person: stopping is done alone and at once", element=index
            )
        elif verb not in callable_verbs:
            reader.note(key, unknown("verb", verb, callable_verbs) + " (no role may call it)", element=index)
    return frozenset(verbs)
