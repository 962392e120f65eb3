import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from licd.cli.request_id import request_id
from licd.cli.times import (
    bound_time,
    clock_time,
    iso,
    parse_duration,
    parse_instant,
    relative,
    short_span,
    span,
    when,
)
from licd.core.time import DAY, HOUR, MINUTE, SECOND
from tests.cli.conftest import NOW


@pytest.mark.parametrize(
    ("text", "length"),
    [("500ms", 500), ("20s", 20 * SECOND), ("5m", 5 * MINUTE), ("2h", 2 * HOUR), ("30d", 30 * DAY), ("0s", 0)],
)
def test_reads_a_duration(text: str, length: int) -> None:
    assert parse_duration(text) == length


@pytest.mark.parametrize("text", ["", "20", "s", "1.5h", "-1s", "1h30m", "20 s", "20S", "020s", "٣s", "1y", "36601d"])
def test_refuses_what_is_no_duration(text: str) -> None:
    with pytest.raises(typer.BadParameter, match=r"duration|hundred years"):
        parse_duration(text)


@given(st.integers(0, 10**12))
def test_a_duration_written_short_is_read_back_exactly(length: int) -> None:
    assert parse_duration(short_span(length)) == length


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-03-01T12:00:00Z", NOW),
        ("2026-03-01T13:00:00+01:00", NOW),
        ("2026-03-01T12:00:00.5Z", NOW + 500),
        ("2026-03-01", NOW - 12 * HOUR),
    ],
)
def test_reads_an_instant(text: str, at: int) -> None:
    assert parse_instant(text) == at


@pytest.mark.parametrize(
    "text", ["", "tomorrow", "2026-03-01T12:00:00", "2026-02-30", "2026-3-1", "1772366400", "2026-03-01T25:00:00Z"]
)
def test_refuses_what_is_no_instant_or_has_no_offset(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is no instant: write 2026-01-31T12:00:00Z"):
        parse_instant(text)


@given(st.integers(1, 4_000_000_000_000))
def test_an_instant_written_is_read_back_exactly(at: int) -> None:
    assert parse_instant(iso(at)) == at


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (0, "0 s"),
        (999, "999 ms"),
        (1_550, "1 s 550 ms"),
        (321_065, "5 min 21 s"),
        (DAY + 3 * SECOND, "1 d"),
        (30 * DAY, "30 d"),
        (25 * HOUR, "1 d 1 h"),
        (-5 * SECOND, "-5 s"),
    ],
)
def test_says_a_duration_in_its_two_largest_units(length: int, words: str) -> None:
    assert span(length) == words


def test_says_how_far_away_an_instant_is() -> None:
    assert relative(NOW, NOW) == "now"
    assert when(NOW + DAY, NOW) == "2026-03-02T12:00:00Z, in 1 d"
    assert when(NOW - 90 * SECOND, NOW) == "2026-03-01T11:58:30Z, 1 min 30 s ago"
    assert when(0, NOW) == "-"


def test_a_clock_time_names_the_day_when_it_is_another() -> None:
    assert clock_time(NOW + 500, NOW) == "12:00:00 UTC"
    assert clock_time(NOW + DAY, NOW) == "2026-03-02 12:00:00 UTC"


def test_a_bound_is_rounded_up() -> None:
    assert bound_time(NOW + 1, NOW) == "12:00:01 UTC"


@pytest.mark.parametrize("at", [2**62, -(2**62)])
def test_an_impossible_instant_is_shown_as_its_number(at: int) -> None:
    assert iso(at) == f"{at} ms"
    assert bound_time(at, NOW).endswith(" ms")


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_a_request_id_is_a_uuid_of_version_seven_that_opens_with_the_time(now: int, chance: bytes) -> None:
    made = request_id(now, lambda size: chance[:size])
    assert int(made.replace("-", "")[:12], 16) == now
    assert made[14] == "7"
    assert made[19] in "89ab"


def test_request_ids_differ_where_chance_differs() -> None:
    assert request_id(NOW, lambda size: b"\x01" * size) != request_id(NOW, lambda size: b"\x02" * size)
    assert request_id(NOW, lambda size: b"\xff" * size) == "019ca945-0a00-7fff-bfff-ffffffffffff"
