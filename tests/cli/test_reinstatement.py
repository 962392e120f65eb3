"""licctl licence checklist and meet: what is shown, and what leaves the machine."""

from hashlib import sha256
from pathlib import Path

from licd.cli.failure import Exit
from licd.core.time import HOUR
from licd.v1 import licence_service_pb2 as pb
from licd.v1 import operator_pb2
from tests.cli.conftest import NOW, Licctl

FOUND = pb.Reinstatement(
    licence="north-1",
    epoch=2,
    suspension_code="rule_purpose",
    waits_until_ms=NOW + 47 * HOUR,
    items=[
        pb.ReinstatementItem(item="users-interviewed", description="The users have been interviewed"),
        pb.ReinstatementItem(
            item="training-done", met_at_ms=NOW - HOUR, met_by="bob", evidence_sha256=bytes(32), note="all nine"
        ),
    ],
    persons=3,
    mistaken_codes=["unfounded"],
)


def test_the_checklist_shows_what_is_done_by_whom_and_what_is_not(licctl: Licctl):
    licctl.licd.on("GetReinstatement", pb.GetReinstatementResponse(reinstatement=FOUND))
    shown = licctl("licence", "checklist", "north-1")
    assert shown.exit_code == Exit.OK
    for words in (
        "suspended at epoch 2 for rule_purpose",
        "NOT DONE: The users have been interviewed",
        "by bob, SHA-256 0000000000000000…, all nine",
        "3, the one who asks included",
        "--reason unfounded",
    ):
        assert words in shown.output


def test_of_the_evidence_its_hash_alone_leaves_the_machine(licctl: Licctl, tmp_path: Path):
    minutes = tmp_path / "minutes.txt"
    minutes.write_bytes(b"said in confidence")
    licence = operator_pb2.Licence(licence="north-1", epoch=2)
    licctl.licd.on("GetLicence", pb.GetLicenceResponse(licence=licence))
    licctl.licd.on("MeetReinstatementItem", pb.MeetReinstatementItemResponse(item=FOUND.items[1]))
    done = licctl("licence", "meet", "north-1", "training-done", "--evidence", str(minutes), "--note", "all nine")
    assert done.exit_code == Exit.OK
    sent = licctl.licd.asked(pb.MeetReinstatementItemRequest)
    assert (sent.licence, sent.epoch, sent.item, sent.note) == ("north-1", 2, "training-done", "all nine")
    assert sent.evidence_sha256 == sha256(b"said in confidence").digest()
