"""How fast a system talks, waits and tries again. Durations in milliseconds."""

from dataclasses import dataclass

from licd.core.time import HOUR, MINUTE, SECOND, Millis


@dataclass(frozen=True, slots=True)
class Pace:
    """Figures of one system; the defaults are those of the protocol.

    heartbeat holds until a permit names another. A frame not answered within rpc_timeout counts as no contact. backoff
    doubles from its first value up to one heartbeat. lapsing is how long before its end a lease is announced to be
    running out (but never before half of what the last permit gave). A system that is refused for good asks every
    refused_heartbeat. closing bounds how long giving everything back may take.
    """

    heartbeat: Millis = 5 * SECOND
    shortest_heartbeat: Millis = 100
    rpc_timeout: Millis = 3 * SECOND
    backoff: Millis = 200
    lapsing: Millis = 10 * SECOND
    refused_heartbeat: Millis = MINUTE
    closing: Millis = 3 * SECOND
    trust_retry: Millis = 30 * SECOND
    certificate_retry: Millis = MINUTE
    longest_permit: Millis = 25 * HOUR
    """No permit holds for longer: an hour of permit and a day of grace are what a licence can give at most."""
