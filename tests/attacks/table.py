"""The attacks that the protocol names, and the test of each: the one list, so that none can vanish unnoticed."""

from typing import Final

ATTACKS: Final[dict[str, tuple[str, ...]]] = {
    "replay of any recorded frame": ("test_copies.py::test_replay_of_any_recorded_frame",),
    "late frame after reconnect (no false fork)": (
        "test_copies.py::test_late_frame_after_reconnect_is_no_fork",
        "test_copies.py::test_crash_loops_lost_replies_and_late_frames_of_an_honest_system_are_no_fork",
    ),
    "one kind shown as another": ("test_seals.py::test_one_kind_shown_as_another",),
    "unknown field at any depth": ("test_seals.py::test_unknown_field_at_any_depth",),
    "wall clock set back/forward": ("test_time.py::test_wall_clock_set_back_and_forward",),
    "SIGSTOP for L+G": ("test_time.py::test_sigstop_for_longer_than_length_and_grace",),
    "state directory copied, two processes, alternating OpenSession": (
        "test_copies.py::test_state_directory_copied_two_processes_alternating_open_session",
        "test_copies.py::test_copied_machine_both_at_work_is_proved_to_an_outsider",
    ),
    "snapshot restored": ("test_copies.py::test_snapshot_restored",),
    "acquire-release churn over 10 000 random schedules": (
        "test_churn.py::test_acquire_release_churn_over_10_000_random_schedules",
        "test_churn.py::test_acquire_release_churn_on_the_wire",
    ),
    "renewing by unary acquires alone": ("test_seats.py::test_renewing_by_unary_acquires_alone",),
    "leaving leases out of links": ("test_seats.py::test_leaving_leases_out_of_links",),
    "dropping only pushes": ("test_suspension.py::test_dropping_only_pushes",),
    "dropping everything": ("test_suspension.py::test_dropping_everything",),
    "losing half the replies": ("test_suspension.py::test_losing_half_the_replies",),
    "kill -9 at each statement": (
        "test_crashes.py::test_kill_9_at_each_statement",
        "test_crashes.py::test_kill_9_at_each_statement_of_a_link",
    ),
    "suspend racing 1 000 renewals, paused between commit and signing": (
        "test_suspension.py::test_suspend_racing_1_000_renewals",
    ),
    "suspend racing 1 000 renewals on 3 replicas": (
        "test_suspension.py::test_suspend_racing_1_000_renewals_on_3_replicas",
    ),
    "cap narrowed under load": ("test_seats.py::test_cap_narrowed_under_load",),
    "trust-bundle rollback": ("test_trust_bundles.py::test_trust_bundle_rollback",),
    "trust-bundle freeze": ("test_trust_bundles.py::test_trust_bundle_freeze",),
    "trust-bundle fast-forward": ("test_trust_bundles.py::test_trust_bundle_fast_forward",),
    "old server backup": ("test_copies.py::test_old_server_backup",),
    "approve-then-modify": ("test_people.py::test_approve_then_modify",),
    "stolen operator key": ("test_people.py::test_stolen_operator_key",),
    "flood of denials": ("test_claims.py::test_flood_of_denials",),
    "region unknown": ("test_claims.py::test_region_unknown",),
    "evidence bases disagree": ("test_claims.py::test_evidence_bases_disagree",),
    "proto fuzz on every RPC": ("test_fuzz.py::test_proto_fuzz_on_every_rpc",),
}
"""What 02-protocol calls it → tests in this folder."""

OURS: Final[dict[str, tuple[str, ...]]] = {
    "continuity permit used beyond its end": ("test_continuity.py::test_continuity_permit_used_ends_with_its_hour",),
    "continuity permit replayed": ("test_continuity.py::test_continuity_permit_replayed",),
    "continuity permit used a second time": ("test_continuity.py::test_continuity_permit_used_a_second_time",),
    "continuity permit shown to another system": (
        "test_continuity.py::test_continuity_permit_shown_to_another_system",
    ),
    "continuity permit after a suspension": (
        "test_continuity.py::test_continuity_permit_after_a_suspension",
        "test_continuity.py::test_continuity_permit_and_a_suspension_that_cannot_be_delivered",
    ),
}
"""Attacks on what 02-protocol leaves to us → tests in this folder."""

NOT_YET: Final[dict[str, str]] = {
    "false pseudonym in an inquiry": "there are no inquiries",
}
"""Attacks on what licd does not have yet, and why their tests are missing."""
