"""`licd renew-certificates`: the same keys and names, a new end; nothing for those who may not operate."""

import shutil
from pathlib import Path

import pytest
from cryptography import x509

from licd.core.time import DAY, SECOND
from licd.keys.pem_files import certificates_from_pem
from licd.ledger.verbs.operators import DisableOperator
from licd.server.clock import SystemClock
from licd.server.state_dir import DirectoryLock, StateDirectory
from tests.server.command.conftest import Licd
from tests.server.command.desk import at_work


def leaf(path: Path) -> x509.Certificate:
    return certificates_from_pem(path.read_bytes())[0]


def left(certificate: x509.Certificate) -> int:
    """Days."""
    return round((certificate.not_valid_after_utc.timestamp() * SECOND - SystemClock().wall()) / DAY)


def names(certificate: x509.Certificate) -> list[object]:
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [each.value for each in found]


@pytest.mark.parametrize("chain", ["tls/server.pem", "operators/alice/tls.pem", "operators/bob/tls.pem"])
def test_the_new_one_has_the_same_key_and_names_and_a_new_end(licd: Licd, state: StateDirectory, chain: str) -> None:
    old = leaf(state.root / chain)
    assert licd("renew-certificates", "--state", state.root, "--days", 30).code == 0
    new = leaf(state.root / chain)
    assert new.public_key() == old.public_key()
    assert names(new) == names(old)
    assert new.serial_number != old.serial_number
    assert left(new) == 30
    new.verify_directly_issued_by(leaf(state.root / "tls" / "authority.pem"))


def test_works_while_a_daemon_serves(licd: Licd, state: StateDirectory) -> None:
    with DirectoryLock(state):
        assert licd("renew-certificates", "--state", state.root).code == 0


def test_the_listeners_get_other_names_when_asked(licd: Licd, state: StateDirectory) -> None:
    licd("renew-certificates", "--state", state.root, "--host", "licd.vendor.example", "--host", "::1")
    shown = [str(each) for each in names(leaf(state.root / "tls" / "server.pem"))]
    assert shown == ["spiffe://licd.example/server/replica-1", "licd.vendor.example", "::1"]


def test_an_operator_who_was_disabled_gets_none(licd: Licd, state: StateDirectory) -> None:
    with at_work(state) as desk:
        desk.run(DisableOperator("bob", "alice", "left"))
    before = (state.root / "operators/bob/tls.pem").read_bytes()
    done = licd("renew-certificates", "--state", state.root)
    assert "left as it was: there is no enabled operator bob" in done.out
    assert (state.root / "operators/bob/tls.pem").read_bytes() == before


def test_a_folder_with_somebody_elses_key_gets_none(licd: Licd, state: StateDirectory) -> None:
    for name in ("tls.key", "tls.pem"):
        shutil.copy(state.root / "operators/bob" / name, state.root / "operators/alice" / name)
    assert "licd knows another key of this operator" in licd("renew-certificates", "--state", state.root).out


def test_a_certificate_that_is_not_its_keys_is_refused_and_stays(licd: Licd, state: StateDirectory) -> None:
    shutil.copy(state.root / "operators/bob/tls.pem", state.root / "tls/server.pem")
    before = (state.root / "tls/server.pem").read_bytes()
    done = licd("renew-certificates", "--state", state.root)
    assert done.code == 2
    assert "belong together" in done.err
    assert (state.root / "tls/server.pem").read_bytes() == before


def test_without_the_authority_nothing_is_changed(licd: Licd, state: StateDirectory) -> None:
    before = (state.root / "tls/server.pem").read_bytes()
    (state.root / "tls/authority.key").unlink()
    done = licd("renew-certificates", "--state", state.root)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert (state.root / "tls/server.pem").read_bytes() == before


@pytest.mark.parametrize("days", ["0", "399", "x"])
def test_a_life_that_cannot_be_is_refused(licd: Licd, state: StateDirectory, days: str) -> None:
    done = licd("renew-certificates", "--state", state.root, "--days", days)
    assert done.code == 2
    assert "--days" in done.err
