"""All policies together, as one frozen value with a version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from licd.core.reasons import Reason
from licd.policy.allegations import AllegationPolicy
from licd.policy.casework import Casework
from licd.policy.categories import Category
from licd.policy.defaults import Defaults
from licd.policy.denials import RetryHint
from licd.policy.diligence import DiligencePolicy
from licd.policy.misuse import MisusePolicy
from licd.policy.offences import OffencePolicy
from licd.policy.purposes import PurposePolicy
from licd.policy.regions import RegionPolicy
from licd.policy.roles import RolePolicy
from licd.policy.suspension import SuspensionPolicy
from licd.policy.templates import TermsTemplate


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """A file as it was read. path is relative to the folder; sha256 is that of its bytes, in hex."""

    path: str
    sha256: str
    text: str
    example: bool


@dataclass(frozen=True, slots=True)
class Policies:
    """What our rules say.

    version is SHA-256, in hex, over the parsed content of all files and the version of the region table: comments
    and spacing do not change it, any figure does.
    """

    version: str
    files: tuple[PolicyFile, ...]
    categories: Mapping[str, Category]
    regions: RegionPolicy
    purposes: PurposePolicy
    offences: OffencePolicy
    denials: Mapping[Reason, RetryHint]
    roles: RolePolicy
    suspension: SuspensionPolicy
    defaults: Defaults
    templates: Mapping[str, TermsTemplate]
    diligence: DiligencePolicy
    misuse: MisusePolicy
    casework: Casework
    allegations: AllegationPolicy

    @property
    def examples(self) -> tuple[str, ...]:
        """The files that still carry example figures, which an operator is to replace by his own."""
        return tuple(file.path for file in self.files if file.example)
