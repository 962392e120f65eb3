"""The database goes away and comes again, as in a failover: licd stays, says so, and goes on."""

from pathlib import Path

from licd.core.errors import DatabaseFailed
from tests.daemon import PATIENCE, make_state
from tests.eventually import eventually
from tests.office import Office
from tests.postgres import folder_of_servers, free_port, make_cluster, start
from tests.process import Process
from tests.replicas import shared_states

WATCHED_EACH_SECOND = {"WATCHDOG_USEC": "2000000"}


def test_a_failover_that_takes_its_time_does_not_end_licd(tmp_path: Path):
    log = tmp_path / "licd.log"
    with folder_of_servers() as folder:
        make_cluster(folder)
        server = start(folder, free_port())
        try:
            [state] = shared_states(make_state(tmp_path / "licd"), server.new_database(), 1)
            process = Process(state, log=log, environment=WATCHED_EACH_SECOND).start()
            try:
                server.end()
                waits = "the database does not answer; licd waits for it"
                eventually(
                    lambda: not process.runs or waits in log.read_text(), 3 * PATIENCE, "licd says that it waits"
                )
                server = start(folder, server.port)
                eventually(lambda: _answers(process), 3 * PATIENCE, "licd goes on")
            finally:
                process.kill()
        finally:
            server.end()


def _answers(process: Process) -> bool:
    assert process.runs
    try:
        Office(process).alice.customer()
    except DatabaseFailed:
        return False
    return True
