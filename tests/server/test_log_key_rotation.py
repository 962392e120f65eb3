"""The log's key changes in the middle of the log: whoever checks it, licd at its start too, goes across the change."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from licd.cli.trust_file import trust_of
from licd.core.time import HOUR, MINUTE
from licd.evidence.checkpoint import LogVerifier
from licd.evidence.export import LogInvalid, Report, verify_export
from licd.evidence.note import VerifierKey, parse_note
from licd.keys.kinds import KeyPurpose
from licd.ledger.database import SqliteConnection
from licd.ledger.log import read_head
from licd.server.log_keeping import verify_ed25519
from licd.server.rows_check import check_rows
from licd.server.services.logs import exported
from licd.server.snapshot import Snapshot
from licd.server.state_dir import StateDirectory
from tests.ceremony import SECOND, Ceremonies, retired, withdrawn
from tests.daemon import TRUST_DOMAIN, Daemon, copy_state, make_state, serving
from tests.office import Office

EVIDENCE = KeyPurpose.EVIDENCE
ORIGIN = f"{TRUST_DOMAIN}/licd/log"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> StateDirectory:
    return make_state(tmp_path_factory.mktemp("template") / "state")


@pytest.fixture
def state(template: StateDirectory, tmp_path: Path) -> StateDirectory:
    return copy_state(template.root, tmp_path / "state")


@pytest.fixture
def daemon(state: StateDirectory) -> Iterator[Daemon]:
    with serving(state) as made:
        yield made


@pytest.fixture
def ceremonies(daemon: Daemon) -> Ceremonies:
    return Ceremonies(daemon, Office(daemon).alice)


def lines_of(state: StateDirectory) -> list[str]:
    rows = SqliteConnection(state.database, readonly=True)
    try:
        return list(exported(rows, ORIGIN))
    finally:
        rows.close()


def verifier(daemon: Daemon) -> LogVerifier:
    """As `licctl log verify --bundle` makes it, of the chain that licd hands out."""
    trust = trust_of(list(daemon.up.daemon.trust.chain(0).bundles), "the chain", "", daemon.clock.wall())
    keys, former = (
        tuple(VerifierKey(ORIGIN, each) for each in some)
        for some in (trust.evidence_keys, trust.withdrawn_evidence_keys)
    )
    return LogVerifier(ORIGIN, keys, verify_ed25519, former)


def report(daemon: Daemon) -> Report:
    return verify_export(lines_of(daemon.state), verifier(daemon))


def signers_of_the_head(state: StateDirectory) -> int:
    with Snapshot(state.database) as rows:
        head = read_head(rows)
    assert head is not None
    return len(parse_note(head.checkpoint).signatures)


def some_entries(daemon: Daemon, ceremonies: Ceremonies) -> None:
    """Later by more than a minute, so that a checkpoint is kept as history."""
    daemon.clock.passed += 2 * MINUTE
    ceremonies.operator.customer()


def test_during_the_change_the_old_key_and_the_new_one_both_sign(daemon: Daemon, ceremonies: Ceremonies) -> None:
    assert signers_of_the_head(daemon.state) == 1
    before = verifier(daemon)
    ceremonies.publish(ceremonies.add(ceremonies.fresh_key(EVIDENCE, "2")))
    some_entries(daemon, ceremonies)
    assert signers_of_the_head(daemon.state) == 2
    verify_export(lines_of(daemon.state), before)  # who has not heard of the change yet
    assert report(daemon).checkpoints > 1


def test_a_retired_key_signs_no_more_and_what_it_signed_still_holds(daemon: Daemon, ceremonies: Ceremonies) -> None:
    old = ceremonies.key_of(EVIDENCE)
    some_entries(daemon, ceremonies)
    ceremonies.publish(ceremonies.add(ceremonies.fresh_key(EVIDENCE, "2")), retired(old, ceremonies.now + 2 * HOUR))
    daemon.clock.passed += 3 * HOUR
    some_entries(daemon, ceremonies)
    assert signers_of_the_head(daemon.state) == 1
    assert report(daemon).final.size == daemon.up.daemon.ledger.log_size


def test_a_withdrawn_key_signs_no_more_and_its_old_checkpoints_are_covered_by_newer_ones(
    daemon: Daemon, ceremonies: Ceremonies
) -> None:
    some_entries(daemon, ceremonies)
    old = ceremonies.key_of(EVIDENCE)
    cut = lines_of(daemon.state)
    ceremonies.publish(ceremonies.add(ceremonies.fresh_key(EVIDENCE, "2")), withdrawn(old))
    assert report(daemon).checkpoints > 2
    with pytest.raises(LogInvalid, match="no signature by a known key"):
        verify_export(cut, verifier(daemon))  # one that ends where only the withdrawn key speaks for it


@pytest.mark.parametrize("how", ["retired", "withdrawn"])
def test_licd_starts_on_a_log_across_the_change(state: StateDirectory, how: str) -> None:
    with serving(state) as daemon:
        ceremonies = Ceremonies(daemon, Office(daemon).alice)
        some_entries(daemon, ceremonies)
        old = ceremonies.key_of(EVIDENCE)
        end = withdrawn(old) if how == "withdrawn" else retired(old, ceremonies.now + HOUR + SECOND)
        ceremonies.publish(ceremonies.add(ceremonies.fresh_key(EVIDENCE, "2")), end)
        clock, size = daemon.clock, daemon.up.daemon.ledger.log_size
    (state.root / "keys/evidence.key").unlink()  # it is not needed any more
    check_rows_of(state)
    clock.passed += 2 * HOUR
    with serving(state, clock) as daemon:
        assert daemon.up.daemon.ledger.log_size >= size
        some_entries(daemon, Ceremonies(daemon, Office(daemon).alice))
        assert report(daemon).final.size > size


def check_rows_of(state: StateDirectory) -> None:
    with Snapshot(state.database) as rows:
        check_rows(rows, TRUST_DOMAIN)
