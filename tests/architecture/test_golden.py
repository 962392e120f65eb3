from tests.architecture import golden


def test_no_recorded_golden_file_has_changed_or_gone() -> None:
    assert golden.broken() == []


def test_every_golden_file_is_recorded() -> None:
    assert set(golden.present()) - set(golden.recorded()) == set(), "record them: make golden"
