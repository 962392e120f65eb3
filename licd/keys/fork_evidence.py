"""Does a file of fork evidence prove that a system's key signed what one honest system never signs?

Pure: bytes and keys in, a finding out. What an honest system signs is one chain: each sequence number once, and within
one run of its process (one boot nonce) higher numbers at later boot times. It writes a link down before it sends it,
so this holds through every crash, loss and reconnect. Evidence therefore has one of three grounds:

TWO_LINKS  two different links with one sequence number                              proved by the two signatures
WENT_BACK  one run of a process signed the lower number at the later boot time       proved by the two signatures
CLAIMED    the second link does not follow from licd's last reply, and that is all   licd's word, under its checkpoint

A claimed one is what a machine leaves that was set back far: its link has a number that the chain passed long ago, and
the link that had the number first is not kept. The log still bounds licd's word: every link that opens a session is an
entry, so a divergent one that opens a session and is not among them was never accepted.

No ground tells who made the copy, whether on purpose, or which of the two is "the" system. All of it rests on the
log's word that the key was enrolled for the system: who has the enrolment receipt compares the key with the one there.
"""

from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Final

from google.protobuf.message import DecodeError

from licd.evidence import entry, merkle
from licd.evidence.checkpoint import Checkpoint, LogVerifier
from licd.evidence.entry import Entry, ErasedField
from licd.keys.envelope import verify_ageless
from licd.keys.errors import KeysError
from licd.keys.keyring import Keyring
from licd.keys.kinds import KeyPurpose, Kind
from licd.keys.payload import read_payload, refuse_unknown_fields
from licd.keys.verification_key import VerificationKey
from licd.v1.envelope_pb2 import Envelope
from licd.v1.fork_pb2 import ForkEvidence, ProvedEntry
from licd.v1.session_pb2 import Link, Permit, Refusal, ReplyHeader

_ENDLESS: Final = (1 << 63) - 1
_REPLIES: Final[dict[str, type[Permit] | type[Refusal]]] = {Kind.PERMIT.value: Permit, Kind.DENIAL.value: Refusal}


class ForkRefused(KeysError):
    """The file proves nothing: a signature, proof or hash in it does not hold, or its parts do not belong together."""


class ForkGround(StrEnum):
    """What the evidence rests on."""

    TWO_LINKS = "two-links"
    WENT_BACK = "went-back"
    CLAIMED = "claimed"

    @property
    def is_proof(self) -> bool:
        """Whether the two signatures alone show it, whatever licd says."""
        return self is not ForkGround.CLAIMED


@dataclass(frozen=True, slots=True)
class ForkFinding:
    """Evidence that holds together: whose, by which key, seen when (unix ms, licd's log), and on what ground.

    accepted is None where the enrolment had no accepted link yet.
    """

    system: str
    public_key: bytes
    enrolment: int
    enrolled_at: int
    seen_at: int
    ground: ForkGround
    accepted: Link | None
    divergent: Link
    checkpoint: Checkpoint


def check_fork(evidence: ForkEvidence, log: LogVerifier) -> ForkFinding:
    """Checks the evidence of a fork by the keys of licd's log.

    Raises ForkRefused, SealInvalid (a link's seal), EvidenceInvalid (an entry, a proof or the checkpoint).
    """
    refuse_unknown_fields(evidence)
    checkpoint = log.open(evidence.checkpoint.encode())
    enrolled = _proved(evidence.enrolled, "deployment.enrolled", checkpoint)
    forked = _proved(evidence.forked, "deployment.forked", checkpoint)
    _refuse_other_enrolment(evidence, enrolled, forked)
    public_key = _value(enrolled, "key")
    divergent = _link(evidence.divergent, evidence.system, public_key, _value(forked, "second"))
    accepted = None
    if evidence.HasField("accepted"):
        accepted = _link(evidence.accepted, evidence.system, public_key, _value(forked, "first"))
    elif _value(forked, "first"):
        raise ForkRefused("the log names an accepted link, and the file has none")
    _refuse_a_right_successor(evidence, forked, divergent)
    return ForkFinding(
        system=evidence.system,
        public_key=public_key,
        enrolment=int(_value(enrolled, "enrolment")),
        enrolled_at=int(_value(enrolled, "at")),
        seen_at=int(_value(forked, "at")),
        ground=_ground(accepted, divergent),
        accepted=accepted,
        divergent=divergent,
        checkpoint=checkpoint,
    )


def _ground(accepted: Link | None, divergent: Link) -> ForkGround:
    if accepted is None:
        return ForkGround.CLAIMED
    if accepted.sequence == divergent.sequence:
        return ForkGround.TWO_LINKS
    one_run = accepted.boot_nonce == divergent.boot_nonce and accepted.boot_nonce != b""
    lower, higher = sorted((accepted, divergent), key=lambda link: link.sequence)
    if one_run and lower.boot_time_ms > higher.boot_time_ms:
        return ForkGround.WENT_BACK
    return ForkGround.CLAIMED


def _proved(proved: ProvedEntry, kind: str, checkpoint: Checkpoint) -> Entry:
    """The entry, which is of this kind and in the checkpoint's tree."""
    found = entry.decode(proved.entry)
    merkle.verify_inclusion(found.leaf_hash(), proved.index, checkpoint.size, proved.inclusion_proof, checkpoint.root)
    if _value(found, "kind") != kind.encode():
        raise ForkRefused(f"entry {proved.index} is no {kind}")
    return found


def _value(found: Entry, name: str) -> bytes:
    field = found.field(name)
    if field is None or isinstance(field, ErasedField):
        raise ForkRefused(f"the log's entry does not tell its {name}: it was erased, or never there")
    return field.value


def _refuse_other_enrolment(evidence: ForkEvidence, enrolled: Entry, forked: Entry) -> None:
    for name in ("licence", "system", "enrolment"):
        if _value(enrolled, name) != _value(forked, name):
            raise ForkRefused(f"the two entries are of different {name}s")
    deployment = _value(forked, "system").decode(errors="replace")
    if evidence.system.rpartition("/")[2] != deployment:
        raise ForkRefused(f"the log is about {deployment}, the file about {evidence.system}")
    if evidence.enrolled.index >= evidence.forked.index:
        raise ForkRefused("the log has the fork before the enrolment")


def _link(envelope: Envelope, system: str, public_key: bytes, payload_hash: bytes) -> Link:
    """The link, sealed by the enrolled key. The key has no end: what it signed, it signed."""
    key = VerificationKey.of(KeyPurpose.SYSTEM, public_key, not_before_ms=0, not_after_ms=_ENDLESS, owner=system)
    link = read_payload(verify_ageless(envelope, Kind.LINK, Keyring([key])), Link)
    if sha256(envelope.payload).digest() != payload_hash:
        raise ForkRefused(f"link {link.sequence} is not the one that the log's entry names")
    if link.system != system:
        raise ForkRefused(f"link {link.sequence} is of {link.system}, the file of {system}")
    return link


def _refuse_a_right_successor(evidence: ForkEvidence, forked: Entry, divergent: Link) -> None:
    """The reply shows what would have been right to follow it."""
    reply_hash = sha256(evidence.reply).digest()
    if reply_hash != _value(forked, "reply"):
        raise ForkRefused("the reply is not the one that the log's entry names")
    if sha256(evidence.divergent.payload).digest() == _value(forked, "first"):
        raise ForkRefused("the two links are one and the same")
    sequence = 0
    if evidence.HasField("accepted"):
        header = _header(evidence)
        if header.link != _value(forked, "first"):
            raise ForkRefused("the reply answers another link than the accepted one")
        sequence = header.sequence
    if divergent.sequence == sequence + 1 and divergent.previous == reply_hash:
        raise ForkRefused("the second link is the right successor of the first: this is no fork")


def _header(evidence: ForkEvidence) -> ReplyHeader:
    kind = _REPLIES.get(evidence.reply_kind)
    if kind is None:
        raise ForkRefused("the reply is neither a permit nor a denial")
    try:
        return kind.FromString(evidence.reply).header
    except DecodeError as error:
        raise ForkRefused("the reply cannot be read") from error
