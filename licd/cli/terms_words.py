"""Terms in words: one line for each limit, so that a person sees what is permitted and what is not."""

from collections.abc import Iterable
from typing import Final

from licd.cli.json_form import enum_word
from licd.cli.printing import Pairs
from licd.cli.times import span, when
from licd.core.time import Instant
from licd.v1 import licence_pb2 as pb

NOT_UNDERSTOOD: Final = "a limit that this licctl does not understand: whoever meets it must refuse"


def terms_pairs(terms: pb.LicenceTerms, now: Instant) -> Pairs:
    """Names and values of whole terms."""
    return [
        ("licence", terms.licence),
        ("customer", terms.customer),
        ("issuer", terms.issuer),
        ("product", f"{terms.product}, category {terms.category or '-'}"),
        ("valid from", when(terms.not_before_ms, now)),
        ("valid until", when(terms.not_after_ms, now)),
        ("issued", f"{when(terms.issued_at_ms, now)}, revision {terms.revision}"),
        ("policy", terms.policy_version or "-"),
        ("lineage", terms.lineage or "-"),
        *constraint_pairs(terms.constraints),
        *[("conditions" if at == 0 else "", one) for at, one in enumerate(terms.conditions)],
    ]


def constraint_pairs(constraints: Iterable[pb.Constraint]) -> Pairs:
    """One line for each limit, in the order in which they stand."""
    return [("permits" if at == 0 else "", constraint_words(one)) for at, one in enumerate(constraints)]


def constraint_words(constraint: pb.Constraint) -> str:
    """What one limit says. Every one narrows; none is left out."""
    match constraint.WhichOneof("kind"):
        case "concurrent_targets":
            cap = constraint.concurrent_targets.limit
            return f"at most {_count(cap, 'target')} at one time, cooling seats included"
        case "distinct_targets":
            volume = constraint.distinct_targets
            return f"at most {_count(volume.limit, 'different target')} in any {span(volume.period_ms)}"
        case "target_churn":
            churn = constraint.target_churn
            return f"at most {_count(churn.limit, 'newly taken seat')} in any {span(churn.period_ms)}"
        case "target_regions":
            return _target_regions(constraint.target_regions)
        case "deployment_regions":
            return _only("the system stands only in", constraint.deployment_regions.regions)
        case "deployment_addresses":
            return _only("the system calls only from", constraint.deployment_addresses.ranges)
        case "purposes":
            return _only("only for the purposes", constraint.purposes.purposes)
        case "offences":
            return _only("only for the offences", constraint.offences.offences)
        case "authorisation_required":
            return _authorisation(constraint.authorisation_required.max_life_ms)
        case "protected_person_attestation":
            return "each lease attests that the target is no protected person"
        case "permit_length":
            return f"a permit holds for {span(constraint.permit_length.length_ms)} (L)"
        case "offline_grace":
            return _grace(constraint.offline_grace.grace_ms)
        case "deployments":
            return f"at most {_count(constraint.deployments.limit, 'system')} enrolled at one time"
        case "overlay_required":
            return f"nothing without an overlay of authority {constraint.overlay_required.authority} in force"
        case _:
            return NOT_UNDERSTOOD


def basis_words(bases: Iterable[int]) -> str:
    """`number plan, declared`."""
    field = pb.TargetRegions.DESCRIPTOR.fields_by_name["bases"]
    return ", ".join(enum_word(field, one).lower().replace("_", " ") for one in bases)


def _target_regions(limit: pb.TargetRegions) -> str:
    where = _only("targets only in", limit.regions)
    return f"{where}; established by {basis_words(limit.bases) or 'nothing: permits nothing'}"


def _authorisation(max_life: int) -> str:
    ahead = f", which runs at most {span(max_life)} ahead" if max_life else ""
    return f"each lease names an authorisation{ahead}, and ends with it"


def _grace(grace: int) -> str:
    if not grace:
        return "a system that hears nothing stops when its permit ends (G 0 s)"
    return f"a system that hears nothing goes on for at most {span(grace)} more (G)"


def _only(what: str, names: Iterable[str]) -> str:
    # Unset and empty differ: an empty set is there, and permits nothing.
    return f"{what} {', '.join(names) or 'nothing: permits nothing'}"


def _count(limit: int, what: str) -> str:
    return f"{limit} {what}{'' if limit == 1 else 's'}"
