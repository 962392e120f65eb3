"""Which way a case goes, and what keeps it from being determined."""

from dataclasses import replace

import pytest

from licd.core.case import ENDED, NEXT, Case, CaseState, CaseStep, StepState, obstacles, refuse_move
from licd.core.errors import IllegalTransition

CASE = Case("C-1", "north", "", "media", "s", "", CaseState.RECEIVED, 1, 1, "a", 9, 1, 1, "", "", 0, "")
STEP = CaseStep("C-1", 1, "interviews", True, StepState.PENDING, "", "", "", 0)

# 01-mission, States.
WAYS = {
    ("received", "acknowledged"),
    ("acknowledged", "preliminary"),
    ("preliminary", "more-information"),
    ("more-information", "preliminary"),
    ("more-information", "stopped"),
    ("preliminary", "stopped"),
    ("preliminary", "investigation"),
    ("investigation", "inquiries"),
    ("inquiries", "determination"),
    ("remedies", "closed"),
}


@pytest.mark.parametrize("start", CaseState)
@pytest.mark.parametrize("to", CaseState)
def test_a_case_goes_where_the_mission_says_and_nowhere_else(start: CaseState, to: CaseState):
    case = replace(CASE, state=start)
    if (start.value, to.value) in WAYS:
        refuse_move(case, to, [])
    else:
        with pytest.raises(IllegalTransition, match="from there it goes to"):
            refuse_move(case, to, [])


def test_nobody_moves_a_case_into_remedies_or_out_of_its_end():
    assert all(CaseState.REMEDIES not in ways for ways in NEXT.values())
    assert all(not NEXT[state] for state in ENDED)


def test_a_determination_waits_for_every_mandatory_step():
    case = replace(CASE, state=CaseState.INQUIRIES)
    optional = replace(STEP, step="advice", mandatory=False)
    with pytest.raises(IllegalTransition, match="interviews is neither done nor refused"):
        refuse_move(case, CaseState.DETERMINATION, [STEP, optional])
    for decided in (StepState.DONE, StepState.REFUSED):
        refuse_move(case, CaseState.DETERMINATION, [replace(STEP, state=decided), optional])
    assert obstacles([STEP, optional]) == ["interviews is neither done nor refused"]
