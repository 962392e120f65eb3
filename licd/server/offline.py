"""The ledger of a state directory that no daemon works on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from licd.core.time import SECOND
from licd.keys.kinds import KeyPurpose
from licd.ledger.ledger import Ledger
from licd.ledger.transaction import Installation
from licd.ledger.verbs.reconcile import reconciled_at
from licd.policy import load
from licd.server.clock import SystemClock, entropy, stopwatch
from licd.server.config import ServerConfig
from licd.server.keychain import Keychain
from licd.server.log_keeping import rotating_log_keeper
from licd.server.reserve import MEBIBYTE, FileReserve
from licd.server.rows_check import trust_of
from licd.server.secrets import KeyReader
from licd.server.state_dir import StateDirectory
from licd.server.store import Store
from licd.server.transfer import rows_of


@contextmanager
def offline_ledger(state: StateDirectory, config: ServerConfig, passphrase: bytes | None) -> Iterator[Ledger]:
    """Under the directory's lock, which the caller holds.

    Raises KeysError, LogRefused, SchemaRefused, PolicyError, BundleError, Invalid.
    """
    purposes = (KeyPurpose.EVIDENCE, KeyPurpose.LICENCE_ISSUER)
    reader = KeyReader(state, passphrase)
    signers = [each for purpose in purposes for each in reader.signers(purpose)]
    timing = load(state.root / config.policies).defaults.timing
    with rows_of(state) as rows:
        trust = trust_of(rows)
        keychain = Keychain(signers, trust, SystemClock().wall, state.held)
        reconciled = reconciled_at(rows)
    store = Store.of(state, config)
    store.make_ready()
    connection = store.connect()
    try:
        yield Ledger(
            connection,
            Installation(
                trust_domain=config.trust_domain,
                timing=timing,
                licence_signer=keychain.licence_issuer,
                bundle_version=lambda: trust.version,
                force_release_cool_down=config.limits.force_release_cool_down_seconds * SECOND,
                advise=lambda denied, _: denied,
                signs=keychain.permits_dated,
                reconciled_at=reconciled,
            ),
            rotating_log_keeper(config.trust_domain, keychain, trust),
            SystemClock(),
            entropy,
            FileReserve(state.reserve, config.limits.reserve_mebibytes * MEBIBYTE),
            stopwatch,
        )
    finally:
        connection.close()
