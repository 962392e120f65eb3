"""Which things are signed, and which key may sign which.

Both lists are append-only: what has ever been signed keeps its meaning for as long as the evidence is kept.
Every kind has exactly one purpose, so a key of one role can never stand in for another.
"""

from enum import IntEnum, StrEnum
from typing import Final


class KeyPurpose(IntEnum):
    """What a key is for; the numbers are those of `licd.v1.KeyPurpose`."""

    ROOT = 1
    LICENCE_ISSUER = 2
    PERMIT_ONLINE = 3
    EVIDENCE = 4
    OPERATOR = 5
    SYSTEM = 6
    CONTACT = 7
    OVERSEER = 8

    @property
    def word(self) -> str:
        """The name as it is hashed into key ids and written to files: `licence-issuer`."""
        return self.name.lower().replace("_", "-")

    @property
    def kinds(self) -> frozenset["Kind"]:
        """The kinds that a key of this purpose may sign."""
        return frozenset(kind for kind in Kind if kind.purpose is self)


class Kind(StrEnum):
    """What the payload of an envelope is. The value is the word on the wire."""

    LICENCE = "licence", KeyPurpose.LICENCE_ISSUER
    PERMIT = "permit", KeyPurpose.PERMIT_ONLINE
    DENIAL = "denial", KeyPurpose.PERMIT_ONLINE
    DIRECTIVE = "directive", KeyPurpose.PERMIT_ONLINE
    ACKNOWLEDGEMENT = "acknowledgement", KeyPurpose.SYSTEM
    LINK = "link", KeyPurpose.SYSTEM
    TRUST_BUNDLE = "trust-bundle", KeyPurpose.ROOT
    CHECKPOINT_RECEIPT = "checkpoint-receipt", KeyPurpose.EVIDENCE
    OPERATOR_COMMAND = "operator-command", KeyPurpose.OPERATOR
    OVERLAY = "overlay", KeyPurpose.OVERSEER
    CERTIFICATION = "certification", KeyPurpose.CONTACT
    # An inquiry runs for weeks and must be provable for years: longer than any permit-online key lives.
    INQUIRY = "inquiry", KeyPurpose.EVIDENCE
    INQUIRY_ANSWER = "inquiry-answer", KeyPurpose.CONTACT
    CONTINUITY_PERMIT = "continuity-permit", KeyPurpose.PERMIT_ONLINE

    purpose: KeyPurpose
    """The one purpose whose keys may sign this kind."""
    payload_type: str
    """The authenticated type string of the envelope."""
    label: str
    """The words in the armour lines."""
    pae_prefix: bytes
    """The part of the pre-authentication encoding that is the same for every payload of this kind."""

    def __new__(cls, word: str, purpose: KeyPurpose) -> "Kind":  # noqa: PYI034 -- a member is of the enum itself
        """Make a member and what is derived from its word, once."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.purpose = purpose
        member.payload_type = f"application/vnd.licd.{word}.v1+proto"
        member.label = word.upper().replace("-", " ")
        member.pae_prefix = b"DSSEv1 %d %b " % (len(member.payload_type), member.payload_type.encode("ascii"))
        return member


_BY_TYPE: Final = {kind.payload_type: kind for kind in Kind}
_BY_LABEL: Final = {kind.label: kind for kind in Kind}
_BY_WORD: Final = {purpose.word: purpose for purpose in KeyPurpose}


def kind_of_type(payload_type: str) -> Kind | None:
    """Return the kind that `payload_type` names; None when it names none."""
    return _BY_TYPE.get(payload_type)


def kind_of_label(label: str) -> Kind | None:
    """Return the kind that an armour line names; None when it names none."""
    return _BY_LABEL.get(label)


def purpose_of_word(word: str) -> KeyPurpose | None:
    """Return the purpose that `word` names; None when it names none."""
    return _BY_WORD.get(word)
