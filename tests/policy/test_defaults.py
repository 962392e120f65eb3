from licd.core.bounds import Timing
from licd.core.time import SECOND
from licd.policy import Policies
from tests.policy.folder import Folder

FILE = "defaults.toml"


def test_reads_the_figures_of_the_protocol(policies: Policies):
    assert policies.defaults.timing == Timing(skew=500)
    assert (policies.defaults.permit, policies.defaults.grace) == (20 * SECOND, 300 * SECOND)


def test_a_permit_outlasts_a_heartbeat_and_a_call_that_times_out(folder: Folder):
    folder.edit(FILE, "permit_seconds = 20", "permit_seconds = 8")
    line = folder.line(FILE, "permit_seconds")
    told = f"{FILE}:{line}: permit_seconds must be more than heartbeat_seconds + rpc_timeout_seconds"
    assert folder.problems() == [told]


def test_grace_never_passes_a_day(folder: Folder):
    folder.edit(FILE, "grace_seconds = 300", "grace_seconds = 86_401")
    assert folder.problems()[0].endswith("grace_seconds must be a whole number from 0 to 86400, got 86401")
