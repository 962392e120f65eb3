"""What holds for every test: nothing leaves the machine, chance can be repeated, and a skip is counted."""

import importlib
import ipaddress
import os
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar

import hypothesis
import pytest

T = TypeVar("T")

IN_CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}
ALLOWED_SKIPS = Path(__file__).with_name("allowed_skips.txt")

# A shared machine makes any deadline a lie, and data generation slow without anybody's fault.
hypothesis.settings.register_profile(
    "local", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], print_blob=True
)
hypothesis.settings.register_profile("ci", hypothesis.settings.get_profile("local"), derandomize=True)
hypothesis.settings.register_profile("nightly", hypothesis.settings.get_profile("local"), max_examples=5_000)
hypothesis.settings.load_profile("ci" if IN_CI else "local")


# ------------------------------------------------------------------------------------- nothing leaves the machine
def is_local(host: str | None) -> bool:
    """Whether a host names this machine. Of names only `localhost` does: any other might be looked up elsewhere."""
    if host in {None, "", "localhost"}:
        return True
    try:
        address = ipaddress.ip_address(str(host).strip("[]").partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def refuse_remote(host: Any) -> None:
    text = host.decode() if isinstance(host, bytes) else host
    if not is_local(text):
        pytest.fail(f"a test tried to reach {text!r}; tests talk to loopback only")


def grpc_hosts(target: str) -> list[str]:
    """The hosts in a gRPC target, by its naming scheme (github.com/grpc/grpc, doc/naming.md)."""
    if target.startswith(("unix:", "unix-abstract:")):
        return []
    addresses = re.sub(r"^(?:dns:(?://[^/]*/)?|ipv[46]:|passthrough:/*)", "", target)
    return [re.sub(r":\d+$", "", address) for address in addresses.split(",")]


def guarded_socket_call(original: Callable[..., Any]) -> Callable[..., Any]:
    def call(self: socket.socket, *arguments: Any) -> Any:
        if self.family in {socket.AF_INET, socket.AF_INET6}:
            refuse_remote(arguments[-1][0])  # the address comes last in connect, connect_ex and sendto
        return original(self, *arguments)

    return call


def guarded_lookup(original: Callable[..., Any]) -> Callable[..., Any]:
    def call(host: Any, *arguments: Any, **options: Any) -> Any:
        refuse_remote(host)
        return original(host, *arguments, **options)

    return call


def guarded_channel(original: Callable[..., Any]) -> Callable[..., Any]:
    def call(self: Any, target: str, *arguments: Any, **options: Any) -> Any:
        for host in grpc_hosts(target):
            refuse_remote(host)
        return original(self, target, *arguments, **options)

    return call


@pytest.fixture(scope="session", autouse=True)
def loopback_only() -> Iterator[None]:
    """Python's sockets and gRPC's own (which Python does not see) refuse every address but this machine's."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex", "sendto"):
            patch.setattr(socket.socket, name, guarded_socket_call(getattr(socket.socket, name)))
        patch.setattr(socket, "getaddrinfo", guarded_lookup(socket.getaddrinfo))
        for module in ("grpc._channel", "grpc.aio._channel"):
            channel = importlib.import_module(module).Channel
            patch.setattr(channel, "__init__", guarded_channel(channel.__init__))
        yield


# ----------------------------------------------------------------------------------------- nothing is left open
MOST_OPEN = 700
"""Descriptors of one process. Where nobody has set it, the limit is 1 024."""


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown() -> None:
    """What tests leave open adds up, and breaks one that has nothing to do with it."""
    found = sum(1 for _ in Path("/proc/self/fd").iterdir())
    if found > MOST_OPEN:
        pytest.fail(f"{found} descriptors are open; tests close what they open")


# ---------------------------------------------------------------------------------------------- the long ones first
USUAL = 60
"""Seconds that a test may take without saying so."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests that may take long begin first, dealt out among the workers: none is left to run when all others are done.

    Each worker begins with an equal stretch of the list, and takes from the others' ends when its own is done.
    """
    long = [item for item in items if (mark := item.get_closest_marker("timeout")) and mark.args[0] > USUAL]
    taken = set(long)
    rest = [item for item in items if item not in taken]
    items[:] = dealt(long, rest, getattr(config, "workerinput", {}).get("workercount", 1))


def dealt(long: Sequence[T], rest: Sequence[T], workers: int) -> list[T]:
    """One list, of which each worker's stretch has its share of the long ones in front."""
    hands = [[*long[nth::workers], *rest[nth::workers]] for nth in range(workers)]
    return [each for hand in hands for each in hand]


# ----------------------------------------------------------------------------------------------- a skip is counted
SKIPS = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SKIPS] = []
    config.pluginmanager.register(SkipCount(config), "licd-skip-count")


class SkipCount:
    """Counts skips of tests and of whole modules, in one process or in several, and in CI refuses the unexpected."""

    def __init__(self, config: pytest.Config) -> None:
        self.reasons = config.stash[SKIPS]
        self.is_worker = hasattr(config, "workerinput")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """The controller hears of every test's skip, wherever it ran."""
        if not self.is_worker and report.skipped and not hasattr(report, "wasxfail"):
            self.reasons.append(skip_reason(report.longrepr))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A module's skip is heard only where it was collected."""
        if report.skipped:
            self.reasons.append(skip_reason(report.longrepr))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Every worker collects everything: the first that ends speaks for all."""
        seen = getattr(node, "workeroutput", {}).get("module_skips", [])
        self.reasons += [reason for reason in seen if reason not in self.reasons]

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.is_worker:
            session.config.workeroutput["module_skips"] = self.reasons  # type: ignore[attr-defined]  # set by xdist
        elif IN_CI and self.unexpected():
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.write_line(f"skipped, with a reason: {len(self.reasons)}")
        if IN_CI:
            for reason in self.unexpected():
                terminalreporter.write_line(f"not in {ALLOWED_SKIPS.name}, so this run fails: {reason}", red=True)

    def unexpected(self) -> list[str]:
        lines = ALLOWED_SKIPS.read_text().splitlines()
        allowed = [line for line in lines if line and not line.startswith("#")]
        return sorted({r for r in self.reasons if not any(fnmatchcase(r, pattern) for pattern in allowed)})


def skip_reason(longrepr: Any) -> str:
    """pytest gives (file, line, "Skipped: why")."""
    text = longrepr[2] if isinstance(longrepr, tuple) else str(longrepr)
    return str(text).removeprefix("Skipped: ")
