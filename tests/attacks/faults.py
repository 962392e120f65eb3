"""Faults planted to see each attack's test fail: `python -m tests.attacks.faults [NAME...]`.

Each is planted in a copy of the tree, and its tests are run there: they must fail. One whose text is no longer found
must be written anew; a test that lets its fault pass is no test.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
NOT_COPIED: Final = shutil.ignore_patterns(".git", ".venv", "build", "__pycache__", ".*_cache", ".hypothesis")
LONGEST: Final = 300


@dataclass(frozen=True, slots=True)
class Fault:
    """A text of ours in place of the right one, and the attacks' tests that it must make fail."""

    name: str
    file: str
    right: str
    wrong: str
    tests: tuple[str, ...]


def _fault(name: str, file: str, right: str, wrong: str, *tests: str) -> Fault:
    return Fault(name, file, right, wrong, tests)


CHAIN: Final = "licd/core/chain.py"
LINK: Final = "licd/core/link.py"
BUNDLES: Final = "licd/keys/bundle_update.py"
OUTAGE: Final = "licd/client/session/outage.py"

FAULTS: Final = (
    _fault(
        "an accepted link is not remembered",
        CHAIN,
        "    if accepted_recently(session, claim.payload_hash):\n        return Verdict.LATE\n",
        "",
        "test_replay_of_any_recorded_frame",
        "test_late_frame_after_reconnect_is_no_fork",
    ),
    _fault(
        "what does not follow is taken for late",
        CHAIN,
        "    return Verdict.FORK\n",
        "    return Verdict.LATE\n",
        "test_state_directory_copied_two_processes_alternating_open_session",
        "test_snapshot_restored",
    ),
    _fault(
        "the accepted frame is not kept",
        "licd/ledger/verbs/answer_link.py",
        "accepted=session.frame",
        'accepted=b""',
        "test_copied_machine_both_at_work_is_proved_to_an_outsider",
    ),
    _fault(
        "licd takes a reply of its own that it lost for a fork",
        CHAIN,
        "    if backed.sequence > session.sequence:\n        return True\n",
        "",
        "test_old_server_backup",
    ),
    _fault(
        "a link is sent before it is written down",
        "licd/client/session/links.py",
        "    state.persist_chain()\n    return link\n",
        "    return link\n",
        "test_crash_loops_lost_replies_and_late_frames_of_an_honest_system_are_no_fork",
    ),
    _fault(
        "a link that was lost is never said again",
        "licd/client/session/links.py",
        "    if link is not None and state.sent_on != state.line.number:\n",
        "    if link is not None and state.sent_on == 0:\n",
        "test_losing_half_the_replies",
    ),
    _fault(
        "the kind is not part of what is signed",
        "licd/keys/envelope.py",
        "(kind.pae_prefix, len(payload), payload)",
        '(b"DSSEv1 ", len(payload), payload)',
        "test_one_kind_shown_as_another",
    ),
    _fault(
        "unknown fields of a payload are passed over",
        "licd/keys/payload.py",
        "    if message.ByteSize() != size:\n",
        "    if message.ByteSize() > size:\n",
        "test_unknown_field_at_any_depth",
    ),
    _fault(
        "a jump of the wall clock is not noticed",
        "licd/ledger/timekeeper.py",
        "if abs(drift) > JUMP and not saved.jumped:",
        "if abs(drift) > 1 << 60 and not saved.jumped:",
        "test_wall_clock_set_back_and_forward",
    ),
    _fault(
        "a lease is usable until a timer says otherwise",
        "licd/client/lease.py",
        "return self._hold.until > self._boot_ms()",
        "return self._hold.until > 0",
        "test_sigstop_for_longer_than_length_and_grace",
    ),
    _fault(
        "a permit holds an hour longer in the SDK",
        "licd/client/session/permits.py",
        "min(end + to_boot, latest)",
        "min(end + to_boot + 3_600_000, latest)",
        "test_dropping_everything",
    ),
    _fault(
        "a seat is freed at its lease's end",
        "licd/core/state.py",
        "            free_at=free_at,\n            end_reason",
        "            free_at=now,\n            end_reason",
        "test_acquire_release_churn_over_10_000_random_schedules",
        "test_acquire_release_churn_on_the_wire",
        "test_leaving_leases_out_of_links",
    ),
    _fault(
        "asking again extends a lease",
        "licd/core/acquire_lease.py",
        "return min(state.bound(held), now + state.rights.length, state.rights.not_after)",
        "return min(now + state.rights.length, state.rights.not_after)",
        "test_renewing_by_unary_acquires_alone",
    ),
    _fault(
        "a narrowed cap takes nothing back",
        LINK,
        "    if len(state.seats.live) <= state.rights.cap:\n",
        "    if state.seats is not None:\n",
        "test_cap_narrowed_under_load",
    ),
    _fault(
        "a link is decided without a look at the licence's standing",
        LINK,
        "    denied = standing(state, deployment, now)\n",
        "    denied = None\n",
        "test_dropping_only_pushes",
        "test_suspend_racing_1_000_renewals",
    ),
    _fault(
        "a replica goes on with its copy, whoever had the licence since",
        "licd/ledger/transaction.py",
        "        if found is None or self._left[licence] != turn - 1:\n",
        "        if found is None:\n",
        "test_suspend_racing_1_000_renewals_on_3_replicas",
    ),
    _fault(
        "rows are durable before their log entries",
        "licd/ledger/transaction.py",
        "        self._pending.clear()\n",
        "        self._pending.clear()\n        self.connection.commit()\n        self.connection.begin()\n",
        "test_kill_9_at_each_statement",
        "test_kill_9_at_each_statement_of_a_link",
    ),
    _fault(
        "a system begins anew with whatever chain it is served",
        "licd/client/session/trust.py",
        "from licd.keys.bundle_update import follow, refuse_frozen\n",
        """from licd.keys import bundle_update
from licd.keys.bundle_update import refuse_frozen


def follow(current, bundles, now):
    return bundle_update.follow(bundle_update.reload(bundles[0].SerializeToString()) if bundles else current, [], now)


""",
        "test_trust_bundle_rollback",
    ),
    _fault(
        "bundles may be passed over",
        BUNDLES,
        "    if following.version > current.version + 1:\n",
        "    if following.version < 0:\n",
        "test_trust_bundle_fast_forward",
    ),
    _fault(
        "a bundle is believed past its end",
        BUNDLES,
        "    if bundle.is_stale(now_ms):\n",
        "    if now_ms < 0:\n",
        "test_trust_bundle_freeze",
    ),
    _fault(
        "a signature over other bytes counts",
        "licd/ledger/verbs/approvals.py",
        "        if merged.payload != self.envelope.payload:\n",
        "        if not self.envelope.payload:\n",
        "test_approve_then_modify",
    ),
    _fault(
        "one person is enough",
        "licd/server/changes.py",
        "PERSONS: Final = 2",
        "PERSONS: Final = 1",
        "test_stolen_operator_key",
    ),
    _fault(
        "every denial is an entry",
        "licd/ledger/verbs/denials.py",
        "TOLD_IN_FULL: Final = 10",
        "TOLD_IN_FULL: Final = 1_000",
        "test_flood_of_denials",
    ),
    _fault(
        "an unknown region is somewhere",
        "licd/core/regions.py",
        "    return code in _countries()\n",
        '    return code in _countries() or code == "XX"\n',
        "test_region_unknown",
    ),
    _fault(
        "only accepted bases can contradict",
        "licd/core/scope.py",
        "inside = [permits(rights.regions, claim.region) for claim in ask.regions]",
        "inside = [permits(rights.regions, claim.region) for claim in accepted]",
        "test_evidence_bases_disagree",
    ),
    _fault(
        "bytes that are no message are not foreseen",
        "licd/server/incoming.py",
        "    except DecodeError as error:\n        raise Invalid(",
        "    except ZeroDivisionError as error:\n        raise Invalid(",
        "test_proto_fuzz_on_every_rpc",
    ),
    _fault(
        "a continuity permit ends when the last possible one would",
        OUTAGE,
        "min(end + to_boot, latest)",
        "latest",
        "test_continuity_permit_used_ends_with_its_hour",
    ),
    _fault(
        "a continuity permit is taken twice",
        OUTAGE,
        "    state.continuities_seen.add(permit.continuity)\n",
        "",
        "test_continuity_permit_replayed",
    ),
    _fault(
        "a continuity permit outlasts the contact",
        OUTAGE,
        "        state.continuity = None\n        return ends\n",
        "        return ends\n",
        "test_continuity_permit_used_a_second_time",
    ),
    _fault(
        "a continuity permit is anybody's",
        OUTAGE,
        "    if meant != ours or not permit.session:\n",
        "    if permit.licence != state.licence:\n",
        "test_continuity_permit_shown_to_another_system",
    ),
    _fault(
        "a continuity permit outlasts a no",
        "licd/client/session/stops.py",
        "    state.continuity = None\n",
        "",
        "test_continuity_permit_after_a_suspension",
    ),
    _fault(
        "a continuity permit holds no seat",
        "licd/core/continuity.py",
        "        free_at = max(lease.free_at, each.hard_end + _rest(state, each.hard_end - now))\n",
        "        free_at = lease.free_at\n",
        "test_continuity_permit_and_a_suspension_that_cannot_be_delivered",
    ),
)


def verdict_on(fault: Fault, folder: Path) -> list[str]:
    """What is wrong with this fault or its tests; empty when each test failed with it."""
    shutil.copytree(ROOT, folder, ignore=NOT_COPIED)
    file = folder / fault.file
    text = file.read_text(encoding="utf-8")
    if fault.right not in text:
        return [f"its text is no longer in {fault.file}"]
    file.write_text(text.replace(fault.right, fault.wrong), encoding="utf-8")
    return [f"{test} does not see it" for test in fault.tests if passes(test, folder)]


def passes(test: str, folder: Path) -> bool:
    """Whether a test of the attacks passes in that copy of the tree."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", "-p", "no:cacheprovider", "tests/attacks"]
    run = subprocess.run(
        [*command, "-k", f"{test} and not {test}_"], cwd=folder, capture_output=True, timeout=LONGEST, check=False
    )
    if run.returncode not in {0, 1}:
        raise RuntimeError(f"{test} could not be run: {run.stdout.decode()[-2_000:]}")
    return run.returncode == 0


def main(names: list[str]) -> None:
    """Plants every fault, or those named, one after the other."""
    bad = 0
    for fault in FAULTS:
        if names and fault.name not in names:
            continue
        with tempfile.TemporaryDirectory() as folder:
            problems = verdict_on(fault, Path(folder) / "tree")
        bad += bool(problems)
        sys.stdout.write(f"{'NOT FOUND' if problems else 'found'}: {fault.name}{''.join(f'; {p}' for p in problems)}\n")
        sys.stdout.flush()
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
