"""Whose word counts: seals, keys, audiences, and the bundle they are judged by."""

from typing import Any

import pytest

from licd.client.answers import Granted
from licd.client.notices import FrameDropped, LicenceChanged, SigningFailed, Suspended, TrustChanged
from licd.client.session.effects import FetchLicence, FetchTrust, Record, RenewCertificate, SendFrame, SendOpen
from licd.client.session.events import (
    CallAnswered,
    CertificateChanged,
    FrameReceived,
    LicenceFetched,
    Start,
    TrustFetched,
)
from licd.keys.bundle_update import reload
from licd.keys.envelope import seal
from licd.keys.kinds import KeyPurpose, Kind
from licd.keys.signer import MemorySigner
from licd.v1 import session_pb2
from licd.v1.envelope_pb2 import Envelope
from licd.v1.session_service_pb2 import OpenSessionRequest, OpenSessionResponse, SessionRequest, SessionResponse
from licd.v1.trust_pb2 import TrustBundleChain
from tests.client.fake_licd import (
    DAY,
    ISSUER,
    LICENCE,
    NOW,
    OF_SYSTEM,
    ONLINE,
    SECOND,
    SYSTEM,
    FakeLicd,
    bundle,
    bundle_envelope,
    directive_frame,
    key,
    licence_envelope,
    made_signer,
    reply_frame,
)
from tests.client.rig import BOOT, Rig

NEXT = made_signer(KeyPurpose.PERMIT_ONLINE, "next")
STRANGER = made_signer(KeyPurpose.PERMIT_ONLINE, "stranger")


def under_way(rig: Rig):
    """The link that is on its way to licd."""
    rig.ask("under way")
    return rig.intercept()


def still_waits(rig: Rig):
    return rig.machine.view.chain.outstanding is not None and not rig.holds


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("issuer", "other.example"),
        ("system", "customer/acme/system/south"),
        ("sequence", 7),
        ("link", b"\x00" * 32),
        ("nonce", b"\x00" * 16),
        ("nonce", b""),
    ],
)
def test_a_reply_with_another_header_is_dropped(field: str, value: object):
    rig = Rig().start()
    rig.licd.header = {field: value}
    reply = rig.licd.answer(under_way(rig))
    rig.feed(FrameReceived(reply_frame(reply)))
    assert still_waits(rig)
    assert rig.dropped[-1] in {"NOT_FOR_US", "LATE"}


def test_a_permit_under_another_licence_gives_no_rights():
    rig = Rig().start()
    rig.licd.header = {"licence": "lic-2"}
    op = rig.ask()
    rig.settle()
    assert op not in rig.holds
    assert rig.machine.view.chain.outstanding is None


def test_a_reply_signed_by_a_stranger_is_dropped():
    rig = Rig().start()
    rig.licd.signer = STRANGER
    rig.feed(FrameReceived(reply_frame(rig.licd.answer(under_way(rig)))))
    assert still_waits(rig)
    assert "KEY_UNKNOWN" in rig.told(FrameDropped)[-1].detail


def test_a_reply_with_a_flipped_bit_is_dropped():
    rig = Rig().start()
    reply = rig.licd.answer(under_way(rig))
    reply.payload = bytes([*reply.payload[:-1], reply.payload[-1] ^ 1])
    rig.feed(FrameReceived(reply_frame(reply)))
    assert still_waits(rig)
    assert "SIGNATURE_INVALID" in rig.told(FrameDropped)[-1].detail


def test_a_reply_signed_by_the_licence_issuer_is_dropped():
    rig = Rig().start()
    reply = rig.licd.answer(under_way(rig))
    forged = seal(Kind.LICENCE, reply.payload, ISSUER)
    forged.payload_type = Kind.PERMIT.payload_type
    rig.feed(FrameReceived(reply_frame(forged)))
    assert still_waits(rig)


def test_a_refusal_shown_as_a_permit_is_dropped():
    rig = Rig().start()
    rig.licd.suspend()
    reply = rig.licd.answer(under_way(rig))
    assert reply.payload_type == Kind.DENIAL.payload_type
    reply.payload_type = Kind.PERMIT.payload_type
    rig.feed(FrameReceived(reply_frame(reply)))
    assert still_waits(rig)
    assert rig.told(Suspended) == []


def test_a_reply_with_a_field_of_the_future_is_dropped():
    rig = Rig().start()
    reply = rig.licd.answer(under_way(rig))
    newer = seal(Kind.PERMIT, reply.payload + b"\xf8\x7f\x01", ONLINE)
    rig.feed(FrameReceived(reply_frame(newer)))
    assert still_waits(rig)
    assert "UNKNOWN_FIELD" in rig.told(FrameDropped)[-1].detail


@pytest.mark.parametrize("spoil", ["targets", "hard_ends_ms", "outcomes"])
def test_a_permit_whose_columns_do_not_fit_together_is_dropped(spoil: str):
    rig = Rig().start()
    permit = session_pb2.Permit.FromString(rig.licd.answer(under_way(rig)).payload)
    if spoil == "targets":
        permit.targets = permit.targets[:-1]
    else:
        del getattr(permit, spoil)[-1]
    rig.feed(FrameReceived(reply_frame(seal(Kind.PERMIT, permit.SerializeToString(), ONLINE))))
    assert still_waits(rig)
    assert rig.dropped[-1] == "CONTRADICTORY"


def test_a_permit_that_grants_another_target_than_asked_grants_nothing():
    rig = Rig().start()
    permit = session_pb2.Permit.FromString(rig.licd.answer(under_way(rig)).payload)
    permit.outcomes[0].grant.target = b"x" * 32
    rig.feed(FrameReceived(reply_frame(seal(Kind.PERMIT, permit.SerializeToString(), ONLINE))))
    assert rig.holds == {}
    assert rig.dropped[-1] == "CONTRADICTORY"


def test_a_permit_whose_columns_give_the_lease_to_another_target_grants_nothing():
    rig = Rig().start()
    permit = session_pb2.Permit.FromString(rig.licd.answer(under_way(rig)).payload)
    permit.targets = permit.targets[:-32] + b"x" * 32
    rig.feed(FrameReceived(reply_frame(seal(Kind.PERMIT, permit.SerializeToString(), ONLINE))))
    assert not any(isinstance(outcome, Granted) for outcome in rig.outcomes.values())
    assert rig.dropped[-1] == "CONTRADICTORY"


def test_a_permit_longer_than_its_key_may_grant_is_dropped():
    short = bundle(bundle_envelope(keys=[key(ONLINE, life=10 * SECOND), key(ISSUER)]))
    rig = Rig(held_bundle=short)
    rig.start()
    rig.feed(FrameReceived(reply_frame(rig.licd.answer(under_way(rig)))))
    assert still_waits(rig)
    assert "TOKEN_LIFE_TOO_LONG" in rig.told(FrameDropped)[-1].detail


def test_an_expired_bundle_lets_nothing_new_be_believed_until_a_newer_one_comes():
    stale = bundle_envelope(expires_at_ms=NOW + 60 * SECOND)
    rig = Rig(held_bundle=bundle(stale)).start()
    hold = rig.acquire()
    rig.advance(59 * SECOND)
    until = hold.until
    rig.advance(40 * SECOND)
    assert hold.until == until  # grace goes on by the formula; nothing renews it
    assert any("FREEZE" in notice.detail for notice in rig.told(FrameDropped))
    newer = SessionResponse(trust=TrustBundleChain(bundles=[bundle_envelope(2)]))
    rig.push(newer.SerializeToString())
    rig.advance(10 * SECOND)
    assert hold.until > until


def test_an_expired_bundle_is_not_revived_by_a_reply_that_dates_itself_back():
    stale = bundle_envelope(expires_at_ms=NOW + 60 * SECOND)
    rig = Rig(held_bundle=bundle(stale)).start()
    rig.advance(70 * SECOND)
    rig.licd.header = {"decided_ms": NOW + 50 * SECOND}
    rig.advance(20 * SECOND)
    assert rig.machine.view.chain.outstanding is not None
    assert rig.machine.view.trust.anchor.latest < NOW + 60 * SECOND


def test_starting_with_an_expired_bundle_asks_for_a_newer_one():
    stale = bundle(bundle_envelope(expires_at_ms=NOW - SECOND))
    rig = Rig(held_bundle=stale).start()
    assert still_waits(rig)
    assert rig.now == BOOT
    assert FetchTrust(1) in rig.effects
    chain = TrustBundleChain(bundles=[bundle_envelope(2)])
    rig.feed(TrustFetched(chain.SerializeToString()))
    rig.advance(10 * SECOND)
    assert rig.usable(rig.acquire())


def test_a_key_that_ran_out_cannot_speak_by_dating_itself_back():
    expiring = bundle(bundle_envelope(keys=[key(ONLINE, end=NOW + 60 * SECOND), key(ISSUER)]))
    rig = Rig(held_bundle=expiring).start()
    hold = rig.acquire()
    rig.cut()
    rig.advance(70 * SECOND)
    rig.mend()
    rig.licd.header = {"decided_ms": NOW + 50 * SECOND}
    rig.advance(20 * SECOND)
    assert not rig.usable(hold)
    assert any("KEY_EXPIRED" in notice.detail for notice in rig.told(FrameDropped))


def test_the_wall_clock_is_not_looked_at_once_licd_was_heard():
    rig = Rig(wall=NOW + 10 * DAY).start()  # wrong, but within the life of keys and bundle
    hold = rig.acquire()
    assert rig.machine.view.trust.anchor.estimate(rig.now) == NOW
    assert hold.until == BOOT + 20 * SECOND


def test_a_wall_clock_that_was_set_back_does_not_bring_old_keys_back():
    expired = bundle(bundle_envelope(keys=[key(ONLINE, end=NOW + 60 * SECOND), key(ISSUER)]))
    rig = Rig(held_bundle=expired).start()
    rig.advance(59 * SECOND)
    again = rig.restart(now=10)
    again.wall = NOW - DAY
    again.feed(Start(again.wall, NOW - DAY, NOW + DAY))
    assert again.machine.view.trust.anchor.estimate(again.now) == NOW + 50 * SECOND


def test_newer_bundles_on_the_stream_are_followed_kept_and_used():
    rig = Rig().start()
    second = bundle_envelope(2, keys=[key(ONLINE), key(ISSUER), key(NEXT)])
    third = bundle_envelope(3, keys=[key(NEXT), key(ISSUER)], withdrawn_key_ids=[ONLINE.key_id])
    rig.push(SessionResponse(trust=TrustBundleChain(bundles=[second, third])).SerializeToString())
    assert [notice.version for notice in rig.told(TrustChanged)] == [3]
    assert reload(rig.persisted[Record.TRUST]).version == 3
    reply = rig.licd.answer(under_way(rig))
    rig.feed(FrameReceived(reply_frame(reply)))
    assert still_waits(rig)  # signed by the withdrawn key
    rig.licd.signer = NEXT
    rig.advance(10 * SECOND)
    assert rig.holds


@pytest.mark.parametrize("version", [1, 3])
def test_a_bundle_that_is_not_the_next_is_refused(version: int):
    rig = Rig().start()
    other = bundle_envelope(version, keys=[key(STRANGER)])
    rig.push(SessionResponse(trust=TrustBundleChain(bundles=[other])).SerializeToString())
    assert rig.told(TrustChanged) == []
    assert rig.dropped == ["BUNDLE_REFUSED"]
    assert rig.machine.view.trust.bundle.version == 1


def test_a_bundle_version_in_a_reply_that_is_not_held_is_fetched():
    rig = Rig().start()
    rig.licd.bundle_version = 2
    rig.advance(36 * SECOND)
    assert rig.effects.count(FetchTrust(1)) == 1
    rig.feed(TrustFetched(None))
    rig.advance(31 * SECOND)
    assert rig.effects.count(FetchTrust(1)) == 2


def test_bundles_are_refreshed_by_the_hint():
    rig = Rig().start()
    rig.advance(3_600 * SECOND)
    assert rig.effects.count(FetchTrust(1)) == 1


def test_keys_in_the_answer_to_open_session_come_before_the_reply():
    licd = FakeLicd()
    licd.signer = NEXT
    rig = Rig(licd)
    rig.feed(Start(NOW, NOW - DAY, NOW + DAY))
    link = rig.intercept()
    second = bundle_envelope(2, keys=[key(NEXT), key(ISSUER)])
    response = OpenSessionResponse(
        reply=licd.answer(link),
        licence=licence_envelope(revision=2),
        directives=[licd.directive(session_pb2.DIRECTIVE_KIND_AMEND)],
        trust=TrustBundleChain(bundles=[second]),
    )
    rig.feed(CallAnswered(rig.machine.view.line.number, response.SerializeToString()))
    assert rig.machine.view.chain.session == "session-1"
    assert rig.dropped == []
    assert [notice.revision for notice in rig.told(LicenceChanged)] == [2]


def test_a_directive_of_another_licence_or_issuer_is_dropped():
    rig = Rig().start()
    hold = rig.acquire()
    rig.licd.epoch += 1
    for changes in ({"licence": "lic-2"}, {"issuer": "other.example"}):
        rig.push(directive_frame(rig.licd.directive(session_pb2.DIRECTIVE_KIND_SUSPEND, **changes)))
    assert rig.usable(hold)
    assert rig.dropped == ["NOT_FOR_US", "NOT_FOR_US"]


def test_a_newer_licence_is_kept_and_an_older_one_is_not():
    rig = Rig().start()
    newer = licence_envelope(revision=3)
    rig.push(SessionResponse(licence=newer).SerializeToString())
    rig.push(SessionResponse(licence=licence_envelope(revision=2)).SerializeToString())
    assert [notice.revision for notice in rig.told(LicenceChanged)] == [3]
    assert Envelope.FromString(rig.persisted[Record.LICENCE]).payload == newer.payload


@pytest.mark.parametrize("changes", [{"licence": "lic-2"}, {"customer": "other"}])
def test_somebody_elses_licence_is_dropped(changes: dict[str, Any]):
    rig = Rig().start()
    rig.push(SessionResponse(licence=licence_envelope(revision=2, **changes)).SerializeToString())
    assert rig.dropped == ["NOT_FOR_US"]
    assert Record.LICENCE not in rig.persisted


def test_a_licence_that_permits_stand_under_and_that_did_not_come_is_fetched():
    rig = Rig().start()
    rig.licd.revision = 2
    rig.advance(10 * SECOND)
    assert rig.effects.count(FetchLicence()) == 1
    rig.feed(LicenceFetched(licence_envelope(revision=2).SerializeToString()))
    rig.advance(60 * SECOND)
    assert rig.effects.count(FetchLicence()) == 1


def test_the_certificate_is_renewed_at_two_thirds_of_its_life_and_the_stream_moves_to_the_new_one():
    rig = Rig()
    rig.feed(Start(NOW, NOW - 40 * SECOND, NOW + 50 * SECOND))
    rig.settle()
    hold = rig.acquire()
    rig.advance(20 * SECOND - 1)
    assert RenewCertificate() not in rig.effects
    rig.advance(1)
    assert rig.effects.count(RenewCertificate()) == 1
    rig.feed(CertificateChanged(None))
    rig.advance(59 * SECOND)
    assert rig.effects.count(RenewCertificate()) == 1
    rig.advance(1 * SECOND)
    assert rig.effects.count(RenewCertificate()) == 2
    stream = rig.stream
    rig.feed(CertificateChanged((NOW, NOW + DAY)))
    rig.settle()
    assert rig.stream > stream
    assert rig.licd.sessions == 1
    assert rig.usable(hold)
    assert rig.effects.count(RenewCertificate()) == 2


class BrokenSigner:
    """A token that was pulled out, until it is put back."""

    def __init__(self, inner: MemorySigner) -> None:
        self.inner = inner
        self.broken = False
        self.key_id, self.purpose, self.public_key = inner.key_id, inner.purpose, inner.public_key

    def sign(self, message: bytes):
        if self.broken:
            raise OSError("no token in the slot")
        return self.inner.sign(message)


def test_a_signer_that_fails_is_silence_and_its_wishes_are_kept():
    signer = BrokenSigner(OF_SYSTEM)
    rig = Rig(signer=signer).start()
    hold = rig.acquire("one")
    rig.advance(30 * SECOND)
    signer.broken = True
    op = rig.ask("two")
    rig.settle()
    rig.advance(10 * SECOND)
    assert rig.told(SigningFailed)
    assert op not in rig.outcomes
    assert rig.usable(hold)
    signer.broken = False
    rig.advance(6 * SECOND)
    assert rig.usable(rig.holds[op])
    assert len(rig.licd.links) == rig.licd.sequence


def test_names_are_those_of_the_fake():
    assert (Rig().machine.view.outfit.identity.system, Rig().machine.view.licence) == (SYSTEM, LICENCE)


def test_a_system_says_which_bundle_it_holds_where_a_conversation_begins():
    rig = Rig()
    rig.reachable = False
    rig.feed(Start(NOW, NOW - DAY, NOW + DAY))
    [opening] = [effect for effect in rig.effects if isinstance(effect, SendOpen)]
    assert OpenSessionRequest.FromString(opening.request).held_bundle == 1
    rig = Rig().start()
    rig.advance(30 * SECOND)
    frames = [SessionRequest.FromString(effect.frame) for effect in rig.effects if isinstance(effect, SendFrame)]
    links = [frame for frame in frames if frame.WhichOneof("frame") == "link"]
    assert [frame.held_bundle for frame in links] == [1] + [0] * (len(links) - 1)
    assert len(links) > 2


def test_the_bound_of_a_withdrawal_is_the_refresh_hint_of_the_bundle_held():
    """Nothing but the regular question tells this system: it hears no push and no reply."""
    rig = Rig().start()
    withdrawn = bundle_envelope(2, keys=[key(NEXT), key(ISSUER)], withdrawn_key_ids=[ONLINE.key_id])
    hint = rig.machine.view.trust.bundle.refresh_hint_ms
    rig.advance(hint - SECOND)
    assert FetchTrust(1) not in rig.effects
    rig.advance(SECOND)
    assert FetchTrust(1) in rig.effects
    rig.feed(TrustFetched(TrustBundleChain(bundles=[withdrawn]).SerializeToString()))
    rig.feed(FrameReceived(reply_frame(rig.licd.answer(under_way(rig)))))
    assert rig.dropped[-1] == "NOT_SEALED"
    assert rig.machine.view.trust.bundle.keyring.is_withdrawn(ONLINE.key_id)
