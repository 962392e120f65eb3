"""Certificates of the channel: until when they hold, and whether they belong to their keys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cryptography import x509

from licd.core.time import DAY, SECOND, Instant
from licd.keys.errors import KeysError
from licd.keys.pem_files import certificates_from_pem, read_private_key
from licd.server.authorities import Authorities, pem_of
from licd.server.doctor.finding import Finding, fail, ok, warn
from licd.server.doctor.patient import Patient, span
from licd.server.secrets import read_authorities

SOON: Final = 14 * DAY
AUTHORITY_SOON: Final = 180 * DAY


def check_authority(patient: Patient) -> Iterator[Finding]:
    """It signs everybody's certificate, and systems believe servers by it."""
    trust = patient.trust()
    authorities = Authorities(
        read_authorities(patient.state, patient.config().trust_domain), trust, lambda: patient.now
    )
    authority = authorities.issuing()
    if pem_of(authority.certificate) not in trust.bundle.tls_authorities_pem:
        todo = "put the right tls/authority.pem and .key back; systems believe only the one in the trust bundle"
        yield fail("it is not the authority that the trust bundle names", todo)
    todo = "make a new authority, and have the holders of the root keys put it into a new trust bundle beside this one"
    yield _by_age("the authority's certificate", authority.certificate, patient.now, AUTHORITY_SOON, todo)


def check_server_certificate(patient: Patient) -> Iterator[Finding]:
    """What callers see."""
    chain, key = patient.state.server
    yield from _certificate(patient, "the listeners' certificate", chain, key)


def check_operator_certificates(patient: Patient) -> Iterator[Finding]:
    """Those whose files are here."""
    chains = sorted(patient.state.root.glob("operators/*/tls.pem"))
    if not chains:
        yield ok("none is on this machine")
    for chain in chains:
        name = f"operator {chain.parent.name}'s certificate"
        try:
            yield from _certificate(patient, name, chain, chain.with_suffix(".key"))
        except (KeysError, OSError) as error:
            yield warn(f"{name} cannot be used: {error}", "put certificate and key back as they belong together")


def _certificate(patient: Patient, name: str, chain: Path, key: Path) -> Iterator[Finding]:
    leaf = certificates_from_pem(chain.read_bytes())[0]
    todo = f"licd renew-certificates --state {patient.state.root}"
    if key.exists() and leaf.public_key() != read_private_key(key).public_key():
        yield fail(f"{name} does not belong to {key}", "put the two back as they belong together")
    believed = certificates_from_pem("".join(patient.trust().bundle.tls_authorities_pem).encode())
    if not any(_signed_by(leaf, each) for each in believed):
        yield fail(f"{name} is not by this installation's authority", todo)
    yield _by_age(name, leaf, patient.now, SOON, todo)


def _signed_by(leaf: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        leaf.verify_directly_issued_by(authority)
    except Exception:  # noqa: BLE001 -- by whatever reason, it does not verify
        return False
    return True


def _by_age(name: str, certificate: x509.Certificate, now: Instant, soon: int, todo: str) -> Finding:
    begins = int(certificate.not_valid_before_utc.timestamp()) * SECOND
    ends = int(certificate.not_valid_after_utc.timestamp()) * SECOND
    if now >= ends:
        return fail(f"{name} is over since {span(now - ends)}", todo)
    if now < begins:
        return fail(f"{name} holds only in {span(begins - now)}", "is the clock right? else: " + todo)
    what = f"{name} is {span(now - begins)} old and holds for {span(ends - now)} more"
    return warn(what, todo) if ends - now < soon else ok(what)
