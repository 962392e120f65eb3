"""The only wiring: what is given (rows, keys, clocks) becomes a daemon that answers calls.

build() makes the daemon without a socket; the deterministic simulation calls it with a clock and a disk of its own.
serve() puts it behind TLS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from cryptography import x509

from licd import __version__
from licd.core.reasons import Denied
from licd.core.time import DAY, SECOND, Instant
from licd.keys.kinds import KeyPurpose
from licd.keys.pki import Authority
from licd.ledger.database import Connection
from licd.ledger.ledger import BatchFigures, Ledger
from licd.ledger.log import read_head
from licd.ledger.timekeeper import Clock
from licd.ledger.transaction import Committed, Installation
from licd.ledger.verbs.clock import Beat
from licd.ledger.verbs.reconcile import reconciled_at
from licd.policy import Policies
from licd.server.accountability import accountability_services
from licd.server.allegation_metrics import watch_allegations
from licd.server.authorities import Authorities
from licd.server.caller import Listener
from licd.server.certificates import Certificates
from licd.server.changes import Changes
from licd.server.config import ServerConfig
from licd.server.directory import Directory
from licd.server.dispatch import Dispatch, Gate
from licd.server.dues import Dues
from licd.server.jobs import Jobs
from licd.server.join_token import JoinTokens
from licd.server.keychain import Keychain
from licd.server.log_keeping import rotating_log_keeper
from licd.server.log_proofs import LogProofs
from licd.server.metrics import Metrics
from licd.server.observation import Observation
from licd.server.publication import Publication
from licd.server.push import Push
from licd.server.quota import Quota, Rate
from licd.server.ratchet import High, behind
from licd.server.reader import Reader
from licd.server.reason_codes import ReasonCodes
from licd.server.resealing import Resealing
from licd.server.reserve import FileReserve, NoReserve
from licd.server.reviews import Reviews
from licd.server.rules import Rules
from licd.server.secrets import Secrets
from licd.server.services.approvals import ApprovalService
from licd.server.services.cases import CaseService
from licd.server.services.continuity import ContinuityPermits
from licd.server.services.customers import CustomerService
from licd.server.services.deployments import DeploymentService
from licd.server.services.enrolment import EnrolmentService
from licd.server.services.keys import KeyService
from licd.server.services.leases import LeaseService
from licd.server.services.licences import Licences
from licd.server.services.logs import LogService
from licd.server.services.reinstatements import Reinstatements
from licd.server.services.sessions import SessionLimits, SessionService
from licd.server.services.signals import SignalService
from licd.server.services.status import About, PolicyService, StatusService
from licd.server.services.suspensions import Suspensions
from licd.server.signing import OnlineSigning
from licd.server.trust import Trust
from licd.server.writer import Writer

NANOS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Seams:
    """Everything that comes in from outside: clocks, randomness, threads, disk.

    urgent_reader serves suspensions alone: no long list stands before them.
    """

    clock: Clock
    random: Callable[[int], bytes]
    stopwatch: Callable[[], int]
    make_writer: Callable[[Ledger], Writer]
    reader: Reader
    urgent_reader: Reader
    reserve: FileReserve | NoReserve
    held: Callable[[], bool]
    call_soon: Callable[..., object]
    listener_certificate: Callable[[], x509.Certificate | None]


@dataclass(slots=True)
class Addresses:
    """What callers are told to connect to; filled in once the ports are open."""

    enrolment: str = ""
    customer: str = ""


@dataclass(frozen=True, slots=True)
class Daemon:
    """A daemon without sockets."""

    dispatch: Dispatch
    ledger: Ledger
    writer: Writer
    jobs: Jobs
    metrics: Metrics
    directory: Directory
    push: Push
    trust: Trust
    keychain: Keychain
    authorities: Authorities
    resealing: Resealing
    addresses: Addresses
    impediments: Callable[[], tuple[str, ...]]


class MeteredBatches:
    """Counts what each durable batch cost."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics: Final = metrics

    def committed(self, done: Committed, figures: BatchFigures) -> None:
        """Called on the writing thread."""
        if figures.commands:
            self._metrics.batch(figures.commands, figures.entries, figures.commit_ns / NANOS)

    def failed(self, why: str) -> None:
        """Called on the writing thread."""
        self._metrics.batch_failed(why)


def build(
    config: ServerConfig,
    policies: Policies,
    secrets: Secrets,
    connection: Connection,
    seams: Seams,
    *,
    answered: High | None = None,
) -> Daemon:
    """Wires a daemon over a database whose schema is in place. Raises LogRefused when its log does not hold.

    answered is what the ratchet remembers: with rows older than that the daemon starts read-only.
    """
    metrics = Metrics()
    # before what is remembered of the rows is read: others may go on meanwhile
    followed = read_head(connection) if connection.shared else None
    trust = Trust.of(connection)
    spare = secrets.spare()
    keychain = Keychain(
        (secrets.licence_issuer, secrets.permit_online, secrets.evidence, *spare.signers),
        trust,
        seams.clock.wall,
        seams.held,
    )
    authorities = Authorities((secrets.authority, *spare.authorities), trust, seams.clock.wall)
    signing = OnlineSigning(keychain.permit_online, metrics, seams.stopwatch)
    installation = Installation(
        trust_domain=config.trust_domain,
        timing=policies.defaults.timing,
        licence_signer=keychain.licence_issuer,
        bundle_version=lambda: trust.version,
        force_release_cool_down=config.limits.force_release_cool_down_seconds * SECOND,
        advise=partial(_advised, policies),
        signs=keychain.permits_dated,
        reconciled_at=reconciled_at(connection),
        answered=answered.ever_answered() if answered else {},
        silent_since=answered.silent_since if answered else 0,
        gate=policies.diligence.gate,
    )
    ledger = Ledger(
        connection,
        installation,
        rotating_log_keeper(config.trust_domain, keychain, trust),
        seams.clock,
        seams.random,
        seams.reserve,
        seams.stopwatch,
        behind(answered, connection) if answered else "",
        followed.size if followed else 0,
    )
    push = Push(signing, metrics, seams.call_soon)
    directory = Directory(connection)
    for observer in (directory, trust, push, MeteredBatches(metrics)):
        ledger.observe(observer)
    trust.follow(lambda: push.tell_trust(trust.chain(trust.version - 1)))
    return _daemon(
        config, policies, secrets, seams, metrics, trust, keychain, authorities, signing, ledger, push, directory
    )


def _advised(policies: Policies, denied: Denied, now: Instant) -> Denied:
    """The denial with the retry hint of policy; what the decision itself found out goes in."""
    hint = policies.denials[denied.reason]
    return replace(denied, retry_at=hint.retry_at(now, denied.retry_at))


def _daemon(
    config: ServerConfig,
    policies: Policies,
    secrets: Secrets,
    seams: Seams,
    metrics: Metrics,
    trust: Trust,
    keychain: Keychain,
    authorities: Authorities,
    signing: OnlineSigning,
    ledger: Ledger,
    push: Push,
    directory: Directory,
) -> Daemon:
    wall = ledger.timekeeper.now
    writer = seams.make_writer(ledger)
    days = config.limits.certificate_days
    certificates = Certificates(authorities, days * DAY, wall, seams.random, seams.held)
    addresses = Addresses(config.advertise.enrolment, config.advertise.customer)

    def impediments() -> tuple[str, ...]:
        held = ("hold: signing is held on this machine",) if seams.held() else ()
        return (*ledger.impediments(), *held)

    resealing = Resealing(writer, seams.reader, trust)
    trust.follow(lambda: seams.call_soon(resealing.begin))
    publication = Publication(trust, keychain, authorities, secrets.spare, wall)
    services = _services(
        config,
        policies,
        authorities,
        publication,
        seams,
        metrics,
        trust,
        signing,
        ledger,
        push,
        directory,
        writer,
        certificates,
        addresses,
        impediments,
    )
    quota = {
        Listener.ENROLMENT: Quota(Rate(config.limits.enrolments_per_second, config.limits.enrolments_at_once)),
        Listener.CUSTOMER: Quota(Rate(config.limits.requests_per_second, config.limits.requests_at_once)),
        Listener.OPERATOR: Quota(Rate(config.limits.requests_per_second, config.limits.requests_at_once)),
    }
    gate = Gate(policies.roles, directory)

    async def catch_up() -> None:
        ledger.hurry()
        await writer.execute(Beat())

    dispatch = Dispatch(
        services, gate, quota, metrics, seams.clock.boot, seams.stopwatch, catch_up if ledger.shared else None
    )
    observation = Observation(
        ledger=ledger,
        reader=seams.reader,
        writer=writer,
        impediments=impediments,
        reserve_held=seams.reserve.held,
        expiries=lambda: _expiries(trust, authorities.issuing(), seams.listener_certificate),
        wall=wall,
    )
    metrics.watch(observation.snapshot)
    watch_allegations(metrics.registry, lambda: observation.allegations)
    rounds = Reviews(writer, seams.reader, policies, wall), Dues(writer, seams.reader, policies, wall)
    rules = Rules(writer, seams.reader, policies, metrics, wall)
    jobs = Jobs(writer, seams.reader, observation, *rounds, rules, seams.reserve, wall, catch_up)
    return Daemon(
        dispatch=dispatch,
        ledger=ledger,
        writer=writer,
        jobs=jobs,
        metrics=metrics,
        directory=directory,
        push=push,
        trust=trust,
        keychain=keychain,
        authorities=authorities,
        resealing=resealing,
        addresses=addresses,
        impediments=impediments,
    )


def _services(
    config: ServerConfig,
    policies: Policies,
    authorities: Authorities,
    publication: Publication,
    seams: Seams,
    metrics: Metrics,
    trust: Trust,
    signing: OnlineSigning,
    ledger: Ledger,
    push: Push,
    directory: Directory,
    writer: Writer,
    certificates: Certificates,
    addresses: Addresses,
    impediments: Callable[[], tuple[str, ...]],
) -> Mapping[str, Sequence[object]]:
    wall, reader = ledger.timekeeper.now, seams.reader
    changes = Changes(writer, directory, policies, wall)
    codes = ReasonCodes(policies.suspension)
    tokens = JoinTokens(config.trust_domain, lambda: addresses.enrolment, authorities.believed_der, trust.first_payload)
    about = About(__version__, config.trust_domain, wall())
    sessions = SessionService(
        writer=writer,
        directory=directory,
        signing=signing,
        push=push,
        certificates=certificates,
        trust=trust,
        metrics=metrics,
        wall=wall,
        limits=SessionLimits(float(config.limits.stream_age_seconds)),
    )
    licences = Licences(reader=reader, changes=changes, codes=codes, policies=policies, wall=wall)
    continuity = ContinuityPermits(reader=reader, changes=changes, wall=wall)
    reinstatements = Reinstatements(reader=reader, changes=changes, codes=codes, policy=policies.suspension, wall=wall)
    suspensions = Suspensions(
        reader=seams.urgent_reader,
        changes=changes,
        codes=codes,
        push=push,
        timing=policies.defaults.timing,
        wall=wall,
    )
    proofs = LogProofs(reader)
    deployments = DeploymentService(
        reader=reader, proofs=proofs, changes=changes, codes=codes, push=push, tokens=tokens, random=seams.random
    )
    status = StatusService(
        about=about,
        ledger=ledger,
        reader=reader,
        changes=changes,
        directory=directory,
        push=push,
        policies=policies,
        trust=trust,
        impediments=impediments,
        wall=wall,
    )
    keys = KeyService(
        reader=reader,
        changes=changes,
        policies=policies,
        certificates=certificates,
        trust=trust,
        publication=publication,
    )
    log_origin = f"{config.trust_domain}/licd/log"
    return {
        "EnrolmentService": (EnrolmentService(writer, certificates, trust, lambda: addresses.customer),),
        "SessionService": (sessions,),
        "ApprovalService": (ApprovalService(reader, changes, wall),),
        "CaseService": (CaseService(reader, changes, codes, policies, wall),),
        "CustomerService": (CustomerService(reader, changes, codes),),
        "DeploymentService": (deployments,),
        "KeyService": (keys,),
        "LeaseService": (LeaseService(reader, changes, codes, wall),),
        "LicenceService": (licences, continuity, suspensions, reinstatements),
        "LogService": (LogService(reader, log_origin, proofs),),
        "PolicyService": (PolicyService(policies),),
        "SignalService": (SignalService(reader, changes, policies.suspension),),
        "StatusService": (status,),
        **accountability_services(reader, changes, codes, policies, trust, config.trust_domain, wall),
    }


def _expiries(
    trust: Trust, authority: Authority, listener_certificate: Callable[[], x509.Certificate | None]
) -> Mapping[str, Mapping[str, Instant]]:
    """When certificates, each purpose (with its last key) and the bundle end."""
    bundle = trust.bundle
    keys: dict[str, Instant] = {}
    for key in bundle.keyring:  # a purpose ends with its last key
        keys[key.purpose.word] = max(key.not_after_ms, keys.get(key.purpose.word, 0))
    roots = sorted(key.not_after_ms for key in bundle.roots())
    if len(roots) >= bundle.root_threshold:  # and with the last time that enough roots can sign
        keys[KeyPurpose.ROOT.word] = roots[-bundle.root_threshold]
    certificates = {"authority": authority.certificate, "listeners": listener_certificate()}
    ends = {name: _end_of(each) for name, each in certificates.items() if each is not None}
    return {"certificates": ends, "keys": keys, "bundle": {"bundle": bundle.expires_at_ms}}


def _end_of(certificate: x509.Certificate) -> Instant:
    return int(certificate.not_valid_after_utc.timestamp()) * SECOND
