"""How many connections each listener may hold, so that no crowd at one door takes the others' file descriptors.

A connection is a file. Each listener has a number of its own, and all of them together with what licd itself needs stay
below the limit of the process: whoever is turned away at one door is turned away there alone.
"""

from __future__ import annotations

import resource
from collections.abc import Mapping
from typing import Final

import structlog

from licd.core.errors import Invalid
from licd.server.caller import Listener
from licd.server.config import Limits

logger = structlog.get_logger("licd.connections")

OWN_FILES: Final = 192
"""Database, ratchet, log, threads' pipes, the metrics page, and connections accepted only to be closed."""


def descriptors(wanted: int) -> int:
    """Raises the soft limit of open files to what is wanted, as far as the hard limit lets; returns what it is then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    reachable = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (reachable, hard))
    return reachable


def budget(limits: Limits) -> Mapping[Listener, int]:
    """Connections of each listener. Where there are too few files the customers' share shrinks, and a line says so.

    Raises Invalid when the process may not even have the files that operators and enrolment need.
    """
    fixed = OWN_FILES + limits.enrolment_connections + limits.operator_connections
    files = descriptors(fixed + limits.customer_connections)
    left = files - fixed
    if left < 1:
        problem = f"this process may open {files} files and needs more than {fixed}; raise its limit (LimitNOFILE)"
        raise Invalid(problem, field="limits")
    if left < limits.customer_connections:
        logger.warning("fewer customers can connect than licd.toml says: too few open files", connections=left)
    return {
        Listener.ENROLMENT: limits.enrolment_connections,
        Listener.CUSTOMER: min(left, limits.customer_connections),
        Listener.OPERATOR: limits.operator_connections,
    }
