"""Whether a stop took effect, as far as a log shows it: what holds, and where each thing that does not hold shows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.verify.sample import FREE, SECOND, Story, stopped_story, verify


def test_a_suspension_holds_where_it_stands_and_says_how_each_system_stopped(tmp_path: Path, capsys):
    story, stop = stopped_story()
    assert verify("suspension", story.save(tmp_path), "--entry", stop, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["holds"] is True
    assert (found["licence"], found["epoch"], found["code"]) == ("north-1", 2, "manual")
    assert found["system one"].startswith("acknowledged it, with nothing left active, by ")
    assert found["system two"].startswith("let all it held run out, and the last seat was free, by ")
    assert found["system three"].startswith("held no lease when it came")
    assert "(+43000 ms)" in found["system two"]
    assert found["in_effect_by"].endswith("43000 ms later")
    assert found["lifted"] == "never"


def test_what_holds_is_said_in_words_too(tmp_path: Path, capsys):
    story, stop = stopped_story()
    assert verify("suspension", story.save(tmp_path), "--entry", stop) == 0
    first, *rest = capsys.readouterr().out.splitlines()
    assert first == f"holds: entry {stop} stopped licence north-1, and that took effect at all its systems"
    assert "log lost something at: none" in rest


def test_a_termination_is_a_stop_as_well(tmp_path: Path):
    story = Story()
    story.enrol("one")
    stop = story.tell("licence.terminated", actor="alice", code="manual", detail="")
    assert verify("suspension", story.save(tmp_path), "--entry", stop) == 0


def test_a_suspension_that_was_lifted_after_its_effect_holds_and_says_so(tmp_path: Path, capsys):
    story, stop = stopped_story()
    lifted = story.reinstate()
    story.grant("one", 12)
    assert verify("suspension", story.save(tmp_path), "--entry", stop, "--json") == 0
    assert json.loads(capsys.readouterr().out)["lifted"].startswith(f"in entry {lifted} at ")


def test_what_happens_to_other_licences_is_nothing_to_it(tmp_path: Path):
    story, stop = stopped_story()
    story.licence = "south-1"
    story.grant("one", 99)
    assert verify("suspension", story.save(tmp_path), "--entry", stop) == 0


def another(story: Story) -> None:
    story.grant("three", 31)


def acknowledged_in_part(story: Story) -> None:
    story.acknowledge("one", active=1)


def acknowledged_the_one_before(story: Story) -> None:
    story.acknowledge("one", epoch=1)


def lifted_at_once(story: Story) -> None:
    story.reinstate()


def ended_but_not_yet_free(story: Story) -> None:
    story.end("one", 11, free_at=story.at + FREE)


def ended_twice(story: Story) -> None:
    story.end("one", 11)
    story.end("one", 11)


def never_granted(story: Story) -> None:
    story.end("one", 77)


@pytest.mark.parametrize(
    ("what", "why"),
    [
        (another, "entry 3: it grants a lease under the licence that entry 2 stopped"),
        (acknowledged_in_part, "at one: it says in entry 3 that it has not stopped all, 1 of its 1 leases have not"),
        (acknowledged_the_one_before, "at one: 1 of its 1 leases have not ended, the first of entry 1"),
        (lifted_at_once, "entry 3: it lifts the stop of entry 2 before that took effect at one"),
        (ended_but_not_yet_free, "at one: its last seat is free at"),
        (ended_twice, "entry 4: it ends a lease that the log has not granted, or has ended before"),
        (never_granted, "entry 3: it ends a lease that the log has not granted, or has ended before"),
        (lambda story: None, "at one: 1 of its 1 leases have not ended, the first of entry 1, with permits until"),
    ],
)
def test_what_the_log_does_not_show_is_said_with_its_place(
    tmp_path: Path, capsys, what: Callable[[Story], None], why: str
):
    story = Story()
    story.enrol("one")
    story.grant("one", 11)
    stop = story.suspend()
    what(story)
    story.tell("case.opened", case="c")
    assert verify("suspension", story.save(tmp_path), "--entry", stop) == 1
    assert why in capsys.readouterr().err


def test_an_entry_that_stops_nothing_is_no_suspension(tmp_path: Path, capsys):
    story, _ = stopped_story()
    file = story.save(tmp_path)
    assert verify("suspension", file, "--entry", 0) == 1
    assert "entry 0: it is deployment.enrolled, which stops no licence" in capsys.readouterr().err
    assert verify("suspension", file, "--entry", 4000) == 1
    assert "the log has no entry 4000" in capsys.readouterr().err


def test_a_suspension_under_an_epoch_that_was_passed_is_none(tmp_path: Path, capsys):
    story = Story(epoch=7)
    story.tell("licence.amended", token=b"")
    story.epoch = 4
    stop = story.suspend()
    assert verify("suspension", story.save(tmp_path), "--entry", stop) == 1
    assert "entry 1: its epoch is 5, and entry 0 had 7" in capsys.readouterr().err


def test_a_gap_that_the_log_itself_tells_of_is_shown(tmp_path: Path, capsys):
    story = Story()
    story.enrol("one")
    gap = story.tell("licence.gap", had=1, answered=1)
    stop = story.suspend()
    assert verify("suspension", story.save(tmp_path), "--entry", stop, "--json") == 0
    assert json.loads(capsys.readouterr().out)["log_lost_something_at"] == [gap]


def test_a_continuity_permit_is_shown_and_waited_for(tmp_path: Path, capsys):
    story = Story()
    story.enrol("one")
    story.grant("one", 11)
    until = story.at + 900 * SECOND
    story.tell("continuity.issued", system="one", continuity="c", latest_hard_end=until)
    stop = story.suspend()
    story.end("one", 11, "force-released", free_at=until + SECOND)
    story.later()
    assert verify("suspension", story.save(tmp_path, "early"), "--entry", stop) == 1
    assert f"its last seat is free at {until + SECOND}, and the log goes no further" in capsys.readouterr().err
    story.later(900 * SECOND)
    assert verify("suspension", story.save(tmp_path, "late"), "--entry", stop) == 0
    assert "had a continuity permit until 2027-" in capsys.readouterr().out
