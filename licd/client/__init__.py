"""How does a customer's system use its licence, and stop in time?
May import: wire, keys, core, evidence, v1; nothing of the daemon."""

from licd.client.answers import Authorisation, Basis, Denied, Reason, StopCause
from licd.client.callbacks import Callbacks
from licd.client.errors import ClientError, LeaseDenied, LeaseStopped, NoAnswer, SystemClosed
from licd.client.lease import Lease
from licd.client.system import System

__all__ = [
    "Authorisation",
    "Basis",
    "Callbacks",
    "ClientError",
    "Denied",
    "Lease",
    "LeaseDenied",
    "LeaseStopped",
    "NoAnswer",
    "Reason",
    "StopCause",
    "System",
    "SystemClosed",
]
