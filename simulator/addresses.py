"""One address, or those of several replicas with commas between them, as gRPC takes them."""

from __future__ import annotations

from typing import Any


def target_of(addresses: str) -> tuple[str, list[tuple[str, Any]]]:
    """What to dial, and the options that go with it: of several the first that answers, the next when it goes away.

    Several must be IPv4 addresses, all of them named in the certificate as the first one is.
    """
    first, *others = addresses.split(",")
    if not others:
        return first, []
    return f"ipv4:{addresses}", [("grpc.default_authority", first)]
