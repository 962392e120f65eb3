"""Envelopes, armour, trust bundles: whatever was done to signed bytes, only what was signed verifies."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

from licd.keys.armour import ArmourError, armour, dearmour, dearmour_all
from licd.keys.bundle import Bundle, BundleError
from licd.keys.bundle_update import PayloadPin, RootPin, advance, follow, pin_first, reload
from licd.keys.envelope import MAX_SIGNATURES, claimed_kind, countersign, open_envelope, parse_envelope, seal, verify
from licd.keys.keyring import Keyring
from licd.keys.kinds import KeyPurpose, Kind
from licd.keys.payload import read_payload
from licd.keys.seal_reasons import SealInvalid
from licd.keys.signer import MemorySigner
from licd.v1 import licence_pb2, trust_pb2
from licd.v1.envelope_pb2 import Envelope
from licd.v1.session_pb2 import Acknowledgement, Directive, Link, OperatorCommand, Permit, Refusal
from tests.fuzz.mutation import any_bytes, of_message, of_text
from tests.fuzz.target import Part, Target, promise, refused_with
from tests.keys.sample import NOW, bundle_message, first_bundle, key, roots, sealed, signer, signer_for

# The order of the curve's group (RFC 8032, section 5.1): s and s + L are the same signature to a careless verifier.
ORDER: Final = 2**252 + 27742317777372353535851937790883648493

PAYLOADS: Final[dict[str, type[Message]]] = {
    Kind.LICENCE.payload_type: licence_pb2.LicenceTerms,
    Kind.PERMIT.payload_type: Permit,
    Kind.DENIAL.payload_type: Refusal,
    Kind.DIRECTIVE.payload_type: Directive,
    Kind.ACKNOWLEDGEMENT.payload_type: Acknowledgement,
    Kind.LINK.payload_type: Link,
    Kind.TRUST_BUNDLE.payload_type: trust_pb2.TrustBundle,
    Kind.OPERATOR_COMMAND.payload_type: OperatorCommand,
}


def payload_inside(message: Message, field: FieldDescriptor) -> type[Message] | None:
    """What the payload of an envelope is."""
    if isinstance(message, Envelope) and field.name == "payload":
        return PAYLOADS.get(message.payload_type)
    return None


mutate_envelope = of_message(Envelope, payload_inside)
SIGNERS: Final = [*[signer_for(kind) for kind in Kind], signer_for(Kind.OPERATOR_COMMAND, 2)]
RING: Final = Keyring([key(each) for each in {one.key_id: one for one in SIGNERS}.values()])


def signed_samples() -> list[Envelope]:
    """One envelope of each kind, and some with more signatures than one."""
    made = []
    for kind in Kind:
        message = PAYLOADS.get(kind.payload_type)
        payload = message().SerializeToString() + b"\x0a\x04acme" if message else b"of kind " + kind.encode()
        made.append(seal(kind, payload, signer_for(kind)))
    command = seal(Kind.OPERATOR_COMMAND, b"\x0a\x03A-1", signer(KeyPurpose.OPERATOR))
    made.append(countersign(command, Kind.OPERATOR_COMMAND, signer(KeyPurpose.OPERATOR, 2)))
    stranger = MemorySigner(KeyPurpose.LICENCE_ISSUER, b"\x07" * 32)
    made.append(seal(Kind.LICENCE, b"\x0a\x04acme", stranger, signer_for(Kind.LICENCE)))
    return made


def malleable(envelope: Envelope) -> Envelope:
    """The same envelope with the other spelling of its signature."""
    changed = Envelope.FromString(envelope.SerializeToString())
    for each in changed.signatures:
        scalar = int.from_bytes(each.sig[32:], "little") + ORDER
        if scalar < 1 << 256:
            each.sig = each.sig[:32] + scalar.to_bytes(32, "little")
    return changed


SAMPLES: Final = signed_samples()
SIGNED: Final = {(each.payload_type, each.payload) for each in SAMPLES}
SIGNATURES: Final = {one.sig for each in SAMPLES for one in each.signatures}
MALLEABLE: Final = {each.SerializeToString(): False for each in map(malleable, SAMPLES)}


def check_envelope(data: bytes) -> None:
    """Never a payload that nobody signed, never under another kind, never by another signature."""
    with refused_with(SealInvalid):
        envelope = parse_envelope(data)
        for kind in (claimed_kind(envelope), Kind.LICENCE, Kind.PERMIT):
            with refused_with(SealInvalid):
                _check_verified(envelope, kind, data)


def _check_verified(envelope: Envelope, kind: Kind, data: bytes) -> None:
    verified = verify(envelope, kind, RING, NOW)
    promise(envelope.payload_type == kind.payload_type, "an envelope verified as what it does not say it is")
    promise((kind.payload_type, verified.payload) in SIGNED, "something verified that nobody signed")
    good = {one.keyid for one in envelope.signatures if one.sig in SIGNATURES}
    promise(set(verified.key_ids) <= good, "a signature verified that nobody made")
    promise(len(envelope.signatures) <= MAX_SIGNATURES, "more signatures were judged than there may be")
    promise(open_envelope(data, kind, RING, NOW) == verified, "parsing and verifying in one step say another thing")
    with refused_with(SealInvalid):
        verify(envelope, kind, RING, NOW, threshold=2)
        promise(len(set(verified.key_ids)) >= 2, "one key counted for two")
    if kind.payload_type in PAYLOADS:
        message = read_payload(verified, PAYLOADS[kind.payload_type])
        promise(len(message.SerializeToString()) <= len(verified.payload), "there is more in it than was signed")


def check_armour(data: bytes) -> None:
    """What reads back is written again in the same spelling."""
    with refused_with(ArmourError, SealInvalid):
        for block in dearmour_all(data):
            promise(claimed_kind(parse_envelope(block.raw)) is block.kind, "the lines name another kind than the bytes")
            spelling = armour(block.raw).encode().removesuffix(b"\n")
            promise(spelling in data.replace(b"\r\n", b"\n"), "one envelope has two spellings")
    with refused_with(ArmourError):
        promise(dearmour(data) == dearmour_all(data)[0], "one block and all blocks differ")


# -------------------------------------------------------------------------------------------------- trust bundles
FIRST: Final = first_bundle()
SECOND: Final = sealed(bundle_message(2, withdrawn_key_ids=[signer(KeyPurpose.EVIDENCE).key_id]))
THIRD: Final = sealed(bundle_message(3, withdrawn_key_ids=[signer(KeyPurpose.EVIDENCE).key_id]))
OTHERS: Final = sealed(bundle_message(2, trust_domain="other.example"))
LONELY: Final = sealed(bundle_message(2, root_threshold=1), roots(1)[0])
USURPERS: Final = [signer(KeyPurpose.ROOT, number) for number in (7, 8, 9)]
USURPED: Final = sealed(bundle_message(2, root_signers=USURPERS), *USURPERS)
CHAINS: Final = [
    trust_pb2.TrustBundleChain(bundles=bundles).SerializeToString()
    for bundles in (
        [SECOND],
        [SECOND, THIRD],
        [THIRD],
        [OTHERS],
        [LONELY],
        [USURPED],
        [Envelope.FromString(FIRST.raw), SECOND],
    )
]
HONEST: Final = {FIRST.payload, SECOND.payload, THIRD.payload}
BY_TWO_ROOTS: Final = HONEST | {OTHERS.payload}
BY_PAYLOAD: Final = PayloadPin(hashlib.sha256(FIRST.payload).digest())
BY_ROOTS: Final = RootPin(frozenset(each.public_key for each in roots(3)), 2)


def check_chain(data: bytes) -> None:
    """Trust moves on only to bundles that enough roots have signed, one version at a time."""
    try:
        chain = trust_pb2.TrustBundleChain.FromString(data)
    except DecodeError:
        return
    followed = follow(FIRST, chain.bundles, NOW)
    promise(followed.bundle.payload in HONEST, "a bundle was believed that the roots did not sign")
    for each in chain.bundles:
        with refused_with(BundleError):
            _check_believed(reload(each.SerializeToString()))
        with refused_with(BundleError):
            promise(pin_first(each, BY_PAYLOAD, NOW).payload == FIRST.payload, "another bundle than the pinned one")
        with refused_with(BundleError):
            promise(pin_first(each, BY_ROOTS, NOW).payload in BY_TWO_ROOTS, "a bundle that too few roots have signed")


def _check_believed(bundle: Bundle) -> None:
    promise(1 <= bundle.root_threshold <= len(bundle.root_keys), "a threshold that nobody or everybody reaches")
    promise(len({each.key_id for each in bundle.keys}) == len(bundle.keys), "two keys of one name")


def check_signed_bundle(data: bytes) -> None:
    """Even what the roots have signed is a bundle, or is refused: roots make mistakes."""
    try:
        envelope = seal(Kind.TRUST_BUNDLE, data, *roots(2))
    except SealInvalid:
        return
    with refused_with(BundleError):
        following = advance(FIRST, envelope)
        _check_believed(following)
        promise(following.version == FIRST.version + 1, "trust has left a version out")
        promise(following.trust_domain == FIRST.trust_domain, "trust has changed its domain")
        withdrawn = FIRST.withdrawn_key_ids - following.withdrawn_key_ids
        promise(not any(following.keyring.find(each) for each in withdrawn), "what was withdrawn is back")


def twisted(one: bytes, other: bytes) -> tuple[bytes, ...]:
    """Texts that are nearly right: two blocks, the words of another kind, base64 with bits that say nothing."""
    words, others = (each.split(b"\n")[0].removeprefix(b"-----BEGIN ") for each in (one, other))
    padded = next(each for each in map(_padded, (one, other)) if each)
    return one + b"\r\nwords\n" + other, one.replace(words, others), padded


def _padded(text: bytes) -> bytes:
    """The same bytes with another last letter before the padding; nothing where there is no padding."""
    at = text.find(b"=\n-----END") - (1 if b"==\n-----END" in text else 0)
    return text[: at - 1] + bytes([text[at - 1] + 1]) + text[at:] if at > 0 else b""


@contextmanager
def opened() -> Iterator[Target]:
    """The target."""
    envelopes = tuple(each.SerializeToString() for each in SAMPLES)
    texts = tuple(armour(each).encode() for each in envelopes[:6])
    bundles = tuple(each.payload for each in (SECOND, THIRD, OTHERS))
    yield Target(
        "seals",
        (
            Part("envelope", (*envelopes, *MALLEABLE), check_envelope, mutate_envelope),
            Part("armour", (*texts, *twisted(texts[0], texts[1])), check_armour, of_text(*LABELS)),
            Part("chain", tuple(CHAINS), check_chain, of_message(trust_pb2.TrustBundleChain, payload_inside)),
            Part("signed bundle", bundles, check_signed_bundle, of_message(trust_pb2.TrustBundle)),
            Part("bytes", (b"\x0a\x00", envelopes[0]), check_envelope, any_bytes),
        ),
        covers=("licd/keys",),
    )


LABELS: Final = tuple(f"-----{side} LICD {kind.label}-----" for side in ("BEGIN", "END") for kind in Kind)
