"""`licd reconcile`: nothing that was answered is ever answered otherwise, and then licd grants again."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from licd.core.errors import AlreadyExists
from licd.core.model import DirectiveKind, LicenceStatus
from licd.core.terms import GRACE_CEILING, PERMIT_CEILING
from licd.core.time import MINUTE, SECOND
from licd.evidence.entry import Field, decode
from licd.ledger import tables
from licd.ledger.log import read_entries
from licd.ledger.rows import DIRECTIVES, SUSPENSION_SYSTEMS, SUSPENSIONS
from licd.ledger.verbs.reconcile import reconciled_at
from licd.server.backup import make_backup
from licd.server.clock import SystemClock
from licd.server.ratchet import Ratchet, behind, read_high
from licd.server.snapshot import Snapshot
from licd.server.state_dir import DirectoryLock, StateDirectory
from tests.server.command.conftest import Licd
from tests.server.command.desk import GRACE, LENGTH, Desk, at_work, licence_of


@pytest.fixture
def state_with_two(state: StateDirectory) -> StateDirectory:
    with at_work(state) as desk:
        desk.issue("one", "two")
        desk.enrol("one", "system-one")
        desk.enrol("two", "system-two")
    return state


def lose(licd: Licd, state: StateDirectory, tmp_path: Path, what: Sequence[tuple[str | int, ...]]) -> None:
    """Backs up, does what is to be lost, and restores."""
    made = make_backup(state, tmp_path / "backup", with_keys=False)
    with at_work(state) as desk:
        for verb, *arguments in what:
            getattr(Desk, str(verb))(desk, *arguments)
    assert licd("restore", "--state", state.root, made.path).code == 0


def settled(state: StateDirectory) -> bool:
    with Snapshot(state.database) as rows:
        return not behind(read_high(state.root / "ratchet"), rows)


def silent_for(state: StateDirectory, span: int) -> None:
    """As if a licd that grants nothing had started so long ago: the ratchet's marks get another time."""
    then = SystemClock().wall() - span
    path = state.root / "ratchet"
    lines = [line.split(" ") for line in path.read_text().splitlines()]
    moved = [[line[0], str(then), *line[2:]] if line[0] == "restored" else line for line in lines]
    path.write_text("".join(" ".join(line) + "\n" for line in moved))


LOST_SUSPENSION: Sequence[tuple[str | int, ...]] = [("suspend", "one"), ("reinstate", "one", 2), ("suspend", "one")]


def test_a_licence_that_is_behind_goes_beyond_what_was_answered_and_is_suspended(
    licd: Licd, state_with_two: StateDirectory, tmp_path: Path
) -> None:
    lose(licd, state_with_two, tmp_path, LOST_SUSPENSION)  # answered to epoch 4
    done = licd("reconcile", "--state", state_with_two.root, "--yes")
    assert done.code == 0
    one = licence_of(state_with_two, "one")
    assert (one.epoch, one.status, one.suspension_code) == (5, LicenceStatus.SUSPENDED, "log_gap")
    assert "licence one: here at epoch 1, answered to 4; suspended (log_gap)" in done.out
    assert settled(state_with_two)


def test_its_systems_are_ordered_to_stop_under_the_new_epoch(
    licd: Licd, state_with_two: StateDirectory, tmp_path: Path
) -> None:
    lose(licd, state_with_two, tmp_path, LOST_SUSPENSION)
    licd("reconcile", "--state", state_with_two.root, "--yes")
    with Snapshot(state_with_two.database) as rows:
        issued = DIRECTIVES.where(rows, tables.directive.c.licence == "one")
    assert [(each.epoch, each.kind, each.reason_code) for each in issued] == [(5, DirectiveKind.SUSPEND, "log_gap")]


def test_without_yes_it_only_shows(licd: Licd, state_with_two: StateDirectory, tmp_path: Path) -> None:
    lose(licd, state_with_two, tmp_path, LOST_SUSPENSION)
    before = (state_with_two.root / "ratchet").read_bytes()
    done = licd("reconcile", "--state", state_with_two.root)
    assert "would be suspended (log_gap)" in done.out
    assert done.out.endswith("nothing was changed; to do it: --yes\n")
    assert (state_with_two.root / "ratchet").read_bytes() == before
    with Snapshot(state_with_two.database) as rows:
        assert [each.kind for each in read_entries(rows)][-1] == "deployment.enrolled"
    assert licence_of(state_with_two, "one").epoch == 1


def test_a_second_time_there_is_nothing_to_do(licd: Licd, state_with_two: StateDirectory, tmp_path: Path) -> None:
    lose(licd, state_with_two, tmp_path, LOST_SUSPENSION)
    licd("reconcile", "--state", state_with_two.root, "--yes")
    assert licd("reconcile", "--state", state_with_two.root, "--yes").out.startswith("nothing to reconcile")
    assert licence_of(state_with_two, "one").epoch == 5


def test_one_in_step_is_suspended_while_a_lost_lease_may_still_be_acted_on(
    licd: Licd, state_with_two: StateDirectory, tmp_path: Path
) -> None:
    lose(licd, state_with_two, tmp_path, LOST_SUSPENSION)
    silent_for(state_with_two, LENGTH + GRACE - 30 * SECOND)
    done = licd("reconcile", "--state", state_with_two.root, "--yes")
    two = licence_of(state_with_two, "two")
    assert (two.epoch, two.status, two.suspension_code) == (2, LicenceStatus.SUSPENDED, "log_gap")
    assert "licence two: in step, but leases may be out" in done.out


def test_one_in_step_stays_in_force_once_no_lost_lease_is_left(
    licd: Licd, state_with_two: StateDirectory, tmp_path: Path
) -> None:
    lose(licd, state_with_two, tmp_path, LOST_SUSPENSION)
    silent_for(state_with_two, LENGTH + GRACE + 2 * SECOND)
    licd("reconcile", "--state", state_with_two.root, "--yes")
    assert licence_of(state_with_two, "two").status is LicenceStatus.ACTIVE
    assert licence_of(state_with_two, "one").status is LicenceStatus.SUSPENDED


def test_says_how_long_to_wait_for_those_in_step(licd: Licd, state_with_two: StateDirectory, tmp_path: Path) -> None:
    lose(licd, state_with_two, tmp_path, LOST_SUSPENSION)
    assert "stay in force if you wait until 2" in licd("reconcile", "--state", state_with_two.root).out


def test_the_bound_shown_for_each_system_covers_every_lease_that_may_be_out(
    licd: Licd, state_with_two: StateDirectory, tmp_path: Path
) -> None:
    lose(licd, state_with_two, tmp_path, LOST_SUSPENSION)
    silent_for(state_with_two, MINUTE)
    since = read_high(state_with_two.root / "ratchet").silent_since
    licd("reconcile", "--state", state_with_two.root, "--yes")
    with Snapshot(state_with_two.database) as rows:
        [suspension] = SUSPENSIONS.where(rows)
        systems = SUSPENSION_SYSTEMS.where(rows, tables.suspension_system.c.suspension == suspension.id)
    bounds = {each.licence: each.bounded_until for each in systems}
    assert bounds["one"] >= since + PERMIT_CEILING + GRACE_CEILING  # its terms at epoch 4 are lost
    assert since + LENGTH + GRACE <= bounds["two"] < since + LENGTH + GRACE + 2 * SECOND


def test_an_earlier_suspension_keeps_its_reason(licd: Licd, state_with_two: StateDirectory, tmp_path: Path) -> None:
    """What it takes to come back must not become less by a restore."""
    with at_work(state_with_two) as desk:
        desk.suspend("one", "protected_person")
    lose(licd, state_with_two, tmp_path, [("reinstate", "one", 2)])
    licd("reconcile", "--state", state_with_two.root, "--yes")
    one = licence_of(state_with_two, "one")
    assert (one.epoch, one.status, one.suspension_code) == (4, LicenceStatus.SUSPENDED, "protected_person")


def test_a_lost_termination_is_a_suspension_and_a_kept_one_stays(
    licd: Licd, state_with_two: StateDirectory, tmp_path: Path
) -> None:
    with at_work(state_with_two) as desk:
        desk.terminate("two")
    lose(licd, state_with_two, tmp_path, [("terminate", "one")])
    licd("reconcile", "--state", state_with_two.root, "--yes")
    assert licence_of(state_with_two, "one").status is LicenceStatus.SUSPENDED
    two = licence_of(state_with_two, "two")
    assert (two.status, two.epoch) == (LicenceStatus.TERMINATED, 2)


def test_a_licence_that_is_lost_altogether_is_named_and_never_forgotten(
    licd: Licd, state_with_two: StateDirectory, tmp_path: Path
) -> None:
    lose(licd, state_with_two, tmp_path, [("issue", "three"), ("suspend", "three")])
    done = licd("reconcile", "--state", state_with_two.root, "--yes")
    assert "licence three: lost, answered to epoch 2" in done.out
    assert settled(state_with_two)
    assert read_high(state_with_two.root / "ratchet").lost == {"three": 2}
    with at_work(state_with_two) as desk, pytest.raises(AlreadyExists, match="lost in a restore"):
        desk.issue("three")
    assert settled(state_with_two)


def test_one_entry_says_what_was_answered_and_is_lost(
    licd: Licd, state_with_two: StateDirectory, tmp_path: Path
) -> None:
    lose(licd, state_with_two, tmp_path, [*LOST_SUSPENSION, ("issue", "three"), ("suspend", "three")])
    answered = read_high(state_with_two.root / "ratchet").log_size
    licd("reconcile", "--state", state_with_two.root, "--yes")
    with Snapshot(state_with_two.database) as rows:
        [line] = [each for each in read_entries(rows) if each.kind == "ledger.reconciled"]
    fields = {each.name: each.value.decode() for each in decode(line.body).fields if isinstance(each, Field)}
    assert fields["behind"] == "one 1 4"
    assert fields["lost"] == "three 2"
    assert fields["suspended_in_doubt"] == "two"
    assert int(fields["answered_size"]) == answered


def test_the_rows_know_when_they_were_last_reconciled(
    licd: Licd, state_with_two: StateDirectory, tmp_path: Path
) -> None:
    with Snapshot(state_with_two.database) as rows:
        assert reconciled_at(rows) == 0
    lose(licd, state_with_two, tmp_path, LOST_SUSPENSION)
    before = SystemClock().wall()
    licd("reconcile", "--state", state_with_two.root, "--yes")
    with Snapshot(state_with_two.database) as rows:
        assert before <= reconciled_at(rows) <= SystemClock().wall()


def test_a_ratchet_that_is_gone_is_settled_too(licd: Licd, state_with_two: StateDirectory) -> None:
    (state_with_two.root / "ratchet").unlink()
    assert not settled(state_with_two)
    licd("reconcile", "--state", state_with_two.root, "--yes")
    assert settled(state_with_two)


def test_broken_off_before_the_baseline_it_can_be_done_again(
    licd: Licd, state_with_two: StateDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose(licd, state_with_two, tmp_path, LOST_SUSPENSION)

    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device", "ratchet")

    with monkeypatch.context() as patch:
        patch.setattr(Ratchet, "settle", broken)
        assert licd("reconcile", "--state", state_with_two.root, "--yes").code == 2
    assert not settled(state_with_two)
    assert licd("reconcile", "--state", state_with_two.root, "--yes").code == 0
    assert settled(state_with_two)
    assert licence_of(state_with_two, "one").epoch == 5


def test_nothing_to_do_for_rows_that_are_whole(licd: Licd, state_with_two: StateDirectory) -> None:
    done = licd("reconcile", "--state", state_with_two.root, "--yes")
    assert (done.code, done.out) == (0, "nothing to reconcile: the rows hold all that was answered\n")


def test_refuses_while_a_daemon_works_there(licd: Licd, state: StateDirectory) -> None:
    with DirectoryLock(state):
        assert licd("reconcile", "--state", state.root, "--yes").code == 3
