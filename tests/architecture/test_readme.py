import pytest

from tests.architecture import readme

HOW = "and run `make readme`; tests/architecture/readme.py shows what a block looks like"


def test_there_is_a_readme() -> None:
    assert readme.README.exists(), "README.md is missing"


@pytest.mark.parametrize("command", readme.REQUIRED)
def test_the_readme_shows_what_the_command_says_of_itself(command: str) -> None:
    text = readme.README.read_text(encoding="utf-8") if readme.README.exists() else ""
    shown = readme.blocks(text)
    assert command in shown, f"put a block for `{command}` into README.md, {HOW}"
    assert shown[command] == readme.help_text(command), "run `make readme`"


def test_every_other_help_text_in_the_readme_is_up_to_date() -> None:
    text = readme.README.read_text(encoding="utf-8") if readme.README.exists() else ""
    others = {command: shown for command, shown in readme.blocks(text).items() if command not in readme.REQUIRED}
    assert {c for c, shown in others.items() if shown != readme.help_text(c)} == set(), "run `make readme`"
