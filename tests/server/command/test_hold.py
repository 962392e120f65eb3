from licd.server.state_dir import StateDirectory
from tests.server.command.conftest import Licd


def test_holds_shows_and_lets_go(licd: Licd, state: StateDirectory) -> None:
    assert licd("hold", "--state", state.root, "--show").out == "not held: licd signs\n"
    assert licd("hold", "--state", state.root).out == "held: nothing is signed on this machine\n"
    assert licd("hold", "--state", state.root, "--show", "--off").out == "held: nothing is signed on this machine\n"
    assert licd("hold", "--state", state.root, "--off").out == "not held: licd signs\n"


def test_needs_no_database(licd: Licd, state: StateDirectory) -> None:
    state.database.unlink()
    assert licd("hold", "--state", state.root).code == 0
    assert state.held()
