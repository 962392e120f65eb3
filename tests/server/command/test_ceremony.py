"""`licd ceremony`: one reviewed file in, artefacts out, and nothing is signed that was not shown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest

from licd.keys.armour import armour, dearmour
from licd.keys.bundle import Bundle
from licd.keys.bundle_update import advance
from licd.keys.chain_file import newest_of, read_chain
from licd.keys.envelope import parse_envelope
from licd.server.clock import SystemClock
from licd.server.rows_check import trust_of
from licd.server.snapshot import Snapshot
from licd.server.state_dir import StateDirectory
from tests.ceremony import ceremony_text, dropped, withdrawn
from tests.server.command.conftest import Done, Licd


@dataclass
class Table:
    """Where the holders sit: the reviewed file, the bundles so far, and the command."""

    licd: Licd
    state: StateDirectory
    folder: Path

    def __post_init__(self) -> None:
        with Snapshot(self.state.database) as rows:
            chain = trust_of(rows).chain(0)
        self.bundles = self.folder / "bundles"
        self.bundles.write_text("".join(armour(each.SerializeToString()) for each in chain.bundles))
        self.file = self.folder / "ceremony.toml"

    @property
    def current(self) -> Bundle:
        return newest_of(read_chain(self.bundles), self.bundles)

    def review(self, *changes: str) -> None:
        self.file.write_text(ceremony_text(self.current, SystemClock().wall(), *changes))

    def ceremony(self, verb: str, *arguments: object) -> Done:
        return self.licd("ceremony", verb, self.file, "--bundles", self.bundles, *arguments)

    def signed_by(self, number: int, *more: object) -> Path:
        out = self.folder / f"signature-{number}"
        done = self.ceremony("sign", "--root-key", self.state.root_key(number), "--out", out, "--yes", *more)
        assert done.code == 0, done.err
        return out


@pytest.fixture
def table(licd: Licd, state: StateDirectory, tmp_path: Path) -> Table:
    return Table(licd, state, tmp_path)


def test_from_a_reviewed_file_to_the_next_bundle(table: Table, licd: Licd) -> None:
    out = table.state.root / "keys/permit-online-2.key"
    key = licd("ceremony", "new-key", "--purpose", "permit-online", "--out", out, "--unprotected")
    authority = licd(
        "ceremony", "new-authority", "--trust-domain", "licd.example", "--out", table.state.root / "tls/authority-2"
    )
    assert (key.code, authority.code, out.stat().st_mode & 0o777) == (0, 0, 0o600)
    table.review(key.out, authority.out)
    shown = table.ceremony("show")
    assert "ADD       permit-online " in shown.out
    assert "ADD       TLS authority " in shown.out
    bundle = table.folder / "bundle-2"
    done = table.ceremony("combine", table.signed_by(1), table.signed_by(3), "--out", bundle)
    assert done.out.endswith(f"trust bundle 2 is whole and follows bundle 1: {bundle}\n")
    following = advance(table.current, parse_envelope(dearmour(bundle.read_bytes()).raw))
    assert len(following.tls_authorities_pem) == 2
    assert f"SHA-256 of what is signed: {spaced(following)}" in shown.out


def spaced(bundle: Bundle) -> str:
    return " ".join(re.findall("." * 8, sha256(bundle.payload).hexdigest()))


def test_nothing_is_signed_until_one_says_yes(table: Table) -> None:
    table.review()
    out = table.folder / "signature"
    done = table.ceremony("sign", "--root-key", table.state.root_key(1), "--out", out)
    assert (done.code, out.exists()) == (1, False)
    assert "trust bundle 2 of licd.example, after 1" in done.out
    assert "add --yes once you agree" in done.out


def test_one_signature_makes_no_bundle_and_leaves_nothing(table: Table) -> None:
    table.review()
    bundle = table.folder / "bundle-2"
    done = table.ceremony("combine", table.signed_by(1), "--out", bundle)
    assert (done.code, bundle.exists()) == (1, False)
    assert "OLD_ROOTS_BELOW_THRESHOLD" in done.err


def test_a_signature_over_an_earlier_draft_of_the_file_is_refused(table: Table) -> None:
    table.review()
    first = table.signed_by(1)
    table.file.write_text(table.file.read_text().replace("refresh_hint_seconds = 1", "refresh_hint_seconds = 2"))
    done = table.ceremony("combine", first, table.signed_by(2), "--out", table.folder / "bundle-2")
    assert done.code == 1
    assert "was it made of this very file?" in done.err


def test_nothing_is_overwritten(table: Table, licd: Licd) -> None:
    table.review()
    table.signed_by(1)
    again = table.ceremony(
        "sign", "--root-key", table.state.root_key(1), "--out", table.folder / "signature-1", "--yes"
    )
    assert again.code == 2
    kept = table.state.root_key(1).read_bytes()
    done = licd("ceremony", "new-key", "--purpose", "root", "--out", table.state.root_key(1), "--unprotected")
    assert (done.code, table.state.root_key(1).read_bytes()) == (2, kept)
    authority = licd("ceremony", "new-authority", "--trust-domain", "d", "--out", table.state.root / "tls/authority")
    assert authority.code == 2


def test_a_key_that_is_no_root_of_either_bundle_does_not_sign(table: Table, licd: Licd) -> None:
    table.review()
    stranger = table.folder / "stranger.key"
    licd("ceremony", "new-key", "--purpose", "root", "--out", stranger, "--unprotected")
    for key, told in ((stranger, "root key of neither"), (table.state.root / "keys/evidence.key", "for evidence")):
        done = table.ceremony("sign", "--root-key", key, "--out", table.folder / "s", "--yes")
        assert done.code == 2
        assert told in done.err


def test_a_root_key_under_a_passphrase_signs_with_it_alone(table: Table, licd: Licd) -> None:
    phrase, wrong = table.folder / "phrase", table.folder / "wrong"
    phrase.write_text("correct horse battery staple\n")
    wrong.write_text("correct horse\n")
    key = table.folder / "root-4.key"
    made = licd("ceremony", "new-key", "--purpose", "root", "--out", key, "--passphrase-file", phrase)
    assert b'"secret"' not in key.read_bytes()
    table.review(made.out)
    for passphrase, code in ((wrong, 2), (phrase, 0)):
        done = table.ceremony(
            "sign", "--root-key", key, "--passphrase-file", passphrase, "--out", table.folder / "s", "--yes"
        )
        assert done.code == code


@pytest.mark.parametrize("arguments", [[], ["--unprotected", "--passphrase-file", "x"]])
def test_a_key_is_protected_or_one_says_that_it_is_not(table: Table, licd: Licd, arguments: list[str]) -> None:
    out = table.folder / "k"
    done = licd("ceremony", "new-key", "--purpose", "evidence", "--out", out, *arguments)
    assert (done.code, out.exists()) == (2, False)


def test_a_purpose_that_is_not_licds_own_is_refused(table: Table, licd: Licd) -> None:
    done = licd("ceremony", "new-key", "--purpose", "operator", "--out", table.folder / "k", "--unprotected")
    assert done.code == 2


def test_the_first_bundle_may_be_pinned(table: Table) -> None:
    table.review()
    assert "PIN_MISMATCH" in table.ceremony("show", "--pin", "ab" * 32).err


def test_a_ceremony_that_cannot_be_held_is_refused_by_its_key(table: Table) -> None:
    only = next(key for key in table.current.keys if key.purpose.word == "evidence")
    table.review(withdrawn(only.key_id))
    done = table.ceremony("show")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "no key is left that could sign as evidence" in done.err
    table.review(dropped("ab"))
    assert str(table.file) in table.ceremony("show").err
