"""A trust bundle, a log and a permit, as an installation named licd.example would hand them out."""

from licd.core.time import DAY, Instant
from licd.evidence import checkpoint, entry, export, merkle, note
from licd.evidence.checkpoint import Checkpoint
from licd.keys.envelope import seal
from licd.keys.kinds import KeyPurpose, Kind
from licd.keys.signer import MemorySigner, verification_key_of
from licd.keys.verification_key import key_to_message
from licd.v1.envelope_pb2 import Envelope
from licd.v1.session_pb2 import Permit, ReplyHeader
from licd.v1.trust_pb2 import TrustBundle, TrustBundleChain
from tests.cli.conftest import NOW
from tests.cli.samples import ISSUER

ROOT = MemorySigner(KeyPurpose.ROOT, b"\x02" * 32)
ONLINE = MemorySigner(KeyPurpose.PERMIT_ONLINE, b"\x03" * 32)
EVIDENCE = MemorySigner(KeyPurpose.EVIDENCE, b"\x04" * 32)
ORIGIN = checkpoint.log_origin("licd.example")


def bundle(version: int = 1, *, expires: Instant = NOW + 90 * DAY, withdrawn: tuple[str, ...] = ()) -> Envelope:
    keys = [
        verification_key_of(one, not_before_ms=NOW - 9 * DAY, not_after_ms=NOW + 99 * DAY)
        for one in (ISSUER, ONLINE, EVIDENCE)
    ]
    root = verification_key_of(ROOT, not_before_ms=NOW - 99 * DAY, not_after_ms=NOW + 999 * DAY)
    message = TrustBundle(
        version=version,
        issued_at_ms=NOW - 5 * DAY + version,
        expires_at_ms=expires,
        refresh_hint_ms=DAY,
        keys=[key_to_message(one) for one in keys],
        withdrawn_key_ids=withdrawn,
        root_keys=[key_to_message(root)],
        root_threshold=1,
        trust_domain="licd.example",
        min_reader_version=1,
    )
    return seal(Kind.TRUST_BUNDLE, message.SerializeToString(deterministic=True), ROOT)


def chain(*bundles: Envelope) -> TrustBundleChain:
    return TrustBundleChain(bundles=bundles or [bundle()])


def permit(*hard_ends: Instant) -> Envelope:
    header = ReplyHeader(
        issuer="licd.example",
        system="customer/acme/system/site-1",
        sequence=9,
        decided_ms=NOW - 1_000,
        licence="acme-1",
        epoch=3,
    )
    message = Permit(
        header=header,
        leases=range(1, len(hard_ends) + 1),
        targets=b"".join(bytes([at]) * 32 for at in range(len(hard_ends))),
        hard_ends_ms=hard_ends,
        revision=1,
    )
    return seal(Kind.PERMIT, message.SerializeToString(deterministic=True), ONLINE)


def signed_checkpoint(leaves: list[bytes]) -> str:
    stated = Checkpoint(ORIGIN, len(leaves), merkle.root_of(leaves))
    signer = note.Signer(note.VerifierKey(ORIGIN, EVIDENCE.public_key), EVIDENCE.sign)
    return checkpoint.sign_checkpoint(stated, [signer]).encode().decode()


def sealed_entries(count: int) -> list[entry.Sealed]:
    return [
        entry.seal([("kind", b"grant"), ("number", str(at).encode())], bytes([at]) * 2 * entry.SALT_SIZE)
        for at in range(count)
    ]


def log_lines(count: int) -> list[str]:
    entries = sealed_entries(count)
    signed = signed_checkpoint([one.leaf_hash for one in entries]).encode()
    return list(export.export_lines(ORIGIN, [(one.leaf_hash, one.encoded) for one in entries], [signed]))
