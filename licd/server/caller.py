"""Who calls, over which listener, with which key of the channel."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from licd.core.errors import Forbidden
from licd.keys.identity import Identity, OperatorIdentity, SystemIdentity, path_of


class Listener(StrEnum):
    """The three doors of the daemon."""

    ENROLMENT = "enrolment"
    CUSTOMER = "customer"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Caller:
    """One caller. identity is None on the enrolment listener; channel_key is the hash of its certificate's key."""

    listener: Listener
    identity: Identity | None
    channel_key: bytes
    address: str
    name: str = field(init=False)
    """customer/C/system/S, operator/O, ...; the address of one who has no name yet."""

    def __post_init__(self) -> None:
        name = path_of(self.identity) if self.identity is not None else f"address/{self.address}"
        object.__setattr__(self, "name", name)

    def system(self) -> SystemIdentity:
        """The caller as a system. Raises Forbidden for anybody else."""
        if not isinstance(self.identity, SystemIdentity):
            raise Forbidden("only an enrolled system may call this")
        return self.identity

    def operator(self) -> OperatorIdentity:
        """The caller as an operator. Raises Forbidden for anybody else."""
        if not isinstance(self.identity, OperatorIdentity):
            raise Forbidden("only an operator may call this")
        return self.identity
