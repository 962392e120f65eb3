"""The check of histories finds each way in which answers fit no order."""

from tests.gate.history import History, Span

SUSPENDED, LIFTED, GRANTED = ("licence.suspended", 2), ("licence.reinstated", 3), ("lease.granted", 7)


def history() -> History:
    """Suspended while a lease was being asked for, and lifted afterwards."""
    made = History()
    made.done("north", *GRANTED, Span(5, 40))
    made.done("north", *SUSPENDED, Span(10, 20))
    made.done("north", *LIFTED, Span(30, 35))
    return made


def found(made: History, *order: tuple[str, int]) -> list[str]:
    return list(made.against({"north": {deed: index for index, deed in enumerate(order)}}))


def test_whatever_overlaps_may_stand_in_any_order():
    assert found(history(), GRANTED, SUSPENDED, LIFTED) == []
    assert found(history(), SUSPENDED, GRANTED, LIFTED) == []
    assert found(history(), SUSPENDED, LIFTED, GRANTED) == []


def test_what_was_answered_before_another_was_asked_for_stands_before_it():
    [problem] = found(history(), GRANTED, LIFTED, SUSPENDED)
    assert "('licence.reinstated', 3) stands in the log before ('licence.suspended', 2)" in problem


def test_what_was_answered_is_in_the_log():
    assert "is not in the log" in found(history(), GRANTED, SUSPENDED)[0]


def test_a_permit_of_the_epoch_before_may_come_while_a_suspension_is_under_way():
    made = history()
    made.read("north", 1, Span(19, 60))
    made.read("north", 3, Span(31, 32))
    assert found(made, GRANTED, SUSPENDED, LIFTED) == []


def test_a_permit_asked_for_after_a_suspension_was_answered_is_of_no_epoch_before_it():
    made = history()
    made.read("north", 1, Span(21, 22))
    assert ["after epoch 2 had been answered" in each for each in found(made, GRANTED, SUSPENDED, LIFTED)] == [True]


def test_a_permit_of_an_epoch_that_nobody_has_asked_for_yet_is_found():
    made = history()
    made.read("north", 3, Span(11, 29))
    assert ["was answered before that" in each for each in found(made, GRANTED, SUSPENDED, LIFTED)] == [True]


def test_an_answer_that_is_told_again_was_done_the_first_time():
    made = history()
    made.done("north", *SUSPENDED, Span(50, 60))
    assert found(made, GRANTED, SUSPENDED, LIFTED) == []
