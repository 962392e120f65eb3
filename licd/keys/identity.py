"""Who is at the other end: SPIFFE identities, read strictly.

`spiffe://<trust-domain>/{customer/C/system/S | customer/C/contact/P | operator/O | overseer/V | server/N}`. The path is
also how an owner is written in a key record (`operator/O`). One spelling each: lower case, no percent-encoding, no
empty or dot segment, no query, fragment, port or user. Source: SPIFFE-ID standard, section 2.
"""

import re
from dataclasses import dataclass
from typing import Final, TypeAlias, assert_never

from licd.keys.errors import KeysError

MAX_URI_BYTES: Final = 2048
"""Longest SPIFFE id (SPIFFE-ID, section 2.3)."""
_SCHEME: Final = "spiffe://"
_SEGMENT: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,126}[a-z0-9])?")
_DOMAIN: Final = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*"
)


class IdentityError(KeysError):
    """This is no identity of this trust domain."""


@dataclass(frozen=True, slots=True)
class SystemIdentity:
    """An enrolled system of a customer."""

    customer: str
    system: str


@dataclass(frozen=True, slots=True)
class ContactIdentity:
    """A customer's compliance contact, a person."""

    customer: str
    contact: str


@dataclass(frozen=True, slots=True)
class OperatorIdentity:
    """A person of the vendor."""

    operator: str


@dataclass(frozen=True, slots=True)
class OverseerIdentity:
    """An outside body that watches."""

    overseer: str


@dataclass(frozen=True, slots=True)
class ServerIdentity:
    """A replica of licd."""

    server: str


Identity: TypeAlias = SystemIdentity | ContactIdentity | OperatorIdentity | OverseerIdentity | ServerIdentity


def path_of(identity: Identity) -> str:
    """Write the path of an identity, without a leading slash: `customer/C/system/S`."""
    match identity:
        case SystemIdentity(customer, system):
            return f"customer/{customer}/system/{system}"
        case ContactIdentity(customer, contact):
            return f"customer/{customer}/contact/{contact}"
        case OperatorIdentity(operator):
            return f"operator/{operator}"
        case OverseerIdentity(overseer):
            return f"overseer/{overseer}"
        case ServerIdentity(server):
            return f"server/{server}"
        case _:
            assert_never(identity)


def parse_path(path: str) -> Identity:
    """Read the path of an identity. Raises IdentityError."""
    segments = path.split("/")
    for segment in segments:
        if _SEGMENT.fullmatch(segment) is None:
            raise IdentityError(f"{path[:80]!r} has a segment that is no name: a to z, 0 to 9, and . _ - inside")
    match segments:
        case ["customer", customer, "system", system]:
            return SystemIdentity(customer, system)
        case ["customer", customer, "contact", contact]:
            return ContactIdentity(customer, contact)
        case ["operator", operator]:
            return OperatorIdentity(operator)
        case ["overseer", overseer]:
            return OverseerIdentity(overseer)
        case ["server", server]:
            return ServerIdentity(server)
        case _:
            raise IdentityError(f"{path[:80]!r} is no path of a system, contact, operator, overseer or server")


def spiffe_uri(identity: Identity, trust_domain: str) -> str:
    """Write an identity as it stands in a certificate. Raises IdentityError for what could not be read back."""
    path = path_of(identity)
    parse_path(path)
    return f"{_SCHEME}{check_trust_domain(trust_domain)}/{path}"


def parse_identity(uri: str, trust_domain: str) -> Identity:
    """Read a SPIFFE URI of this trust domain. Raises IdentityError."""
    if len(uri) > MAX_URI_BYTES:
        raise IdentityError(f"a SPIFFE id has at most {MAX_URI_BYTES} bytes")
    prefix = f"{_SCHEME}{check_trust_domain(trust_domain)}/"
    if not uri.startswith(prefix):
        raise IdentityError(f"{uri[:80]!r} is not of the trust domain {trust_domain}")
    return parse_path(uri.removeprefix(prefix))


def check_trust_domain(name: str) -> str:
    """Return the name of a trust domain as it came. Raises IdentityError when it is none."""
    if _DOMAIN.fullmatch(name) is None:
        raise IdentityError(
            f"{name[:80]!r} is no trust domain: lower-case labels with dots between, as in licd.example"
        )
    return name
