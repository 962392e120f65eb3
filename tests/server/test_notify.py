"""What systemd hears, over a real datagram socket."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from licd.server.notify import Supervisor


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(5)
        yield listener


def heard(systemd: socket.socket) -> str:
    return systemd.recv(4096).decode()


def test_tells_each_change_in_one_datagram(systemd: socket.socket) -> None:
    supervisor = Supervisor({"NOTIFY_SOCKET": systemd.getsockname()})
    supervisor.ready()
    supervisor.alive()
    supervisor.status("5 systems")
    supervisor.stopping()
    assert [heard(systemd) for _ in range(4)] == ["READY=1", "WATCHDOG=1", "STATUS=5 systems", "STOPPING=1"]


def test_a_status_cannot_smuggle_in_another_message(systemd: socket.socket) -> None:
    Supervisor({"NOTIFY_SOCKET": systemd.getsockname()}).status("fine\nSTOPPING=1")
    assert heard(systemd) == "STATUS=fine STOPPING=1"


def test_finds_an_abstract_socket() -> None:
    name = f"licd-notify-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0{name}")
        listener.settimeout(5)
        Supervisor({"NOTIFY_SOCKET": f"@{name}"}).ready()
        assert heard(listener) == "READY=1"


def test_says_nothing_when_nobody_listens() -> None:
    with capture_logs() as logs:
        Supervisor({}).ready()
    assert logs == []


def test_a_supervisor_that_is_gone_is_logged_and_stops_nothing(tmp_path: Path) -> None:
    with capture_logs() as logs:
        Supervisor({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready()
    assert [(line["log_level"], line["state"]) for line in logs] == [("warning", "READY=1")]


@pytest.mark.parametrize(
    ("environment", "period"),
    [
        ({}, 0),
        ({"WATCHDOG_USEC": "30000000"}, 15_000),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15_000),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, 0),
    ],
)
def test_owes_a_sign_of_life_twice_in_the_watchdogs_time_if_it_watches_this_process(
    environment: dict[str, str], period: int
) -> None:
    assert Supervisor(environment).watchdog_period == period
