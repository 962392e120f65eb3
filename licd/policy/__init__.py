"""What do our rules say?
May import: keys, core, evidence; reads files, never the network; not v1, not ledger."""

from licd.policy.cases import check, count_cases
from licd.policy.ceilings import beyond_policy
from licd.policy.folder import load, unread
from licd.policy.policies import Policies, PolicyFile
from licd.policy.problems import PolicyError, Problem
from licd.policy.templates import TermsTemplate

__all__ = [
    "Policies",
    "PolicyError",
    "PolicyFile",
    "Problem",
    "TermsTemplate",
    "beyond_policy",
    "check",
    "count_cases",
    "load",
    "unread",
]
