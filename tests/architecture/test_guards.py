"""The guards in tests/conftest.py, tried on what they are to stop."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import grpc
import pytest

from tests.architecture.sources import ROOT
from tests.conftest import dealt, grpc_hosts

ELSEWHERE = "192.0.2.1"  # TEST-NET-1, RFC 5737


def test_a_socket_refuses_to_leave_the_machine() -> None:
    with socket.socket() as outgoing, pytest.raises(pytest.fail.Exception, match=re.escape(ELSEWHERE)):
        outgoing.connect((ELSEWHERE, 9))


def test_a_datagram_refuses_to_leave_the_machine() -> None:
    with (
        socket.socket(type=socket.SOCK_DGRAM) as outgoing,
        pytest.raises(pytest.fail.Exception, match=re.escape(ELSEWHERE)),
    ):
        outgoing.sendto(b"", (ELSEWHERE, 9))


def test_no_name_is_looked_up() -> None:
    with pytest.raises(pytest.fail.Exception, match=r"licd\.example"):
        socket.create_connection(("licd.example", 443))


def test_a_channel_refuses_to_leave_the_machine() -> None:
    with pytest.raises(pytest.fail.Exception, match=re.escape(ELSEWHERE)):
        grpc.insecure_channel(f"{ELSEWHERE}:9")


async def test_an_async_channel_refuses_to_leave_the_machine() -> None:
    with pytest.raises(pytest.fail.Exception, match=re.escape(ELSEWHERE)):
        grpc.aio.insecure_channel(f"dns:///{ELSEWHERE}:9")


def test_a_socket_reaches_loopback() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as caller:
        assert caller.getpeername() == listener.getsockname()


@pytest.mark.parametrize(
    ("target", "hosts"),
    [
        ("127.0.0.1:50051", ["127.0.0.1"]),
        ("dns:///licd.example:443", ["licd.example"]),
        ("dns://resolver/licd.example", ["licd.example"]),
        ("ipv4:127.0.0.1:1,192.0.2.1:2", ["127.0.0.1", "192.0.2.1"]),
        ("ipv6:[::1]:50051", ["[::1]"]),
        ("unix:/run/licd.sock", []),
    ],
)
def test_finds_the_hosts_in_a_channels_target(target: str, hosts: list[str]) -> None:
    assert grpc_hosts(target) == hosts


def run_pytest(folder: Path, *, ci: str, workers: int) -> tuple[int, str]:
    """Runs one skipped test and one skipped module under tests/conftest.py; returns exit code and output."""
    (folder / "test_one.py").write_text("import pytest\ndef test_a():\n    pytest.skip('no moon')\n")
    (folder / "test_two.py").write_text("import pytest\npytest.skip('no sun', allow_module_level=True)\n")
    (folder / "test_three.py").write_text("def test_c():\n    pass\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-n", str(workers), "-c", os.devnull, str(folder)],
        capture_output=True,
        check=False,
        cwd=ROOT,
        encoding="utf-8",
        env=os.environ | {"CI": ci, "PYTHONPATH": str(ROOT)},
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize("workers", [0, 2])
def test_a_skip_that_is_not_on_the_list_fails_in_ci(tmp_path: Path, workers: int) -> None:
    code, output = run_pytest(tmp_path, ci="true", workers=workers)
    assert code == 1
    assert re.findall(r"so this run fails: (.*)", output) == ["no moon", "no sun"]


def test_a_skip_is_only_counted_elsewhere(tmp_path: Path) -> None:
    code, output = run_pytest(tmp_path, ci="", workers=0)
    assert code == 0
    assert "skipped, with a reason: 2" in output


def test_every_worker_begins_with_its_share_of_what_may_take_long() -> None:
    assert dealt(["A", "B", "C"], list("abcde"), 1) == list("ABCabcde")
    assert dealt(["A", "B", "C"], list("abcde"), 2) == [*"ACace", *"Bbd"]
    assert dealt([], list("abc"), 2) == ["a", "c", "b"]
