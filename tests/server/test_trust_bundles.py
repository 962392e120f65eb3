"""How the next trust bundle comes in force: published by one person, because the holders of the root keys signed it."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from licd.core.errors import Behind, Conflict, Forbidden, Invalid
from licd.core.time import DAY, HOUR, MINUTE, SECOND
from licd.keys.envelope import verify
from licd.keys.kinds import KeyPurpose, Kind
from licd.ledger.database import SqliteConnection
from licd.ledger.rows import LICENCES
from licd.server.caller import Listener
from licd.server.renewal import renew_certificates
from licd.server.state_dir import StateDirectory
from licd.v1 import key_service_pb2, licence_pb2, operator_pb2, session_service_pb2
from licd.v1.envelope_pb2 import Envelope
from licd.v1.session_pb2 import Permit, Refusal
from tests.ceremony import Ceremonies, retired, withdrawn
from tests.daemon import Daemon, copy_state, fresh, make_state, serving
from tests.office import Office
from tests.wired_system import joined

PERMIT, ISSUER, EVIDENCE = KeyPurpose.PERMIT_ONLINE, KeyPurpose.LICENCE_ISSUER, KeyPurpose.EVIDENCE


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> StateDirectory:
    return make_state(tmp_path_factory.mktemp("template") / "state")


@pytest.fixture
def daemon(template: StateDirectory, tmp_path: Path) -> Iterator[Daemon]:
    with serving(copy_state(template.root, tmp_path / "state")) as made:
        yield made


@pytest.fixture
def office(daemon: Daemon) -> Office:
    return Office(daemon)


@pytest.fixture
def ceremonies(daemon: Daemon, office: Office) -> Ceremonies:
    return Ceremonies(daemon, office.alice)


def refused(ceremonies: Ceremonies, envelope: Envelope) -> str:
    with pytest.raises(Invalid) as caught:
        ceremonies.publish_envelope(envelope)
    return str(caught.value)


def signing_key(daemon: Daemon, purpose: KeyPurpose) -> str:
    """Which key would sign now."""
    signing = daemon.up.daemon.keychain.signer(purpose)
    return signing.key_id


def test_one_person_publishes_what_two_of_three_roots_have_signed(ceremonies: Ceremonies, office: Office) -> None:
    published = ceremonies.publish(ceremonies.add(ceremonies.fresh_key(PERMIT, "2")))
    assert published.version == 2
    assert published.known_at_ms == published.published_at_ms + HOUR  # by the hint of the bundle before
    assert ceremonies.trust.version == office.alice.status().bundle_version == 2
    chain = office.alice.call("KeyService.ExportTrustBundle", key_service_pb2.ExportTrustBundleRequest())
    assert len(chain.trust.bundles) == 2


def test_whoever_keeps_no_keys_publishes_nothing(ceremonies: Ceremonies, office: Office) -> None:
    ceremonies.operator = office.admit(fresh("clerk"), "operator")
    with pytest.raises(Forbidden):
        ceremonies.publish(ceremonies.add(ceremonies.fresh_key(PERMIT, "2")))


def test_wrong_threshold_one_root_is_not_enough(ceremonies: Ceremonies) -> None:
    envelope = ceremonies.hold()
    del envelope.signatures[1:]
    assert "OLD_ROOTS_BELOW_THRESHOLD" in refused(ceremonies, envelope)


def test_rollback_attack_a_bundle_that_was_is_not_published_again(ceremonies: Ceremonies) -> None:
    envelope = ceremonies.hold()
    ceremonies.publish_envelope(envelope)
    assert "ROLLBACK" in refused(ceremonies, envelope)


def test_freeze_attack_a_bundle_that_has_run_out_is_not_published(daemon: Daemon, ceremonies: Ceremonies) -> None:
    envelope = ceremonies.hold(life=2 * HOUR)
    daemon.clock.passed += 3 * HOUR
    assert "FREEZE" in refused(ceremonies, envelope)


def test_fast_forward_attack_a_bundle_after_the_next_is_not_published(
    daemon: Daemon, ceremonies: Ceremonies, template: StateDirectory, tmp_path: Path
) -> None:
    with serving(copy_state(template.root, tmp_path / "other")) as other:
        ahead = Ceremonies(other, Office(other).alice)
        ahead.publish()
        envelope = ahead.hold()
    assert "FAST_FORWARD" in refused(ceremonies, envelope)


def test_mix_and_match_attack_a_bundle_of_another_installation_is_not_published(
    ceremonies: Ceremonies, tmp_path: Path
) -> None:
    with serving(make_state(tmp_path / "other")) as other:
        envelope = Ceremonies(other, Office(other).alice).hold()
    assert "OLD_ROOTS_BELOW_THRESHOLD" in refused(ceremonies, envelope)


def test_a_bundle_that_would_leave_licd_unable_to_sign_is_not_published(ceremonies: Ceremonies) -> None:
    elsewhere = ceremonies.fresh_key(PERMIT, "2")
    path = ceremonies.daemon.state.root / "keys/permit-online-2.key"
    hidden = path.rename(path.with_suffix(".elsewhere"))
    envelope = ceremonies.hold(ceremonies.add(elsewhere), withdrawn(ceremonies.key_of(PERMIT)))
    assert "below keys/ first" in refused(ceremonies, envelope)
    hidden.rename(path)
    later = ceremonies.add(elsewhere, begins=(ceremonies.now // DAY + 1) * DAY)
    too_early = ceremonies.hold(later, withdrawn(ceremonies.key_of(PERMIT)))
    assert "licd could sign nothing as permit-online" in refused(ceremonies, too_early)
    assert ceremonies.publish_envelope(envelope).publication.version == 2


def test_a_key_file_that_others_may_read_keeps_a_bundle_from_being_published(ceremonies: Ceremonies) -> None:
    ceremonies.fresh_key(PERMIT, "2")
    path = ceremonies.daemon.state.root / "keys/permit-online-2.key"
    path.chmod(0o640)
    assert "chmod 600" in refused(ceremonies, ceremonies.hold())


def test_two_bundles_of_one_version_cannot_both_come_in_force(ceremonies: Ceremonies) -> None:
    one, other = ceremonies.hold(), ceremonies.hold(hint=MINUTE)
    ceremonies.publish_envelope(one)
    with pytest.raises((Invalid, Conflict), match="MIX_AND_MATCH"):
        ceremonies.publish_envelope(other)


def test_where_one_root_is_enough_a_second_person_is_asked_unless_keys_are_only_withdrawn(
    ceremonies: Ceremonies, office: Office
) -> None:
    ceremonies.publish(head="root_threshold = 1\n")
    spare = ceremonies.fresh_key(PERMIT, "2")
    asked = ceremonies.publish_envelope(ceremonies.hold(ceremonies.add(spare)))
    assert asked.HasField("approval")
    office.alice.sign(asked.approval)
    assert office.bob.sign(asked.approval).status == operator_pb2.APPROVAL_STATUS_EXECUTED
    assert ceremonies.trust.version == 3
    assert ceremonies.publish(withdrawn(spare.key_id)).version == 4


# ------------------------------------------------------------------------------------------ which key signs, and when
def test_a_new_key_signs_once_systems_have_had_the_time_to_learn_of_it(daemon: Daemon, ceremonies: Ceremonies) -> None:
    old, new = ceremonies.key_of(PERMIT), ceremonies.fresh_key(PERMIT, "2")
    ceremonies.publish(ceremonies.add(new))
    assert signing_key(daemon, PERMIT) == old
    daemon.clock.passed += HOUR + MINUTE
    assert signing_key(daemon, PERMIT) == new.key_id


def test_a_new_key_waits_for_its_own_beginning(daemon: Daemon, ceremonies: Ceremonies) -> None:
    old = ceremonies.key_of(PERMIT)
    spare = ceremonies.fresh_key(PERMIT, "2")
    ceremonies.publish(ceremonies.add(spare, begins=(ceremonies.now // DAY + 3) * DAY))
    daemon.clock.passed += DAY
    assert signing_key(daemon, PERMIT) == old
    daemon.clock.passed += 3 * DAY
    assert signing_key(daemon, PERMIT) == spare.key_id


def test_a_withdrawn_key_signs_nothing_from_the_moment_its_bundle_is_in_force(
    daemon: Daemon, ceremonies: Ceremonies
) -> None:
    old, spare = ceremonies.key_of(PERMIT), ceremonies.fresh_key(PERMIT, "2")
    ceremonies.publish(ceremonies.add(spare), withdrawn(old))
    assert signing_key(daemon, PERMIT) == spare.key_id  # though systems need the bundle to believe it


def test_the_choice_of_keys_survives_a_restart(template: StateDirectory, tmp_path: Path) -> None:
    state = copy_state(template.root, tmp_path / "state")
    with serving(state) as daemon:
        ceremonies = Ceremonies(daemon, Office(daemon).alice)
        spare, old = ceremonies.fresh_key(PERMIT, "2"), ceremonies.key_of(PERMIT)
        ceremonies.publish(ceremonies.add(spare))
    with serving(state) as daemon:
        assert signing_key(daemon, PERMIT) == old
        daemon.clock.passed += HOUR + MINUTE
        assert signing_key(daemon, PERMIT) == spare.key_id


def test_a_system_that_was_away_while_the_key_changed_gets_an_answer_that_it_can_take(
    ceremonies: Ceremonies, office: Office
) -> None:
    """Its last link was answered, and the answer was lost: the new key does not sign what is older than itself."""
    system = joined(office)
    system.open()
    link = system.link()
    with system.stream() as lost:
        lost.send(link)
        first = lost.reply()
    ceremonies.daemon.clock.passed += MINUTE
    new = ceremonies.fresh_key(PERMIT, "2")
    ceremonies.publish(ceremonies.add(new))
    ceremonies.daemon.clock.passed += HOUR + MINUTE
    system.keyring = ceremonies.trust.bundle.keyring
    began = next(key.not_before_ms for key in ceremonies.trust.bundle.keyring if key.key_id == new.key_id)
    assert Permit.FromString(first.payload).header.decided_ms < began
    with system.stream() as stream:
        stream.send(link, system.last_reply)
        again = stream.reply()
    assert [each.keyid for each in again.signatures] == [new.key_id]
    assert Refusal.FromString(again.payload).header.decided_ms >= began
    system.take(link, again)
    assert isinstance(system.open(), Permit)


# ------------------------------------------------------------------------------------------- how systems learn of it
def test_an_open_stream_is_told_at_once(ceremonies: Ceremonies, office: Office) -> None:
    system = joined(office)
    system.open()
    with system.stream() as stream:
        stream.beat()
        ceremonies.publish()
        assert [each.payload for each in stream.frame().trust.bundles] == [ceremonies.trust.bundle.payload]
        stream.beat()


def test_a_system_that_says_what_it_holds_gets_the_rest_before_what_is_sealed_by_it(
    ceremonies: Ceremonies, office: Office
) -> None:
    system = joined(office)
    old, spare = ceremonies.key_of(PERMIT), ceremonies.fresh_key(PERMIT, "2")
    ceremonies.publish(ceremonies.add(spare), withdrawn(old))
    link = system.link(opens=True)
    request = session_service_pb2.OpenSessionRequest(link=link, held_bundle=1)
    answer = system.call("OpenSession", request)
    assert [each.payload for each in answer.trust.bundles] == [ceremonies.trust.bundle.payload]
    system.keyring = ceremonies.trust.keyring
    system.take(link, answer.reply)
    with system.stream() as stream:
        beat = system.link()
        stream.send_frame(session_service_pb2.SessionRequest(link=beat, held_bundle=1))
        assert stream.frame().WhichOneof("frame") == "trust"
        system.take(beat, stream.reply())
        beat = system.link()
        stream.send_frame(session_service_pb2.SessionRequest(link=beat, held_bundle=2))
        assert stream.frame().WhichOneof("frame") == "reply"


def test_a_reply_by_a_key_that_has_ended_since_still_shows_licd_that_it_is_behind(
    template: StateDirectory, tmp_path: Path
) -> None:
    """Else the honest system would be taken for a copy of itself, and fenced."""
    state = copy_state(template.root, tmp_path / "state")
    with serving(state) as daemon:
        ceremonies = Ceremonies(daemon, Office(daemon).alice)
        old = ceremonies.key_of(PERMIT)
        ceremonies.publish(
            ceremonies.add(ceremonies.fresh_key(PERMIT, "2"), begins=ceremonies.now // SECOND * SECOND + 2 * HOUR),
            retired(old, ceremonies.now // SECOND * SECOND + 3 * HOUR),
        )
        system = joined(Office(daemon))
        system.open()
    backup = copy_state(state.root, tmp_path / "backup")
    with serving(state, daemon.clock) as system.daemon:
        system.channel = system.connect()
        with system.stream() as stream:
            stream.beat()
            stream.beat()
    daemon.clock.passed += 4 * HOUR  # the old key is over
    with serving(backup, daemon.clock) as system.daemon:
        system.channel = system.connect()
        with pytest.raises(Behind):
            system.send_open(system.link(opens=True))


# ------------------------------------------------------------------------------------------------- licences and issuers
def test_licences_of_a_withdrawn_issuer_are_sealed_anew_and_those_of_a_retired_one_are_not(
    daemon: Daemon, ceremonies: Ceremonies, office: Office
) -> None:
    licence, old = office.licence(), ceremonies.key_of(ISSUER)
    ceremonies.publish(
        ceremonies.add(ceremonies.fresh_key(ISSUER, "2")), retired(old, ceremonies.now // SECOND * SECOND + 2 * HOUR)
    )
    daemon.clock.passed += 3 * HOUR
    daemon.on_loop(daemon.up.daemon.resealing.run)
    assert token_of(daemon, licence).signatures[0].keyid == old
    third = ceremonies.fresh_key(ISSUER, "3")
    ceremonies.publish(ceremonies.add(third), withdrawn(old))
    daemon.on_loop(daemon.up.daemon.resealing.run)
    token = token_of(daemon, licence)
    verified = verify(token, Kind.LICENCE, ceremonies.trust.keyring, daemon.clock.wall())
    terms = licence_pb2.LicenceTerms.FromString(verified.payload)
    assert terms.revision == 2
    assert verified.keys[0].is_valid_at(terms.issued_at_ms)
    assert daemon.on_loop(daemon.up.daemon.resealing.run) == 0


def token_of(daemon: Daemon, licence: str) -> Envelope:
    rows = SqliteConnection(daemon.state.database, readonly=True)
    try:
        found = LICENCES.get(rows, licence)
    finally:
        rows.close()
    assert found is not None
    return Envelope.FromString(found.token)


# -------------------------------------------------------------------------------------------------------- certificates
def test_every_listener_takes_a_renewed_certificate_at_its_next_handshake(daemon: Daemon) -> None:
    listeners = (Listener.OPERATOR, Listener.CUSTOMER, Listener.ENROLMENT)
    before = {each: served_at(daemon, each) for each in listeners}
    assert len(set(before.values())) == 1
    renew_certificates(daemon.state, 90 * DAY)
    after = {each: served_at(daemon, each) for each in listeners}
    assert set(after.values()).isdisjoint(before.values())


def served_at(daemon: Daemon, listener: Listener) -> str:
    """The certificate that a new connection is shown."""
    port = int(daemon.address(listener).rpartition(":")[2])
    return ssl.get_server_certificate(("127.0.0.1", port))
