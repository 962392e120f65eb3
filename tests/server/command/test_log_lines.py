import errno
import io
import json
import sys

import pytest
import structlog

from licd.server.command.log_lines import log_to_stderr


class FullDisk(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture(autouse=True)
def configured():
    log_to_stderr()
    yield
    structlog.reset_defaults()


def test_a_line_is_json_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    structlog.get_logger("licd").warning("something", what="that")
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["level"], line["what"]) == ("something", "warning", "that")


def test_a_line_that_a_full_disk_refuses_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", FullDisk())
    structlog.get_logger("licd").error("the disk is full")
