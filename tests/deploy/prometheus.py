"""Debian's own Prometheus on loopback, for the length of a test."""

import http.client
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.architecture.sources import ROOT

RULES = ROOT / "deploy" / "prometheus" / "licd.rules.yml"
RULE_TESTS = ROOT / "deploy" / "prometheus" / "licd.rules.test.yml"
LISTENING = re.compile(r'msg="Listening on" address=127\.0\.0\.1:(\d+)')
READY = "Server is ready to receive web requests"


def program(name: str, package: str) -> str:
    """Where a program is; skips, saying how to get it, when it is nowhere."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is missing: apt-get install {package}")
    return found


class Prometheus:
    """A running Prometheus, by its HTTP API."""

    def __init__(self, port: int) -> None:
        self._port = port

    def ask(self, path: str, **parameters: str) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.request("GET", f"/api/v1/{path}?{urlencode(parameters)}")
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        assert answer["status"] == "success", answer
        return answer

    def samples(self, expression: str) -> list[dict[str, Any]]:
        result: list[dict[str, Any]] = self.ask("query", query=expression)["data"]["result"]
        return result


@contextmanager
def running_prometheus(folder: Path, target: int) -> Iterator[Prometheus]:
    """Scrapes 127.0.0.1:target as the job licd twice a second, under the shipped rules."""
    every = {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"}
    jobs = [{"job_name": "licd", "static_configs": [{"targets": [f"127.0.0.1:{target}"]}]}]
    settings = folder / "prometheus.yml"  # JSON is YAML
    settings.write_text(json.dumps({"global": every, "rule_files": [str(RULES)], "scrape_configs": jobs}))
    command = [
        program("prometheus", "prometheus"),
        f"--config.file={settings}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--web.listen-address=127.0.0.1:0",
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, encoding="utf-8") as process:
        try:
            yield Prometheus(port_when_ready(process))
        finally:
            process.terminate()
            process.communicate(timeout=20)


def port_when_ready(process: subprocess.Popen[str]) -> int:
    assert process.stderr is not None
    said, port = [], 0
    for line in process.stderr:
        said.append(line)
        if found := LISTENING.search(line):
            port = int(found[1])
        if READY in line:
            break
    assert port, "".join(said)
    return port
