"""Reason codes that policy knows; a free word is no reason."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from licd.core.errors import Invalid
from licd.policy.suspension import SuspensionPolicy


class ReasonCodes:
    """The codes of policies/suspension.toml."""

    def __init__(self, policy: SuspensionPolicy) -> None:
        self._policy: Final = policy

    def suspend(self, code: str) -> str:
        """A code to suspend, ban, revoke or force-release with. Raises Invalid."""
        return _known(code, self._policy.suspend)

    def lift(self, code: str) -> str:
        """A code to reinstate with. Raises Invalid."""
        return _known(code, self._policy.lift)

    def terminate(self, code: str) -> str:
        """A code to terminate with. Raises Invalid."""
        return _known(code, self._policy.terminate)


def _known(code: str, known: Iterable[str]) -> str:
    codes = sorted(known)
    if code not in codes:
        raise Invalid(f"{code[:60]!r} is no reason code; one of {', '.join(codes)}", field="reason_code")
    return code
