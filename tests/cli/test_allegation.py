"""licctl allegation: what people wrote is opened on the operator's machine; who they are, after a look."""

from pathlib import Path

import pytest

from licd.cli.failure import Exit
from licd.keys.letter import Part, make_letter_key, read_office_key, seal_letter
from licd.v1 import allegation_pb2, case_pb2
from licd.v1 import allegation_service_pb2 as pb
from tests.cli.conftest import NOW, Licctl

TRACKING = b"t" * 32
LOOK = allegation_pb2.Disclosure(
    disclosure="L-1",
    allegation="A-1",
    purpose="contact",
    detail="no answer",
    actor="anna",
    permitted_at_ms=NOW,
    expires_at_ms=NOW,
    looks=1,
)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    make_letter_key(tmp_path / "compliance.key", None)
    return tmp_path / "compliance.key"


def sealed(key: Path, part: Part, content: bytes) -> bytes:
    return seal_letter(read_office_key(key.with_name(key.name + ".pub")), part, TRACKING, content)


def allegation(key: Path) -> allegation_pb2.Allegation:
    body = allegation_pb2.AllegationBody(account="they listened\x1b[31m", about="north", number="+491512345678")
    letter = sealed(key, Part.MESSAGE_TO_OFFICE, b"he knows my sources")
    return allegation_pb2.Allegation(
        allegation="A-1",
        state=allegation_pb2.ALLEGATION_STATE_ACKNOWLEDGED,
        filed_at_ms=NOW,
        acknowledge_by_ms=NOW,
        answer_by_ms=NOW,
        acknowledged_at_ms=NOW,
        acknowledged_by="anna",
        identified=True,
        body=sealed(key, Part.BODY, body.SerializeToString()),
        tracking=TRACKING,
        messages=[
            allegation_pb2.AllegationMessage(
                number=1, side=allegation_pb2.ALLEGATION_SIDE_REPORTER, sealed=letter, written_at_ms=NOW
            )
        ],
        cases=["C-1"],
        same_number=["A-0"],
        disclosures=[LOOK],
    )


def test_without_the_key_an_allegation_shows_no_words(licctl: Licctl, key: Path):
    licctl.licd.on("GetAllegation", pb.GetAllegationResponse(allegation=allegation(key)))
    shown = licctl("allegation", "show", "A-1").stdout
    assert "sealed; --key FILE opens it; 1 messages" in shown
    assert all(words in shown for words in ("acknowledged", "C-1", "A-0", "L-1: anna, contact, 1 looks"))
    assert "listened" not in shown


def test_with_it_the_words_and_messages_are_there_and_steer_no_terminal(licctl: Licctl, key: Path):
    licctl.licd.on("GetAllegation", pb.GetAllegationResponse(allegation=allegation(key)))
    shown = licctl("allegation", "show", "A-1", "--key", str(key)).stdout
    assert all(words in shown for words in ("they listened", "north", "+491512345678", "he knows my sources"))
    assert "\x1b" not in shown


def test_another_key_opens_nothing(licctl: Licctl, key: Path, tmp_path: Path):
    make_letter_key(tmp_path / "other.key", None)
    licctl.licd.on("GetAllegation", pb.GetAllegationResponse(allegation=allegation(key)))
    refused = licctl("allegation", "show", "A-1", "--key", str(tmp_path / "other.key"))
    assert refused.exit_code == Exit.UNVERIFIED
    assert "this key does not open it" in refused.stderr


def test_a_key_is_made_beside_its_public_half(licctl: Licctl, tmp_path: Path):
    shown = licctl("allegation", "create-key", str(tmp_path / "new.key"), "--no-passphrase").stdout
    assert "new.key.pub" in shown
    assert (tmp_path / "new.key.pub").read_text().startswith("-----BEGIN PUBLIC KEY-----")
    assert licctl.json("allegation", "create-key", str(tmp_path / "another"), "--no-passphrase")["key"].endswith(
        "another"
    )


def test_allegations_are_listed_with_what_is_due(licctl: Licctl, key: Path):
    licctl.licd.on("ListAllegations", pb.ListAllegationsResponse(allegations=[allegation(key)]))
    shown = licctl("allegation", "list", "--answered").stdout
    assert "answer by" in shown
    assert licctl.licd.requests[-1].answered  # type: ignore[attr-defined]


def test_a_look_opens_who_reported(licctl: Licctl, key: Path):
    identity = allegation_pb2.ReporterIdentity(name="Sabine Muster", contact="by post")
    answer = pb.DiscloseIdentityResponse(
        disclosure=LOOK, tracking=TRACKING, sealed=sealed(key, Part.IDENTITY, identity.SerializeToString())
    )
    licctl.licd.on("DiscloseIdentity", answer)
    shown = licctl("allegation", "disclose", "L-1", "--key", str(key)).stdout
    assert all(words in shown for words in ("Sabine Muster", "by post", "contact: no answer", "to anna until"))


def test_a_key_that_cannot_be_read_is_no_look(licctl: Licctl, tmp_path: Path):
    refused = licctl("allegation", "disclose", "L-1", "--key", str(tmp_path / "none"))
    assert "there is no such file" in refused.stderr
    assert refused.exit_code != Exit.OK
    assert licctl.licd.requests == []


def test_what_is_asked_for_is_sent(licctl: Licctl, key: Path):
    found = allegation(key)
    licctl.licd.on("AcknowledgeAllegation", pb.AcknowledgeAllegationResponse(allegation=found))
    licctl.licd.on("AnswerAllegation", pb.AnswerAllegationResponse(allegation=found))
    licctl.licd.on("WriteMessage", pb.WriteMessageResponse(message=found.messages[0]))
    licctl.licd.on("OpenCaseFrom", pb.OpenCaseFromResponse(case=case_pb2.Case(case="C-1", customer="north")))
    licctl.licd.on("JoinCase", pb.JoinCaseResponse(case=case_pb2.Case(case="C-1", customer="north")))
    licctl.licd.on("PermitDisclosure", pb.PermitDisclosureResponse(disclosure=LOOK))
    licctl("allegation", "acknowledge", "A-1")
    licctl("allegation", "answer", "A-1", "examined")
    licctl("allegation", "write", "A-1", "--text", "when?")
    licctl("allegation", "open-case", "A-1", "--customer", "north", "--reason", "media", "--summary", "s")
    licctl("allegation", "join-case", "A-1", "C-1")
    shown = licctl("allegation", "permit", "A-1", "--purpose", "contact", "--detail", "no answer").stdout
    assert "L-1, of A-1" in shown
    sent = [type(each).__name__.removesuffix("Request") for each in licctl.licd.requests]
    assert sent == [
        "AcknowledgeAllegation",
        "AnswerAllegation",
        "WriteMessage",
        "OpenCaseFrom",
        "JoinCase",
        "PermitDisclosure",
    ]
    assert licctl.licd.requests[2].text == "when?"  # type: ignore[attr-defined]
