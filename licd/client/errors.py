"""What the SDK raises on purpose. What licd itself could not answer is raised as a LicdError (licd.core.errors)."""

from licd.client.answers import Stopped
from licd.core.reasons import Denied
from licd.core.time import Instant


class ClientError(Exception):
    """Root of everything below."""


class NoAnswer(ClientError):
    """Nothing came back, or nothing could be sent: silence. It says nothing about the licence."""


class LeaseDenied(ClientError):
    """licd (or the SDK itself, for a number without a region) refused a lease; the denial says why."""

    def __init__(self, denied: Denied) -> None:
        super().__init__(f"{denied.reason.name}: {denied.detail}")
        self.denied = denied

    @property
    def retry_at(self) -> Instant:
        """When asking again can help; 0 when it cannot. With a full cap: when the next seat is free."""
        return self.denied.retry_at


class LeaseStopped(ClientError):
    """The target must not be acted on any more; `stopped` says why."""

    def __init__(self, stopped: Stopped) -> None:
        super().__init__(str(stopped))
        self.stopped = stopped

    @property
    def denied(self) -> Denied | None:
        """The words of licd, where it was licd that stopped the lease."""
        return self.stopped.denied


class SystemClosed(ClientError):
    """The system was closed, or its background work failed; no lease can be had from it any more."""


class StateDamaged(ClientError):
    """The directory of a system cannot be used as it is; the message says which file and what to do."""


class DirectoryInUse(ClientError):
    """Another process has this system's directory open. Two at once would look like a stolen copy to licd."""


class NotEnrolled(ClientError):
    """There is no enrolled system in this directory."""


class JoinTokenInvalid(ClientError):
    """This text is no join token. The message does not repeat it."""


class EnrolmentRefused(ClientError):
    """What came back from enrolling does not fit the join token or our own keys."""
