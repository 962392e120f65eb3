"""Every key is changed under load, and no call is refused; a key that is withdrawn is refused within the bound."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from os import urandom  # noqa: TID251 - root keys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from licd.client.sync import System
from licd.core.time import DAY
from licd.keys.ceremony import thumbprint_of
from licd.keys.kinds import KeyPurpose
from licd.keys.signer import MemorySigner
from licd.server.authorities import pem_of
from licd.server.renewal import renew_certificates
from tests.ceremony import SECOND, Ceremonies, dropped, retired, withdrawn
from tests.daemon import Daemon, make_state, serving
from tests.load import PACE, Clerk, Customer, CutNetwork, Load
from tests.office import Office, Operator

PERMIT, ISSUER, EVIDENCE = KeyPurpose.PERMIT_ONLINE, KeyPurpose.LICENCE_ISSUER, KeyPurpose.EVIDENCE
HINT = SECOND
SLACK = 20 * SECOND  # for a machine that has other things to do


@pytest.fixture
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with capture_logs(), serving(make_state(tmp_path_factory.mktemp("daemon") / "state", drain_seconds=1)) as made:
        yield made


@dataclass
class Rotation:
    """A daemon under load whose keys are changed one after the other."""

    daemon: Daemon
    office: Office
    ceremonies: Ceremonies
    load: Load
    customers: list[Customer]

    def begin(self, step: str) -> None:
        self.load.step = step

    def everybody_has_the_newest(self) -> None:
        newest = self.ceremonies.trust.version
        for each in self.customers:
            self.load.until(lambda each=each: each.bundle_version == newest)  # type: ignore[misc]
        self.load.go_on()

    def until_it_signs(self, purpose: KeyPurpose, key_id: str) -> None:
        keychain = self.daemon.up.daemon.keychain
        self.load.until(lambda: keychain.signer(purpose).key_id == key_id)
        self.load.go_on()

    def change(self, purpose: KeyPurpose) -> None:
        """The successor is published, takes over once everybody can know it, and the old one is retired."""
        self.begin(purpose.word)
        old = self.ceremonies.key_of(purpose)
        new = self.ceremonies.fresh_key(purpose, "2")
        self.ceremonies.publish(self.ceremonies.add(new, begins=self.ceremonies.now), hint=HINT)
        self.everybody_has_the_newest()
        self.until_it_signs(purpose, new.key_id)
        self.ceremonies.publish(retired(old, self.ceremonies.now + 3 * HINT), hint=HINT)
        self.everybody_has_the_newest()
        trust = self.ceremonies.trust
        end = next(key.not_after_ms for key in trust.bundle.keys if key.key_id == old)
        self.load.until(lambda: self.ceremonies.now > end)
        self.load.go_on()


@pytest.fixture
def rotation(daemon: Daemon, tmp_path: Path) -> Iterator[Rotation]:
    office = Office(daemon)
    ceremonies = Ceremonies(daemon, office.alice)
    with Load() as load:
        customers = [Customer(office, office.licence(), tmp_path / str(number), load) for number in range(3)]
        made = Rotation(daemon, office, ceremonies, load, customers)
        for number, customer in enumerate(customers):
            load.work(f"system {number}", customer.use)
        load.work("operator", Clerk(daemon, "carol").ask)
        made.begin("the refresh hint")
        ceremonies.publish(hint=HINT)
        made.everybody_has_the_newest()
        yield made
        load.go_on()
    for customer in customers:
        customer.system.close()


def test_rotating_each_role_under_load_refuses_no_call(rotation: Rotation, tmp_path: Path) -> None:
    early_token = rotation.office.alice.invite(rotation.office.licence())
    change_roots(rotation)
    for purpose in (ISSUER, PERMIT, EVIDENCE):
        rotation.change(purpose)
    change_authority(rotation, tmp_path, early_token)
    rotation.load.go_on()
    assert rotation.load.failures == []
    print(f"rounds of calls done meanwhile: {dict(rotation.load.done)}")  # noqa: T201 - a figure
    assert set(rotation.load.done) == {"system 0", "system 1", "system 2", "operator"}


def change_roots(rotation: Rotation) -> None:
    """All three, signed by two of the old and two of the new; then the new ones alone sign the next bundle."""
    rotation.begin("roots")
    ceremonies = rotation.ceremonies
    old = [key.key_id for key in ceremonies.trust.bundle.root_keys]
    new = [MemorySigner.generate(KeyPurpose.ROOT, urandom) for _ in old]
    ceremonies.roots = [*ceremonies.roots, *new[:2]]
    added = [ceremonies.add(each, life=365 * DAY) for each in new]
    ceremonies.publish(*added, dropped(*old), hint=HINT)
    rotation.everybody_has_the_newest()
    ceremonies.roots = new[1:]
    ceremonies.publish(hint=HINT)
    rotation.everybody_has_the_newest()


def change_authority(rotation: Rotation, tmp_path: Path, early_token: str) -> None:
    """Both are believed, then the new one issues, then everybody has a certificate of it, then the old one goes."""
    rotation.begin("TLS authority")
    ceremonies, state = rotation.ceremonies, rotation.daemon.state
    old = ceremonies.trust.bundle.tls_authorities_pem[0]
    new = ceremonies.fresh_authority("2")
    ceremonies.publish(f"[[add_authority]]\npem = '''{new}'''\n", hint=HINT)
    renew_certificates(state, 90 * DAY)  # hands both to the operators; the old one still issues
    rotation.everybody_has_the_newest()
    System.enrol(early_token, tmp_path / "early")  # made when there was one authority, used while there are two
    token_of_both = rotation.office.alice.invite(rotation.office.licence())
    authorities = rotation.daemon.up.daemon.authorities
    rotation.load.until(lambda: pem_of(authorities.issuing().certificate) == new)
    renew_certificates(state, 90 * DAY)
    rotation.load.go_on()
    System.enrol(token_of_both, tmp_path / "both")  # pins both
    for customer in rotation.customers:
        assert customer.system.renew_certificate()
    ceremonies.operator = Operator.of(rotation.daemon, "alice")
    ceremonies.publish(f'[[drop_authority]]\nsha256 = "{thumbprint_of(old)}"\n', hint=HINT)
    rotation.everybody_has_the_newest()
    renew_certificates(state, 90 * DAY)
    rotation.load.go_on()
    System.enrol(rotation.office.alice.invite(rotation.office.licence()), tmp_path / "late")  # pins the new one alone


# ------------------------------------------------------------------------------------------------- what is withdrawn
def test_a_withdrawn_key_is_refused_at_once_by_who_is_connected_and_within_the_hint_by_who_only_asks(
    rotation: Rotation, tmp_path: Path
) -> None:
    """The bound: the refresh hint of the bundle that a system holds. Whoever reads its stream is told by push."""
    hint = 3 * SECOND
    rotation.begin("withdrawal")
    rotation.ceremonies.publish(hint=hint)
    rotation.everybody_has_the_newest()
    network = CutNetwork()
    alone = Customer(rotation.office, rotation.office.licence(), tmp_path / "alone", rotation.load, network)
    old, spare = rotation.ceremonies.key_of(PERMIT), rotation.ceremonies.fresh_key(PERMIT, "withdrawal")
    network.is_cut = True
    published = rotation.ceremonies.publish(
        rotation.ceremonies.add(spare, begins=rotation.ceremonies.now), withdrawn(old), hint=hint
    )
    elapsed = []
    for each in (*rotation.customers, alone):
        rotation.load.until(lambda each=each: each.refuses(old))  # type: ignore[misc]
        elapsed.append(rotation.ceremonies.now - published.published_at_ms)
    rotation.load.go_on()
    network.is_cut = False
    alone.use()
    alone.system.close()
    assert rotation.load.failures == []
    assert elapsed[-1] <= hint + SLACK
    told = ", ".join(f"{each} ms" for each in elapsed)
    print(f"a withdrawn key was refused after {told} (the last only asks, every {hint} ms)")  # noqa: T201 - a figure


def test_a_system_that_was_down_while_its_licences_issuer_was_withdrawn_starts_and_gets_the_licence_anew(
    daemon: Daemon, tmp_path: Path
) -> None:
    """The worst moment to be down: the new bundle is on its disk, the new licence is not."""
    office = Office(daemon)
    ceremonies = Ceremonies(daemon, office.alice)
    System.enrol(office.alice.invite(office.licence()), tmp_path)
    old = ceremonies.key_of(ISSUER)
    ceremonies.publish(
        ceremonies.add(ceremonies.fresh_key(ISSUER, "anew"), begins=ceremonies.now), withdrawn(old), hint=HINT
    )
    (tmp_path / "1.trust").write_bytes(ceremonies.trust.bundle.raw)
    with System.open(tmp_path, pace=PACE) as system, Load() as load:
        load.step = "licence"
        assert system.licence.revision == 1
        load.work("system", system.check_licence)
        load.until(lambda: system.licence.revision == 2)
    assert load.failures == []
