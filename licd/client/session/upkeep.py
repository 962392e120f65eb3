"""What has to be kept fresh beside the chain: keys, licence, certificate."""

from licd.client.notices import DropReason, LicenceChanged, TrustChanged
from licd.client.session.effects import FetchLicence, FetchTrust, Persist, Record, RenewCertificate
from licd.client.session.state import MachineState
from licd.client.session.trust import MENDED_BY_A_NEWER_BUNDLE, read_terms
from licd.core.time import Instant, Millis
from licd.keys.bundle import BundleError
from licd.keys.seal_reasons import SealInvalid
from licd.v1.envelope_pb2 import Envelope
from licd.v1.trust_pb2 import TrustBundleChain


def note_seal_invalid(state: MachineState, error: SealInvalid | BundleError, now: Millis) -> None:
    """Drop what cannot be believed, and ask for newer keys where that could be why."""
    state.drop(DropReason.NOT_SEALED, str(error))
    if isinstance(error, BundleError) or error.reason in MENDED_BY_A_NEWER_BUNDLE:
        state.trust.want(now)


def take_trust(state: MachineState, chain: TrustBundleChain, now: Millis) -> None:
    """Follow a chain of bundles as far as it holds, and write down where it led."""
    newer, refusal = state.trust.take_chain(chain, now)
    if newer:
        state.out.append(Persist(Record.TRUST, state.trust.bundle.raw))
        state.notify(TrustChanged(state.trust.bundle.version))
    if refusal is not None:
        state.drop(DropReason.BUNDLE_REFUSED, str(refusal))


def note_licence(state: MachineState, revision: int) -> None:
    """A permit names the revision it stands under: fetch the licence if it has not come by itself by then."""
    if revision <= state.licence_revision:
        state.licence_missing = False
    elif not state.licence_missing:
        state.licence_missing = True
    else:
        state.out.append(FetchLicence())


def take_licence(state: MachineState, envelope: Envelope) -> None:
    """Keep a newer licence of this system. It changes nothing by itself: permits do."""
    try:
        terms = read_terms(envelope, state.trust.bundle)
    except SealInvalid as error:
        state.drop(DropReason.NOT_SEALED, str(error))
        return
    customer = state.outfit.identity.system.split("/")[1]
    if terms.licence != state.licence or terms.customer != customer:
        state.drop(DropReason.NOT_FOR_US, f"licence {terms.licence} of customer {terms.customer}")
    elif terms.revision > state.licence_revision:
        state.licence_revision = terms.revision
        state.licence_missing = False
        state.out.append(Persist(Record.LICENCE, envelope.SerializeToString()))
        state.notify(LicenceChanged(terms.revision, terms))


def set_certificate(state: MachineState, validity: tuple[Instant, Instant]) -> None:
    """Plan the renewal of the certificate in use: at two thirds of its life."""
    begins, ends = validity
    state.certificate_due = begins + (ends - begins) * 2 // 3
    state.renewing = False


def keep_fresh(state: MachineState, now: Millis) -> None:
    """Ask for what is due."""
    trust = state.trust
    if trust.due is not None and now >= trust.due and not trust.fetching:
        trust.ask(now)
        state.out.append(FetchTrust(trust.bundle.version))
    if _certificate_is_due(state, now):
        state.renewing = True
        state.renew_after = now + state.pace.certificate_retry
        state.out.append(RenewCertificate())


def _certificate_is_due(state: MachineState, now: Millis) -> bool:
    if state.renewing or now < state.renew_after or not state.line.is_up:
        return False
    return bool(state.certificate_due) and state.trust.anchor.estimate(now) >= state.certificate_due


def next_upkeep(state: MachineState, now: Millis) -> Millis | None:
    """The boot instant at which `keep_fresh` has something to do; None while only an answer can change that."""
    times: list[Millis] = []
    if state.trust.due is not None and not state.trust.fetching:
        times.append(state.trust.due)
    if state.certificate_due and not state.renewing and state.line.is_up:
        times.append(max(state.renew_after, state.trust.anchor.boot_instant(state.certificate_due, now)))
    return min(times, default=None)
