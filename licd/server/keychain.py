"""The keys that this machine signs with: several of a purpose while one takes over from another.

Which one signs follows from the trust bundle and the time alone, so a change needs no restart and no command:
  1. a key that the newest bundle does not name, or has withdrawn, signs nothing;
  2. of those valid now, the one whose validity began last, among those that systems know already;
  3. where systems know none of them yet, the same among all: they ask for the bundle before they judge again.
Checkpoints of the log are signed by every evidence key that is valid, so that whoever knows one of them can check.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from licd.core.time import Instant
from licd.evidence.note import Signer as NoteSigner
from licd.evidence.note import VerifierKey
from licd.keys.bundle import Bundle
from licd.keys.hold import HoldableSigner, SigningHeld
from licd.keys.kinds import KeyPurpose
from licd.keys.signer import Signer
from licd.keys.verification_key import VerificationKey
from licd.server.trust import Trust

ONLINE: Final = (KeyPurpose.LICENCE_ISSUER, KeyPurpose.PERMIT_ONLINE, KeyPurpose.EVIDENCE)
"""The purposes a daemon needs a key of."""


class NoKeyToSign(SigningHeld):
    """This machine has no key of a purpose that the newest bundle believes: nothing was signed."""


@dataclass(frozen=True, slots=True)
class _Choice:
    """Holds for one version of the bundle and until the next moment at which another key may come in."""

    signer: Signer
    key: VerificationKey
    version: int
    until: Instant


class Keychain:
    """Chooses the signer of each purpose. Permits are signed on the loop, licences on the writing thread."""

    def __init__(
        self, signers: Iterable[Signer], trust: Trust, wall: Callable[[], Instant], held: Callable[[], bool]
    ) -> None:
        self._trust: Final = trust
        self._wall: Final = wall
        self._held: Final = held
        self._signers: dict[str, Signer] = {}
        self._chosen: dict[KeyPurpose, _Choice] = {}
        self.take(signers)

    def take(self, signers: Iterable[Signer]) -> None:
        """Adds keys that have come to this machine."""
        self._signers = self._signers | {each.key_id: each for each in signers}
        self._chosen = {}

    def signer(self, purpose: KeyPurpose) -> Signer:
        """The key that signs now, behind the hold switch. Raises NoKeyToSign."""
        return self._choice(purpose).signer

    def permits_dated(self, at: Instant) -> bool:
        """Whether the key that signs permits now is valid at an instant: systems take nothing else of it."""
        try:
            return self._choice(KeyPurpose.PERMIT_ONLINE).key.is_valid_at(at)
        except NoKeyToSign:
            return False

    def _choice(self, purpose: KeyPurpose) -> _Choice:
        now, choice = self._wall(), self._chosen.get(purpose)
        if choice is None or now >= choice.until or choice.version != self._trust.version:
            choice = self._chosen[purpose] = self._choose(purpose, now)
        return choice

    def permit_online(self) -> Signer:
        """Signs permits, denials and directives now. Raises NoKeyToSign."""
        return self.signer(KeyPurpose.PERMIT_ONLINE)

    def licence_issuer(self) -> Signer:
        """Signs licences now. Raises NoKeyToSign."""
        return self.signer(KeyPurpose.LICENCE_ISSUER)

    def _choose(self, purpose: KeyPurpose, now: Instant) -> _Choice:
        bundle = self._trust.bundle
        named = self._named(purpose, bundle)
        if not named:
            detail = f"no key for {purpose.word} on this machine is one that trust bundle {bundle.version} believes"
            raise NoKeyToSign(detail)
        known = [key for key in named if self._begins(key) <= now < key.not_after_ms]
        valid = known or [key for key in named if key.is_valid_at(now)]
        # With none valid the one that ended last goes on: whoever judges it by his clock refuses it by himself.
        chosen = max(valid, key=_begun) if valid else max(named, key=_ended)
        moments = [moment for key in named for moment in (key.not_before_ms, self._begins(key), key.not_after_ms)]
        until = min((moment for moment in moments if moment > now), default=1 << 62)
        return _Choice(HoldableSigner(self._signers[chosen.key_id], self._held), chosen, bundle.version, until)

    def _begins(self, key: VerificationKey) -> Instant:
        return max(key.not_before_ms, self._trust.known_at(key.key_id))

    def _named(self, purpose: KeyPurpose, bundle: Bundle) -> list[VerificationKey]:
        return [key for key in bundle.keyring if key.purpose is purpose and key.key_id in self._signers]

    def note_signers(self, origin: str) -> tuple[NoteSigner, ...]:
        """Who signs the log's checkpoints now: all that are valid, by the newest bundle or the one being stored."""
        bundles = [each for each in (self._trust.bundle, self._trust.coming) if each is not None]
        named = {key.key_id: key for each in bundles for key in self._named(KeyPurpose.EVIDENCE, each)}
        now = self._wall()
        valid = [key_id for key_id, key in named.items() if key.is_valid_at(now)]
        mine = (key_id for key_id, each in self._signers.items() if each.purpose is KeyPurpose.EVIDENCE)
        signing = valid or list(named) or list(mine)  # the log goes on, whatever becomes of its keys
        return tuple(note_signer(origin, self._signers[key_id]) for key_id in signing)

    def public_keys(self, purpose: KeyPurpose) -> list[bytes]:
        """Of the keys on this machine, without those withdrawn."""
        withdrawn = self._trust.bundle.withdrawn_key_ids
        mine = (each for key_id, each in self._signers.items() if key_id not in withdrawn)
        return [each.public_key for each in mine if each.purpose is purpose]

    def missing(self, bundle: Bundle) -> list[str]:
        """The purposes of which a bundle leaves this machine without a key that is valid now."""
        now = self._wall()
        able = {key.purpose for purpose in ONLINE for key in self._named(purpose, bundle) if key.is_valid_at(now)}
        return [purpose.word for purpose in ONLINE if purpose not in able]


def note_signer(origin: str, signer: Signer) -> NoteSigner:
    """A signer of checkpoints of this log."""
    return NoteSigner(VerifierKey(origin, signer.public_key), signer.sign)


def _begun(key: VerificationKey) -> tuple[Instant, str]:
    return key.not_before_ms, key.key_id


def _ended(key: VerificationKey) -> tuple[Instant, str]:
    return key.not_after_ms, key.key_id
