"""The keys one verifier believes, looked up by id."""

from collections.abc import Iterable, Iterator
from typing import Final

from licd.keys.errors import KeysError
from licd.keys.verification_key import VerificationKey


class KeyringError(KeysError):
    """Two keys of one keyring share an id or a public key: none of them can be believed."""


class Keyring:
    """An unchanging set of keys.

    `version` is that of the trust bundle it was made from, 0 for keys from elsewhere (an enrolled system's own).
    A withdrawn key is never found, and its id is still known as withdrawn when the bundle no longer carries it.
    """

    __slots__ = ("_keys", "_withdrawn", "version")

    def __init__(self, keys: Iterable[VerificationKey], *, withdrawn: Iterable[str] = (), version: int = 0) -> None:
        """Load the keys. Raises KeyringError when an id or a public key comes twice."""
        self.version: Final = version
        self._withdrawn: Final = frozenset(withdrawn)
        by_id = _indexed(keys)
        self._keys: Final = {key_id: key for key_id, key in by_id.items() if key_id not in self._withdrawn}

    def find(self, key_id: str) -> VerificationKey | None:
        """Return the key of this id; None when there is none, or it was withdrawn."""
        return self._keys.get(key_id)

    def is_withdrawn(self, key_id: str) -> bool:
        """Say whether this id was withdrawn before its time."""
        return key_id in self._withdrawn

    def __iter__(self) -> Iterator[VerificationKey]:
        return iter(self._keys.values())

    def __len__(self) -> int:
        return len(self._keys)


def _indexed(keys: Iterable[VerificationKey]) -> dict[str, VerificationKey]:
    by_id: dict[str, VerificationKey] = {}
    public_keys: set[bytes] = set()
    for key in keys:
        if key.key_id in by_id:
            raise KeyringError(f"key id {key.key_id} comes twice")
        if key.public_key in public_keys:
            raise KeyringError(f"the public key of {key.key_id} has a second purpose; a key has exactly one")
        by_id[key.key_id] = key
        public_keys.add(key.public_key)
    return by_id
