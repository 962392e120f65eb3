"""The reference for high availability: what the page shows is the file that the nightly runs."""

import re

from tests.architecture.sources import ROOT

FILE = (ROOT / "deploy" / "patroni" / "patroni.yml").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "postgresql.md").read_text(encoding="utf-8")
SHORTEST_TTL = 20  # Patroni's own bound, from 3.0.3 on: what is less it takes for this


def seconds(name: str) -> int:
    [found] = re.findall(rf"^ +{name}: (\d+)", FILE, re.MULTILINE)
    return int(found)


def test_the_page_shows_the_very_file() -> None:
    assert f"```yaml\n{FILE}```\n" in PAGE


def test_its_times_are_such_as_patroni_takes() -> None:
    assert seconds("ttl") >= SHORTEST_TTL
    assert seconds("loop_wait") + 2 * seconds("retry_timeout") <= seconds("ttl")


def test_no_commit_is_answered_that_one_machine_alone_has() -> None:
    for line in (
        "synchronous_mode: true",
        "synchronous_mode_strict: true",
        'synchronous_commit: "on"',
        "mode: required",
    ):
        assert len(re.findall(rf"^ +{line}(?: +#.*)?$", FILE, re.MULTILINE)) == 1, line
